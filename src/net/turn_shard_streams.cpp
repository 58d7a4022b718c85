// SPDX-License-Identifier: Apache-2.0
// TCP clients of a TURN shard.
#include <algorithm>
#include <utility>

#include "net/turn_shard_impl.hpp"

namespace dig::net {

bool TurnShard::Impl::admits(Instant now, const Endpoint& /*local*/, const Endpoint& remote) {
  if (streams_.size() < options_.max_streams &&
      accepts_.admit(now, remote.address) == AcceptLimiter::Verdict::admitted) {
    accepts_.handshake_ended(remote.address);  // what is half open is bounded here and by idle
    if (has_room_for(remote.address)) return true;
  }
  ++streams_refused_;
  return false;
}

bool TurnShard::Impl::has_room_for(const IpAddress& source) const {
  const auto found = streams_of_source_.find(AcceptLimiter::prefix_of(source));
  if (found == streams_of_source_.end() || found->second.size() < options_.max_streams_per_source) return true;
  const auto is_without = [&](TransportId id) { return !server_.has_allocation(streams_.at(id).path); };
  const auto without = static_cast<std::size_t>(std::ranges::count_if(found->second, is_without));
  return without < options_.max_streams_per_source;
}

TurnShard::Impl::Stream& TurnShard::Impl::add_stream(Instant now, TransportId id, const turn::ClientPath& path) {
  streams_of_source_[AcceptLimiter::prefix_of(path.remote.address)].insert(id);
  Stream& stream = streams_[id];
  stream.path = path;
  stream.path.connection = id.value;
  stream.last_request = now;
  return stream;
}

void TurnShard::Impl::end_stream(Instant now, TransportId id) {
  const auto stream = streams_.extract(id);
  if (stream.empty()) return;
  server_.handle_client_closed(now, stream.mapped().path);
  const auto of_source = streams_of_source_.find(AcceptLimiter::prefix_of(stream.mapped().path.remote.address));
  of_source->second.erase(id);
  if (of_source->second.empty()) streams_of_source_.erase(of_source);
}

void TurnShard::Impl::handle_accepted(Instant now, TransportId id, const Endpoint& local, const Endpoint& remote) {
  add_stream(now, id, {StunTransport::tcp, local, remote});
}

void TurnShard::Impl::handle_bytes(Instant now, TransportId id, BytesView bytes) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || bytes.empty()) return;
  Stream& stream = found->second;
  constexpr std::byte k_tls_handshake{0x16};  // RFC 8446 §5.1
  if (!std::exchange(stream.has_begun, true) && bytes.front() == k_tls_handshake && tls_.stream) {
    auto session = crypto::TlsSession::accept(tls_.stream, now, wall_now());
    if (!session) return to_close_.push_back(id);
    stream.tls.emplace(std::move(*session));
    stream.path.transport = StunTransport::tls;
  }
  if (!stream.tls) return handle_plaintext(now, id, stream, bytes);
  stream.tls->handle_bytes(now, bytes);
  drain_tls(now, id, stream);
}

void TurnShard::Impl::drain_tls(Instant now, TransportId id, Stream& stream) {
  for (;;) {
    const auto got = stream.tls->read(plaintext_);
    if (!got || got->size == 0) break;
    handle_plaintext(now, id, stream, BytesView(plaintext_).first(got->size));
  }
  while (const auto event = stream.tls->poll_event()) {
    if (std::holds_alternative<crypto::TlsClosed>(*event)) to_close_.push_back(id);
  }
  to_flush_.push_back(id);  // handshake messages, alerts, and what waited for the handshake
}

void TurnShard::Impl::handle_plaintext(Instant now, TransportId id, Stream& stream, BytesView bytes) {
  stream.bytes_without_allocation =
      server_.has_allocation(stream.path) ? 0 : stream.bytes_without_allocation + bytes.size();
  if (stream.bytes_without_allocation > options_.max_bytes_without_allocation) return to_close_.push_back(id);
  const UnixTime wall = wall_now();
  for (;;) {
    const auto frame = stream.framer.next(bytes);
    if (!frame) return to_close_.push_back(id);
    if (!*frame) return;
    stream.last_request = now;  // a part of one is no sign of life: it could be made to last for ever
    server_.route(turn::Server::FromClient{now, wall, stream.path, **frame}, *this);
    scatter_.flush();  // the frame may be gone with the next one
  }
}

void TurnShard::Impl::handle_eof(Instant now, TransportId id) { forget_stream(now, id, CloseMode::graceful); }

void TurnShard::Impl::handle_error(Instant now, TransportId id, const Error& /*error*/) { end_stream(now, id); }

std::size_t TurnShard::Impl::poll_bytes(Instant now, TransportId id, MutableBytes out) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return 0;
  Stream& stream = found->second;
  if (stream.tls) {
    seal(stream);
    return stream.tls->poll_bytes(now, out);
  }
  const BytesView waiting = stream.waiting();
  const std::size_t size = std::min(out.size(), waiting.size());
  std::copy_n(waiting.begin(), size, out.begin());
  stream.took(size);
  return size;
}

void TurnShard::Impl::seal(Stream& stream) { stream.took(stream.tls->write(stream.waiting()).value_or(0)); }

bool TurnShard::Impl::wants_bytes(TransportId id) { return has_room(id); }

bool TurnShard::Impl::has_room(TransportId id) const {
  // A client that does not read its answers is not read from either.
  const auto found = streams_.find(id);
  if (found == streams_.end()) return false;
  const Stream& stream = found->second;
  return stream.waiting().size() < options_.max_stream_output && (!stream.tls || stream.tls->wants_bytes());
}

void TurnShard::Impl::write_stream(TransportId id, BytesView head, BytesView payload, std::size_t padding) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  const std::size_t size = head.size() + payload.size() + padding;
  if (stream.waiting().size() + size > options_.max_stream_output) {
    ++lost_stream_full_;  // whole messages only: the stream stays in step
    return;
  }
  if (stream.sent > 0 && stream.sent >= stream.output.size() / 2) {
    stream.output.erase(stream.output.begin(), stream.output.begin() + static_cast<std::ptrdiff_t>(stream.sent));
    stream.sent = 0;
  }
  append(stream.output, head);
  append(stream.output, payload);
  stream.output.resize(stream.output.size() + padding);
  // At once, so that each message has a record of its own: coturn's client takes what one record holds for one message
  // and loses a second one, of coturn's server too. TLS promises no such boundaries; a full stream does not keep them.
  if (stream.tls) seal(stream);
  if (stream.carrier != nullptr && stream.path.transport == StunTransport::tls) {
    stream.carrier->take(monotonic_now(), outer_id(id));
  }
  if (to_flush_.empty() || to_flush_.back() != id) to_flush_.push_back(id);
}

void TurnShard::Impl::forget_stream(Instant now, TransportId id, CloseMode mode) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  // Takes what is still to be sent first.
  StreamCarrier* const carrier = found->second.carrier;
  carrier != nullptr ? carrier->close(outer_id(id), mode) : transports_.close(id, mode);
  end_stream(now, id);
}

void TurnShard::Impl::flush_stream(TransportId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  StreamCarrier* const carrier = found->second.carrier;
  carrier != nullptr ? carrier->flush(outer_id(id)) : transports_.flush(id);
}

void TurnShard::Impl::close_idle_streams(Instant now) {
  for (auto& [id, stream] : streams_) {
    if (stream.tls) {
      stream.tls->handle_timeout(now);
      drain_tls(now, id, stream);
    }
    if (now - stream.last_request >= options_.idle && !server_.has_allocation(stream.path)) to_close_.push_back(id);
  }
}

}  // namespace dig::net
