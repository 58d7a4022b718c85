// SPDX-License-Identifier: Apache-2.0
// Commands of the owner, the life of streams and the end of the session.
#include "proto/yamux/session.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace dig::yamux {
namespace {

// yamux spec, "Go Away": 0 normal termination, 1 protocol error, 2 internal error.
std::uint32_t go_away_code(Errc why) {
  switch (why) {
    case Errc::protocol_violation:
    case Errc::flow_control_violation:
    case Errc::flood:
    case Errc::malformed:
      return 1;
    case Errc::internal:
      return 2;
    default:
      return 0;
  }
}

}  // namespace

Session::Session(Role role, const Limits& limits, Instant now)
    : role_(role),
      limits_(limits),
      next_id_(role == Role::client ? 1 : 2),
      opens_(limits.opens),
      pings_(limits.pings),
      useless_(limits.useless_frames),
      last_received_(now),
      next_ping_(now + limits.keepalive_interval),
      ping_due_(now) {}  // the first ping measures the RTT, without which no window grows

Result<StreamId> Session::open_stream(Instant /*now*/) {
  if (closed_ || peer_goes_away_) return fail(Errc::connection_closed);
  if (outbound_ >= limits_.max_outbound_streams) return fail(Errc::limit_reached, "streams opened on one connection");
  if (next_id_ > std::numeric_limits<std::uint32_t>::max()) {
    return fail(Errc::limit_reached, "the connection has used up its stream ids");
  }
  const auto id = static_cast<std::uint32_t>(next_id_);
  next_id_ += 2;
  Stream& stream = add_stream(id, Direction::outbound);
  stream.syn_due = true;
  if (unacknowledged_ >= limits_.max_unacknowledged || !waiting_.empty()) {
    stream.waiting = true;
    waiting_.push_back(id);
  } else {
    stream.unacknowledged = true;
    ++unacknowledged_;
    schedule(stream);
  }
  return StreamId{id};
}

Result<std::size_t> Session::write(StreamId id, BytesView bytes) {
  if (closed_) return fail(Errc::connection_closed);
  Stream* const stream = find(id.value);
  if (stream == nullptr || stream->finish_requested) return fail(Errc::stream_closed);
  const std::size_t capacity = send_capacity();
  const std::size_t room = capacity > stream->send.size() ? capacity - stream->send.size() : 0;
  const std::size_t count = std::min(room, bytes.size());
  stream->send.append(pool_, bytes.first(count));
  send_memory_ += count;
  if (count < bytes.size()) stream->wants_writable = true;
  schedule(*stream);
  return count;
}

Result<ReadResult> Session::read(Instant now, StreamId id, MutableBytes out) {
  Stream* const stream = find(id.value);
  if (stream == nullptr || stream->stopped) return fail(closed_ ? Errc::connection_closed : Errc::stream_closed);
  const std::size_t count = stream->receive.pop(pool_, out);
  receive_memory_ -= count;
  const bool is_end = stream->finish_received && stream->receive.empty();
  // After the end of the session what had arrived can still be read, but the missing rest is an error, not an end.
  if (closed_ && count == 0 && !is_end && stream->receive.empty()) return fail(Errc::connection_closed);
  if (is_end) {
    stream->end_read = true;
    erase_if_done(*stream);
  } else if (!closed_ && count > 0) {
    grow_window(now, *stream, count);
    schedule(*stream);
  }
  return ReadResult{.size = count, .is_end = is_end};
}

void Session::finish(StreamId id) {
  Stream* const stream = find(id.value);
  if (closed_ || stream == nullptr || stream->finish_requested) return;
  stream->finish_requested = true;
  stream->wants_writable = false;
  schedule(*stream);
}

void Session::reset(StreamId id, std::uint64_t /*code*/) {
  Stream* const stream = find(id.value);
  if (!closed_ && stream != nullptr) reset_by_us(*stream);
}

void Session::stop_sending(StreamId id, std::uint64_t /*code*/) {
  Stream* const stream = find(id.value);
  if (closed_ || stream == nullptr || stream->stopped) return;
  stream->stopped = true;
  receive_memory_ -= stream->receive.size();
  stream->receive.clear(pool_);
  erase_if_done(*stream);
  if (Stream* const rest = find(id.value)) schedule(*rest);  // what was unread is credit for the peer now
}

void Session::close(Instant /*now*/, Error why) {
  if (closed_) return;
  goodbye_ = go_away_code(why.code());
  end_session(std::move(why), ClosedBy::local);
}

void Session::abort(Error why, ClosedBy by) {
  output_ended_ = true;
  end_session(std::move(why), by);
}

void Session::handle_eof(Instant /*now*/) {
  if (peer_goes_away_) return abort(Error(Errc::connection_closed), ClosedBy::remote);
  abort(Error(Errc::connection_reset, "without a goodbye"), ClosedBy::transport);
}

void Session::handle_timeout(Instant now) {
  if (closed_) return;
  if (ping_due_) {
    if (now >= std::max(*ping_due_, last_received_) + limits_.keepalive_timeout) {
      abort(Error(Errc::peer_silent), ClosedBy::transport);
    }
    return;
  }
  if (now < next_ping_) return;
  ping_due_ = now;
  next_ping_ = now + limits_.keepalive_interval;
  pool_.trim();
}

std::optional<Instant> Session::next_timeout() const {
  if (closed_) return std::nullopt;
  if (ping_due_) return std::max(*ping_due_, last_received_) + limits_.keepalive_timeout;
  return next_ping_;
}

std::optional<ConnectionEvent> Session::poll_event() {
  // After the peer's GoAway the session lives as long as its streams (spec, "Go Away").
  if (events_.empty() && peer_goes_away_ && streams_.empty() && !closed_) {
    end_session(Error(Errc::connection_closed), ClosedBy::remote);
  }
  if (events_.empty()) return std::nullopt;
  ConnectionEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Status Session::snapshot() const {
  Status status = counters_;
  status.is_closed = closed_;
  status.streams_inbound = inbound_;
  status.streams_outbound = outbound_;
  status.streams_waiting = waiting_.size();
  status.receive_buffered = receive_memory_;
  status.send_buffered = send_memory_;
  status.receive_windows = window_total_;
  status.queued_control = control_.size();
  status.rtt = rtt_;
  return status;
}

Session::Stream* Session::find(std::uint64_t id) {
  if (id > std::numeric_limits<std::uint32_t>::max()) return nullptr;
  const auto found = streams_.find(static_cast<std::uint32_t>(id));
  return found == streams_.end() ? nullptr : &found->second;
}

Session::Stream& Session::add_stream(std::uint32_t id, Direction direction) {
  Stream& stream = streams_[id];
  stream.id = id;
  stream.direction = direction;
  stream.place = parked_.insert(parked_.end(), &stream);
  ++(direction == Direction::inbound ? inbound_ : outbound_);
  window_total_ += stream.window_size;
  return stream;
}

void Session::erase(Stream& stream) {
  acknowledge(stream);
  if (stream.waiting) std::erase(waiting_, stream.id);
  if (payload_stream_ == &stream) payload_stream_ = nullptr;
  (stream.is_ready ? ready_ : parked_).erase(stream.place);
  --(stream.direction == Direction::inbound ? inbound_ : outbound_);
  window_total_ -= stream.window_size;
  receive_memory_ -= stream.receive.size();
  send_memory_ -= stream.send.size();
  stream.receive.clear(pool_);
  stream.send.clear(pool_);
  streams_.erase(stream.id);
}

void Session::erase_if_done(Stream& stream) {
  const bool is_read_done = stream.end_read || (stream.stopped && stream.finish_received);
  if (stream.finish_sent && is_read_done) erase(stream);
}

void Session::reset_by_us(Stream& stream) {
  // A stream the peer has not heard of needs no RST.
  if (!stream.syn_due) {
    push_control({.type = YamuxType::window_update, .flags = k_yamux_rst, .stream = stream.id, .length = 0});
  }
  erase(stream);
}

void Session::push_event(ConnectionEvent event) {
  if (!closed_) events_.push_back(std::move(event));
}

// The last event is queued here and nowhere else.
void Session::end_session(Error why, ClosedBy by) {
  if (closed_) return;
  events_.push_back(Closed{.error = std::move(why), .by = by});
  closed_ = true;
  waiting_.clear();
}

void Session::violation(Errc code, std::string_view detail) {
  if (closed_) return;
  while (!ready_.empty()) park(*ready_.front());  // nothing but the goodbye leaves any more
  control_.clear();
  goodbye_ = go_away_code(code);
  end_session(Error(code, detail), ClosedBy::local);
}

void Session::push_control(const YamuxHeader& header) {
  // Input stops at max_queued_control; what one read buffer may add on top of it is bounded too.
  if (control_.size() >= 8 * limits_.max_queued_control) return violation(Errc::flood, "answers that nobody reads");
  control_.push_back(header);
}

void Session::acknowledge(Stream& stream) {
  if (!stream.unacknowledged) return;
  stream.unacknowledged = false;
  --unacknowledged_;
  start_waiting_stream();
}

void Session::start_waiting_stream() {
  if (closed_ || waiting_.empty() || unacknowledged_ >= limits_.max_unacknowledged) return;
  Stream* const stream = find(waiting_.front());
  waiting_.pop_front();
  stream->waiting = false;
  stream->unacknowledged = true;
  ++unacknowledged_;
  push_event(StreamOpened{.stream = StreamId{stream->id}, .direction = Direction::outbound});
  schedule(*stream);
}

// A window is too small for the path when the reader takes a whole one within a few round trips: then the sender
// waits for credit rather than for the network. Doubling stops where the reader, not the window, is the limit.
void Session::grow_window(Instant now, Stream& stream, std::size_t read) {
  constexpr int k_round_trips = 4;
  stream.consumed += read;
  if (stream.consumed < stream.window_size) return;
  const bool is_fast = rtt_ && stream.epoch_start && now - *stream.epoch_start <= k_round_trips * *rtt_;
  stream.consumed = 0;
  stream.epoch_start = now;
  if (!is_fast || stream.window_size >= limits_.max_window) return;
  const std::uint32_t growth = std::min(stream.window_size, limits_.max_window - stream.window_size);
  if (window_total_ + growth > limits_.max_receive_memory) return;
  stream.window_size += growth;
  window_total_ += growth;
}

}  // namespace dig::yamux
