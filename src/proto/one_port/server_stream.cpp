// SPDX-License-Identifier: Apache-2.0
#include "proto/one_port/server_stream.hpp"

#include <array>
#include <utility>

#include "proto/http/response_head.hpp"

namespace dig::one_port {

static_assert(StreamMachine<ServerStream>);

namespace {

constexpr std::size_t k_read_size = 1024;  // of requests

}  // namespace

ServerStream::ServerStream(std::shared_ptr<const crypto::TlsContext> tls, Instant now, UnixTime wall,
                           const ServerStreamLimits& limits)
    : tls_(std::move(tls)),
      wall_(wall),
      limits_(limits),
      deadline_(now + limits.timeout),
      layers_(limits.plain),
      sniffer_(std::in_place, StreamSniffer::Layer::tcp, now, StreamSniffer::Limits{limits.timeout}) {}

// --- the side of the transport --------------------------------------------------------------------------------------

void ServerStream::handle_bytes(Instant now, BytesView bytes) {
  if (phase_ == Phase::over) return;
  layers_.handle_bytes(now, bytes);
  advance(now);
}

void ServerStream::handle_eof(Instant now) {
  if (phase_ == Phase::over) return;
  layers_.handle_eof(now);
  advance(now);
}

void ServerStream::handle_timeout(Instant now) {
  if (phase_ == Phase::over) return;
  layers_.handle_timeout(now);
  advance(now);
  if (phase_ == Phase::open || phase_ == Phase::over || now < deadline_) return;
  const Error why(Errc::phase_timeout, snapshot().phase);
  if (phase_ == Phase::http) return refuse(now, http::Refusal{408, why});
  refuse(now, why);
}

std::size_t ServerStream::poll_bytes(Instant now, MutableBytes out) {
  const std::size_t size = layers_.poll_bytes(now, out);
  if (phase_ != Phase::over) advance(now);
  return size;
}

bool ServerStream::wants_bytes() const { return phase_ != Phase::over && layers_.wants_bytes(); }

std::optional<Instant> ServerStream::next_timeout() const {
  if (phase_ == Phase::over) return std::nullopt;
  const auto next = layers_.next_timeout();
  return phase_ == Phase::open ? next : earliest(next, deadline_);
}

// --- what is spoken -------------------------------------------------------------------------------------------------

void ServerStream::advance(Instant now) {
  for (bool goes_on = true; goes_on && phase_ != Phase::open && phase_ != Phase::over;) {
    if (phase_ == Phase::http) {
      goes_on = read_request(now);
    } else if (phase_ == Phase::tls) {
      goes_on = look_inside(now);
    } else {
      goes_on = sniff(now);
    }
  }
  if (phase_ == Phase::open || phase_ == Phase::over) return;
  while (const auto event = layers_.poll_event()) {
    const auto* const closed = std::get_if<Closed>(&*event);
    if (closed != nullptr) end({closed->error});
  }
}

bool ServerStream::sniff(Instant now) {
  std::array<std::byte, StreamSniffer::max_bytes> buffer;
  const auto got = layers_.read(now, buffer);
  if (!got || got->size == 0) return false;
  const BytesView bytes = BytesView(buffer).first(got->size);
  sniffer_->handle_bytes(bytes);
  if (!sniffer_->result()) return true;
  layers_.unread(bytes);
  layers_.unread(sniffer_->held());
  if (*sniffer_->result()) {
    begin(now, **sniffer_->result());
  } else {
    refuse(now, sniffer_->result()->error());
  }
  return true;
}

bool ServerStream::look_inside(Instant now) {
  if (!layers_.tls()) return false;
  const auto kind = kind_of_alpn(layers_.tls()->alpn);
  if (!kind) {
    refuse(now, kind.error());
  } else if (*kind) {
    begin(now, **kind);
  } else {
    sniffer_.emplace(StreamSniffer::Layer::tls, now);
    phase_ = Phase::first_bytes_inside;
  }
  return true;
}

void ServerStream::begin(Instant now, StreamKind kind) {
  switch (kind) {
    case StreamKind::tls:
      return begin_tls(now);
    case StreamKind::multistream:
      return identify({.application = Application::libp2p});
    case StreamKind::stun:
      return identify({.application = Application::stun});
    case StreamKind::http:
      reader_.emplace(now, http::RequestReader::Limits{.head = limits_.head});
      phase_ = Phase::http;
  }
}

void ServerStream::begin_tls(Instant now) {
  if (!tls_) return refuse(now, Error(Errc::protocol_not_supported, "TLS, for which there is no certificate here"));
  auto session = crypto::TlsSession::accept(tls_, now, wall_, {}, limits_.tls);
  if (!session) return refuse(now, session.error());
  phase_ = Phase::tls;
  layers_.add(now, *std::move(session));
}

bool ServerStream::read_request(Instant now) {
  std::array<std::byte, k_read_size> buffer;
  const auto got = layers_.read(now, buffer);
  if (!got || got->size == 0) return false;
  const BytesView bytes = BytesView(buffer).first(got->size);
  layers_.unread(bytes.subspan(reader_->handle_bytes(bytes)));
  if (reader_->result()) answer_request(now, *reader_->result());
  return true;
}

void ServerStream::answer_request(Instant now, const std::expected<http::RequestHead, http::Refusal>& request) {
  if (!request) return refuse(now, request.error());
  if (!websocket::asks_for_websocket(*request)) {
    return identify({.application = Application::page, .request = *request});
  }
  auto session = websocket::Session::accept(*request, limits_.websocket);
  if (!session) return refuse(now, session.error());
  layers_.add(now, *std::move(session));
  identify({.application = Application::libp2p, .is_websocket = true});
}

void ServerStream::identify(Identified what) {
  phase_ = Phase::open;
  what.is_tls = layers_.tls().has_value();
  identified_ = std::move(what);
  sniffer_.reset();
  reader_.reset();
}

// --- the end --------------------------------------------------------------------------------------------------------

void ServerStream::refuse(Instant now, Error why) {
  layers_.close(now);
  end({std::move(why)});
}

void ServerStream::refuse(Instant now, const http::Refusal& refusal) {
  Bytes page;
  http::append_refusal(page, refusal);
  (void)layers_.write(page);
  refuse(now, refusal.error);
}

void ServerStream::end(Closed closed) {
  if (phase_ != Phase::over) ended_in_ = phase_;
  phase_ = Phase::over;
  closed_ = std::move(closed);
}

// --- the side of the owner ------------------------------------------------------------------------------------------

std::optional<ServerStream::Event> ServerStream::poll_event() {
  if (identified_) return *std::exchange(identified_, std::nullopt);
  while (phase_ == Phase::open) {
    const auto event = layers_.poll_event();
    if (!event) return std::nullopt;
    if (const auto* closed = std::get_if<Closed>(&*event)) end(*closed);
    if (std::holds_alternative<Readable>(*event)) return Readable{};
    if (std::holds_alternative<Writable>(*event)) return Writable{};
  }
  if (!closed_) return std::nullopt;
  return *std::exchange(closed_, std::nullopt);
}

Result<std::size_t> ServerStream::write(BytesView bytes) { return layers_.write(bytes); }
Result<ReadResult> ServerStream::read(Instant now, MutableBytes out) { return layers_.read(now, out); }

void ServerStream::close(Instant now) {
  layers_.close(now);
  if (phase_ != Phase::open && phase_ != Phase::over) end({Error(Errc::connection_closed, "closed here"), true});
}

ServerStreamStatus ServerStream::snapshot() const noexcept {
  constexpr std::array<std::string_view, 6> k_names = {"first bytes", "TLS",  "first bytes inside TLS",
                                                       "HTTP",        "open", "over"};
  return {.phase = k_names[static_cast<std::size_t>(phase_)],
          .is_tls = layers_.tls().has_value(),
          .ended_in = k_names[static_cast<std::size_t>(ended_in_)]};
}

}  // namespace dig::one_port
