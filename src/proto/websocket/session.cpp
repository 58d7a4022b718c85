// SPDX-License-Identifier: Apache-2.0
#include "proto/websocket/session.hpp"

#include <algorithm>
#include <utility>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/safe_text.hpp"

namespace dig::websocket {

static_assert(StreamMachine<Session>);

namespace {

constexpr std::size_t k_max_frame_sent = std::size_t{64} * 1024;

// RFC 6455 §7.4: codes that a closing frame may carry.
bool is_close_code(std::uint16_t code) {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace

Session Session::connect(Instant now, std::string_view host, Rng& rng, const Limits& limits) {
  Session session(true, limits);
  session.phase_ = Phase::connecting;
  session.deadline_ = now + limits.handshake_timeout;
  session.rng_ = &rng;
  session.key_ = make_key(rng);
  Bytes request;
  append_request(request, host, session.key_);
  session.wire_.append(request);
  return session;
}

std::expected<Session, http::Refusal> Session::accept(const http::RequestHead& request, const Limits& limits) {
  DIG_TRY(const std::string key, key_of(request));
  Session session(false, limits);
  Bytes answer;
  append_acceptance(answer, key);
  session.wire_.append(answer);
  session.tells_established_ = true;
  return session;
}

// --- what comes in --------------------------------------------------------------------------------------------------

void Session::handle_bytes(Instant /*now*/, BytesView bytes) {
  while (!bytes.empty()) {
    if (phase_ == Phase::connecting) {
      bytes = take_answer(bytes);
    } else if (phase_ != Phase::open) {
      return;
    } else if (!frame_) {
      bytes = take_header(bytes);
    } else {
      bytes = take_payload(bytes);
    }
  }
}

BytesView Session::take_answer(BytesView bytes) {
  const auto taken = head_.feed(bytes);
  if (!taken) {
    end({Error(Errc::protocol_not_supported, "WebSocket: " + taken.error().message())});
    return {};
  }
  if (!head_.is_complete()) return {};
  if (const auto accepted = check_answer(head_.text(), key_, limits_.head); !accepted) {
    end({accepted.error()});
    return {};
  }
  head_ = http::HeadCollector(0);
  phase_ = Phase::open;
  tells_established_ = true;
  tells_writable_ = std::exchange(is_waiting_, false);
  return bytes.subspan(*taken);
}

// Takes a byte at a time: a header has fourteen at most.
BytesView Session::take_header(BytesView bytes) {
  header_[header_size_++] = bytes.front();
  const auto decoded = WebsocketHeader::decode(BytesView(header_).first(header_size_));
  if (!decoded) {
    fail_with(CloseCode::protocol_error, Error(Errc::protocol_violation, decoded.error().detail()));
  } else if (*decoded) {
    header_size_ = 0;
    begin_frame((*decoded)->header);
  }
  return bytes.subspan(1);
}

void Session::begin_frame(const WebsocketHeader& header) {
  const auto violation = [&](std::string_view what) {
    fail_with(CloseCode::protocol_error, Error(Errc::protocol_violation, what));
  };
  // RFC 6455 §5.1: clients mask, servers do not, and neither puts up with the other.
  if (header.mask.has_value() == is_client_) return violation("WebSocket: the mask of a frame");
  if (header.opcode == WebsocketOpcode::text) {
    return fail_with(CloseCode::unsupported, Error(Errc::protocol_violation, "WebSocket: text"));
  }
  if (!is_control(header.opcode)) {
    const bool continues = header.opcode == WebsocketOpcode::continuation;
    if (continues != is_in_message_) return violation("WebSocket: fragments of messages are mixed up");
    if (!continues) message_size_ = 0;
    if (header.payload_size > limits_.max_message - message_size_) {
      return fail_with(CloseCode::too_big, Error(Errc::oversized, "a message of WebSocket"));
    }
    message_size_ += header.payload_size;
    is_in_message_ = !header.is_final;
  }
  frame_ = header;
  frame_received_ = 0;
  if (header.payload_size == 0) end_frame();
}

BytesView Session::take_payload(BytesView bytes) {
  const std::uint64_t missing = frame_->payload_size - frame_received_;
  const BytesView part = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(missing, bytes.size())));
  const bool is_data = !is_control(frame_->opcode);
  if (is_data && part.size() > limits_.max_input + limits_.max_input_excess - input_.size()) {
    fail_with(CloseCode::too_big, Error(Errc::flood, "WebSocket: bytes that nobody asked for"));
    return {};
  }
  std::array<std::byte, 4096> plain;
  for (BytesView rest = part; !rest.empty();) {
    const BytesView piece = rest.first(std::min(rest.size(), plain.size()));
    rest = rest.subspan(piece.size());
    apply_mask(frame_->mask.value_or(WebsocketMask{}), frame_received_, piece, plain);
    frame_received_ += piece.size();
    if (is_data) {
      input_.append(BytesView(plain).first(piece.size()));
    } else {
      append(control_, BytesView(plain).first(piece.size()));
    }
  }
  if (is_data && std::exchange(is_armed_, false)) tells_readable_ = true;
  if (frame_received_ == frame_->payload_size) end_frame();
  return bytes.subspan(part.size());
}

void Session::end_frame() {
  const WebsocketOpcode opcode = std::exchange(frame_, std::nullopt)->opcode;
  if (opcode == WebsocketOpcode::close) handle_close_frame();
  if (opcode == WebsocketOpcode::ping) {
    ++pings_received_;
    pong_ = control_;
  }
  control_ = Bytes();
}

// RFC 6455 §5.5.1. The reason is for people: it is not judged, only told.
void Session::handle_close_frame() {
  std::string detail = "by a closing frame";
  if (!control_.empty()) {
    const auto code = ByteReader(control_).u16();
    if (!code || !is_close_code(*code)) {
      return fail_with(CloseCode::protocol_error, Error(Errc::protocol_violation, "WebSocket: a closing frame"));
    }
    const SafeText reason(as_text(control_).substr(2));
    detail += " " + std::to_string(*code) + (reason.empty() ? "" : ": " + reason.str());
  }
  close_code_ = CloseCode::normal;
  is_cut_ = true;
  is_ended_ = true;
  closed_ = Closed{Error(Errc::connection_closed, detail), true};
  phase_ = input_.empty() ? Phase::over : Phase::peer_closed;
}

void Session::handle_eof(Instant /*now*/) {
  if (phase_ == Phase::connecting) return end({Error(Errc::connection_closed, "while a WebSocket begins")});
  if (phase_ != Phase::open) return;
  closed_ = Closed{Error(Errc::connection_closed, "without a closing frame of WebSocket")};
  is_cut_ = true;
  phase_ = input_.empty() ? Phase::over : Phase::peer_closed;
}

bool Session::wants_bytes() const noexcept {
  if (phase_ == Phase::connecting) return true;
  return phase_ == Phase::open && input_.size() < limits_.max_input;
}

// --- the end --------------------------------------------------------------------------------------------------------

void Session::fail_with(CloseCode code, Error error) {
  close_code_ = code;
  is_cut_ = true;
  end({std::move(error)});
}

void Session::end(Closed closed) {
  phase_ = Phase::over;
  closed_ = std::move(closed);
  frame_.reset();
  control_ = Bytes();
}

void Session::close() {
  if (phase_ == Phase::over) return;
  if (phase_ == Phase::connecting) {
    wire_.clear();
  } else if (!close_code_) {
    close_code_ = CloseCode::normal;
  }
  input_.clear();
  tells_readable_ = false;
  end({Error(Errc::connection_closed, "closed here"), true});
}

void Session::handle_timeout(Instant now) {
  if (const auto due = next_timeout(); due && now >= *due) {
    end({Error(Errc::phase_timeout, "the handshake of WebSocket")});
  }
}

std::optional<Instant> Session::next_timeout() const noexcept {
  return phase_ == Phase::connecting ? std::optional(deadline_) : std::nullopt;
}

// --- what goes out --------------------------------------------------------------------------------------------------

std::size_t Session::poll_bytes(Instant /*now*/, MutableBytes out) {
  std::size_t used = 0;
  while (used < out.size()) {
    const MutableBytes room = out.subspan(used);
    if (!wire_.empty()) {
      used += wire_.pop(room);
      if (wire_.empty()) wire_.clear();
    } else if (frame_left_ > 0) {
      const MutableBytes part = room.first(output_.pop(room.first(std::min(room.size(), frame_left_))));
      if (mask_) apply_mask(*mask_, frame_sent_, part, part);
      frame_sent_ += part.size();
      frame_left_ -= part.size();
      used += part.size();
      if (output_.empty()) output_.clear();
      if (is_waiting_ && phase_ == Phase::open && output_.size() <= limits_.max_output / 2) {
        is_waiting_ = false;
        tells_writable_ = true;
      }
    } else if (!start_next_frame()) {
      break;
    }
  }
  return used;
}

// Between two frames of the owner's bytes is where control frames have their place.
bool Session::start_next_frame() {
  if (phase_ == Phase::connecting || is_close_sent_) return false;
  if (is_cut_) output_.clear();
  if (pong_) {
    append_control(WebsocketOpcode::pong, *std::exchange(pong_, std::nullopt));
    return true;
  }
  if (!output_.empty()) {
    start_frame(WebsocketOpcode::binary, std::min(output_.size(), k_max_frame_sent));
    return true;
  }
  if (!close_code_) return false;
  Bytes code;
  ByteWriter(code).u16(static_cast<std::uint16_t>(*close_code_));
  append_control(WebsocketOpcode::close, code);
  is_close_sent_ = true;
  return true;
}

void Session::start_frame(WebsocketOpcode opcode, std::size_t payload_size) {
  mask_ = is_client_ ? std::optional(rng_->array<4>()) : std::nullopt;
  const WebsocketHeader header{.opcode = opcode, .payload_size = payload_size, .mask = mask_};
  std::array<std::byte, WebsocketHeader::max_size> bytes{};
  wire_.append(BytesView(bytes).first(header.encode(bytes)));
  frame_sent_ = 0;
  frame_left_ = is_control(opcode) ? 0 : payload_size;
}

void Session::append_control(WebsocketOpcode opcode, BytesView payload) {
  start_frame(opcode, payload.size());
  Bytes masked = to_bytes(payload);
  if (mask_) apply_mask(*mask_, 0, payload, masked);
  wire_.append(masked);
}

// --- the side of the owner ------------------------------------------------------------------------------------------

std::optional<SessionEvent> Session::poll_event() {
  if (std::exchange(tells_established_, false)) return Established{};
  if (std::exchange(tells_readable_, false)) return Readable{};
  if (phase_ == Phase::open && std::exchange(tells_writable_, false)) return Writable{};
  if (phase_ != Phase::over || std::exchange(is_closed_told_, true)) return std::nullopt;
  return *closed_;
}

Result<std::size_t> Session::write(BytesView bytes) {
  if (phase_ == Phase::over || phase_ == Phase::peer_closed) return std::unexpected(closed_->error);
  const std::size_t room = limits_.max_output - std::min(limits_.max_output, output_.size());
  const std::size_t size = phase_ == Phase::connecting ? 0 : std::min(room, bytes.size());
  output_.append(bytes.first(size));
  bytes_written_ += size;
  if (size < bytes.size()) is_waiting_ = true;
  return size;
}

Result<ReadResult> Session::read(MutableBytes out) {
  if (input_.empty() && phase_ == Phase::over && !is_ended_) return std::unexpected(closed_->error);
  const std::size_t size = input_.pop(out);
  bytes_read_ += size;
  if (size < out.size()) is_armed_ = true;
  if (!input_.empty()) return ReadResult{size, false};
  input_.clear();
  if (phase_ == Phase::peer_closed) phase_ = Phase::over;
  return ReadResult{size, is_ended_ && phase_ == Phase::over};
}

SessionStatus Session::snapshot() const noexcept {
  return {.is_established = phase_ == Phase::open || phase_ == Phase::peer_closed,
          .is_closed = phase_ == Phase::over,
          .input_waiting = input_.size(),
          .output_waiting = output_.size(),
          .bytes_read = bytes_read_,
          .bytes_written = bytes_written_,
          .pings_received = pings_received_};
}

}  // namespace dig::websocket
