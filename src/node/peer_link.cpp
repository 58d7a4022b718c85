// SPDX-License-Identifier: Apache-2.0
#include "node/peer_link.hpp"

#include <algorithm>
#include <array>

namespace dig::node {

struct PeerLink::Stream {
  StreamId id;
  Direction direction = Direction::inbound;
  std::optional<multistream::Negotiator> negotiator;  // while the protocol is not agreed
  Instant negotiation_deadline;
  std::unique_ptr<StreamHandler> handler;  // from the start on streams that we opened
  Bytes unsent_negotiation;                // what the connection has not taken of it yet
  Bytes early;                             // the handler's first bytes, which came with the last of the negotiation
  bool is_readable = false;
  bool is_writable = true;
  bool has_read_end = false;
  bool has_told_end = false;
  bool has_finished = false;
};

namespace {

void drop_front(Bytes& bytes, std::size_t size) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
}

}  // namespace

PeerLink::PeerLink(ConnectionId id, Direction direction, LinkPath path,
                   std::unique_ptr<ByteStreamConnection> connection, ProtocolHost& host, const Limits& limits)
    : id_(id),
      direction_(direction),
      path_(std::move(path)),
      connection_(std::move(connection)),
      host_(host),
      limits_(limits) {}

PeerLink::~PeerLink() = default;

void PeerLink::handle_bytes(Instant now, BytesView bytes) {
  connection_->handle_bytes(now, bytes);
  drain_events(now);
}

void PeerLink::handle_eof(Instant now) {
  connection_->handle_eof(now);
  drain_events(now);
}

void PeerLink::handle_timeout(Instant now) {
  connection_->handle_timeout(now);
  drain_events(now);
  std::vector<StreamId> due;
  for (const auto& [id, stream] : streams_) {
    const auto deadline = deadline_of(*stream);
    if (deadline && *deadline <= now) due.push_back(id);
  }
  for (const StreamId id : due) {
    const auto found = streams_.find(id);
    if (found == streams_.end()) continue;
    if (found->second->negotiator) {
      reset(now, id, 0, Error(Errc::phase_timeout, "no protocol was agreed on a stream"));
    } else {
      found->second->handler->handle_timeout(now);
      service_stream(now, id);
    }
  }
}

std::size_t PeerLink::poll_bytes(Instant now, MutableBytes out) {
  const std::size_t size = connection_->poll_bytes(now, out);
  drain_events(now);  // what left made room for streams that wait to write
  return size;
}

std::optional<Instant> PeerLink::deadline_of(const Stream& stream) {
  return stream.negotiator ? stream.negotiation_deadline : stream.handler->next_timeout();
}

std::optional<Instant> PeerLink::next_timeout() const {
  std::optional<Instant> next = connection_->next_timeout();
  for (const auto& [id, stream] : streams_) next = earliest(next, deadline_of(*stream));
  return next;
}

Result<StreamId> PeerLink::open(Instant now, const std::string& protocol, std::unique_ptr<StreamHandler> handler) {
  DIG_TRY(const StreamId id, connection_->open_stream(now));
  auto stream = std::make_unique<Stream>();
  stream->id = id;
  stream->direction = Direction::outbound;
  stream->negotiator = multistream::Negotiator::dial({protocol});
  stream->negotiation_deadline = now + limits_.negotiation;
  stream->handler = std::move(handler);
  stream->handler->handle_opened(id);
  streams_.emplace(id, std::move(stream));
  service(now, id);
  return id;
}

void PeerLink::service(Instant now, StreamId stream) {
  service_stream(now, stream);
  drain_events(now);
  host_.handle_link_active(*this);
}

void PeerLink::reset(Instant now, StreamId stream, std::uint64_t code, const Error& why) {
  if (!streams_.contains(stream)) return;
  connection_->reset(stream, code);
  end_stream(now, stream, why);
  host_.handle_link_active(*this);
}

void PeerLink::stop_sending(Instant now, StreamId stream, std::uint64_t code) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  connection_->stop_sending(stream, code);
  found->second->has_read_end = true;
  found->second->has_told_end = true;
  service(now, stream);
}

void PeerLink::close(Instant now, const Error& why) {
  connection_->close(now, why);
  drain_events(now);
  host_.handle_link_active(*this);
}

void PeerLink::drain_events(Instant now) {
  while (!is_closed_) {
    auto event = connection_->poll_event();
    if (!event) return;
    handle_event(now, *event);
  }
}

void PeerLink::handle_event(Instant now, ConnectionEvent& event) {
  const auto mark = [&](StreamId id, bool Stream::* flag) {
    if (const auto found = streams_.find(id); found != streams_.end()) (*found->second).*flag = true;
    service_stream(now, id);
  };
  if (auto* established = std::get_if<Established>(&event)) {
    peer_ = std::move(established->peer);
    last_stream_ = now;
    host_.handle_established(now, *this);
  } else if (const auto* opened = std::get_if<StreamOpened>(&event)) {
    if (opened->direction == Direction::inbound) accept_stream(now, opened->stream);
  } else if (const auto* readable = std::get_if<StreamReadable>(&event)) {
    mark(readable->stream, &Stream::is_readable);
  } else if (const auto* writable = std::get_if<StreamWritable>(&event)) {
    mark(writable->stream, &Stream::is_writable);
  } else if (const auto* gone = std::get_if<StreamReset>(&event)) {
    end_stream(now, gone->stream, Error(Errc::stream_reset));
  } else if (const auto* stopped = std::get_if<StreamStopped>(&event)) {
    // Nothing that a handler writes reaches the peer any more: no protocol here has a use for the other half alone.
    reset(now, stopped->stream, stopped->code, Error(Errc::stream_reset, "the other side reads no more"));
  } else if (const auto* closed = std::get_if<Closed>(&event)) {
    is_closed_ = true;
    while (!streams_.empty()) {
      hand_over_rest(now, *streams_.begin()->second);
      end_stream(now, streams_.begin()->first, closed->error);
    }
    host_.handle_link_closed(now, *this, closed->error);
  }
}

void PeerLink::accept_stream(Instant now, StreamId id) {
  if (negotiating_inbound_ >= limits_.max_negotiating) {
    connection_->reset(id, 0);
    return;
  }
  auto stream = std::make_unique<Stream>();
  stream->id = id;
  stream->negotiator = multistream::Negotiator::listen(host_.supported_protocols());
  stream->negotiation_deadline = now + limits_.negotiation;
  streams_.emplace(id, std::move(stream));
  ++negotiating_inbound_;
}

// Moves the negotiation on; true when it is over and the stream lives on with its handler.
bool PeerLink::negotiate(Instant now, Stream& stream) {
  std::array<std::byte, 2048> buffer;
  flush_negotiation(stream);
  while (stream.is_readable && !stream.negotiator->result()) {
    const auto got = connection_->read(now, stream.id, buffer);
    if (!got) return false;
    const BytesView bytes = std::span(buffer).first(got->size);
    append(stream.early, bytes.subspan(stream.negotiator->handle_bytes(bytes)));
    stream.is_readable = got->size > 0 && !got->is_end;
    stream.has_read_end = got->is_end;
    if (got->is_end && !stream.negotiator->result()) stream.negotiator->handle_eof();
  }
  flush_negotiation(stream);
  if (!stream.negotiator->result()) return false;
  const Result<std::string> result = *stream.negotiator->result();
  return finish_negotiation(now, stream, result);
}

void PeerLink::flush_negotiation(Stream& stream) {
  if (stream.negotiator && stream.negotiator->has_output()) {
    std::array<std::byte, 2048> buffer;
    while (const std::size_t size = stream.negotiator->poll_bytes(buffer)) {
      append(stream.unsent_negotiation, std::span(buffer).first(size));
    }
  }
  if (stream.unsent_negotiation.empty() || !stream.is_writable) return;
  const auto taken = connection_->write(stream.id, stream.unsent_negotiation);
  if (!taken) return;
  stream.is_writable = *taken == stream.unsent_negotiation.size();
  drop_front(stream.unsent_negotiation, *taken);
}

bool PeerLink::finish_negotiation(Instant now, Stream& stream, const Result<std::string>& result) {
  if (stream.direction == Direction::inbound) {
    --negotiating_inbound_;
    if (result) stream.handler = host_.make_handler(now, *this, *result);
    if (stream.handler) stream.handler->handle_opened(stream.id);
  }
  stream.negotiator.reset();
  if (result && stream.handler) {
    if (stream.direction == Direction::outbound) stream.handler->handle_negotiated(now);
    return true;
  }
  const StreamId id = stream.id;
  const Error why = result ? Error(Errc::limit_reached, "too many streams of this protocol") : result.error();
  if (why.code() == Errc::protocol_not_supported || why.code() == Errc::connection_closed) {
    connection_->finish(id);  // lets the refusal reach the peer, which a reset could overtake
    connection_->stop_sending(id, 0);
  } else {
    connection_->reset(id, 0);
  }
  end_stream(now, id, why);
  return false;
}

void PeerLink::service_stream(Instant now, StreamId id) {
  const auto find = [&]() -> Stream* {
    const auto found = streams_.find(id);
    return found == streams_.end() ? nullptr : found->second.get();
  };
  Stream* stream = find();
  if (stream == nullptr) return;
  if (stream->negotiator && !negotiate(now, *stream)) return;
  // A handler that was given bytes may have some to write, and one that got rid of bytes may want more.
  for (bool has_moved = true; has_moved && (stream = find()) != nullptr;) {
    const bool has_read = read(now, *stream);
    has_moved = write(now, *stream) || has_read;
  }
  if (stream == nullptr) return;
  if (const auto failure = stream->handler->failure()) {
    reset(now, id, 0, *failure);
    return;
  }
  if (!stream->has_finished && stream->unsent_negotiation.empty() && stream->handler->has_finished_writing() &&
      stream->handler->output(now).empty()) {
    connection_->finish(id);
    stream->has_finished = true;
  }
  if (stream->has_finished && stream->has_told_end && stream->handler->may_end()) {
    streams_.erase(id);
    last_stream_ = now;
  }
}

// Hands on what there is; true when something moved.
bool PeerLink::read(Instant now, Stream& stream) {
  bool has_moved = false;
  while (!stream.early.empty() || stream.is_readable) {
    const MutableBytes space = stream.handler->receive_space();
    if (space.empty()) return has_moved;
    if (!stream.early.empty()) {
      const std::size_t size = std::min(space.size(), stream.early.size());
      std::copy_n(stream.early.begin(), size, space.begin());
      drop_front(stream.early, size);
      stream.handler->handle_received(now, size);
      has_moved = true;
      continue;
    }
    const auto got = connection_->read(now, stream.id, space);
    if (!got) {
      stream.is_readable = false;
      return has_moved;
    }
    stream.is_readable = got->size > 0 && !got->is_end;
    stream.has_read_end = got->is_end;
    if (got->size > 0) stream.handler->handle_received(now, got->size);
    has_moved = has_moved || got->size > 0;
  }
  if (stream.has_read_end && !stream.has_told_end) {
    stream.has_told_end = true;
    stream.handler->handle_eof(now);
    has_moved = true;
  }
  return has_moved;
}

bool PeerLink::write(Instant now, Stream& stream) {
  flush_negotiation(stream);
  bool has_moved = false;
  while (stream.is_writable && stream.unsent_negotiation.empty()) {
    const BytesView out = stream.handler->output(now);
    if (out.empty()) break;
    const auto taken = connection_->write(stream.id, out);
    if (!taken) break;
    stream.is_writable = *taken == out.size();
    if (*taken == 0) break;
    stream.handler->handle_written(now, *taken);
    has_moved = true;
  }
  return has_moved;
}

// connection.hpp: after Closed what had arrived can still be read. It is read here, since the connection goes.
void PeerLink::hand_over_rest(Instant now, Stream& stream) {
  if (!stream.handler || stream.negotiator || stream.has_told_end) return;
  if (!stream.handler->handle_rest(stream.early, stream.has_read_end)) return;
  std::array<std::byte, 16384> buffer;
  while (!stream.has_read_end) {
    const auto got = connection_->read(now, stream.id, buffer);
    if (!got || (got->size == 0 && !got->is_end)) return;
    stream.has_read_end = got->is_end;
    if (!stream.handler->handle_rest(std::span(buffer).first(got->size), got->is_end)) return;
  }
}

void PeerLink::end_stream(Instant now, StreamId id, const Error& why) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  const auto stream = std::move(found->second);
  streams_.erase(found);
  last_stream_ = now;
  if (stream->negotiator && stream->direction == Direction::inbound) --negotiating_inbound_;
  if (stream->handler) stream->handler->handle_closed(now, why);
}

}  // namespace dig::node
