// SPDX-License-Identifier: Apache-2.0
// Test-only: a connection in memory with the habits of QUIC (RFC 9000 §2-4): ids in steps of four, opens limited by
// credit that comes back when streams end, codes and STOP_SENDING on the wire, per-stream flow control, and the newest
// stream served first. It shows that the conformance suite tests the contract and not yamux; owners are tested with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "proto/connection/connection.hpp"

namespace dig::testing {

struct MemoryFrame {
  enum class Type : std::uint8_t { hello, data, reset, stop_sending, max_data, streams_ended, ping, close };
  Type type = Type::ping;
  std::uint64_t stream = 0;
  std::uint64_t value = 0;  // a code, a credit or a count
  Bytes bytes{};
  bool is_end = false;
  PublicKey key{};

  [[nodiscard]] std::size_t size() const noexcept { return 16 + bytes.size(); }
};

struct MemoryLimits {
  std::size_t open_streams = 8;  // of one side at once
  std::size_t waiting_streams = 64;
  std::size_t window = 48'000;
  std::size_t send_buffer = 30'000;
  std::size_t frame_data = 1200;
  Duration ping_interval = 5s;
  Duration idle_timeout = 20s;
};

class MemoryConnection final : public Connection {
 public:
  MemoryConnection(Direction direction, PublicKey own_key, const MemoryLimits& limits, Instant now);

  [[nodiscard]] Result<StreamId> open_stream(Instant now) override;
  [[nodiscard]] Result<std::size_t> write(StreamId stream, BytesView bytes) override;
  [[nodiscard]] Result<ReadResult> read(Instant now, StreamId stream, MutableBytes out) override;
  void finish(StreamId stream) override;
  void reset(StreamId stream, std::uint64_t code) override;
  void stop_sending(StreamId stream, std::uint64_t code) override;
  void close(Instant now, Error why) override;
  [[nodiscard]] std::optional<ConnectionEvent> poll_event() override;
  [[nodiscard]] ConnectionStatus snapshot() const override;

  // The transport side, in frames instead of bytes. next_frame() keeps data within `room`.
  [[nodiscard]] std::optional<MemoryFrame> next_frame(std::size_t room);
  void handle_frame(Instant now, MemoryFrame frame);
  void handle_cut();
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;

 private:
  struct Stream {
    Bytes send;
    std::size_t send_credit = 0;
    bool wants_writable = false;
    bool is_finishing = false;
    bool is_write_done = false;  // the end was sent, or the peer reads no more
    Bytes receive;
    std::size_t consumed = 0;  // since the last max_data
    bool is_end_received = false;
    bool is_read_done = false;
    bool is_stopped = false;
    bool is_waiting = false;
  };

  [[nodiscard]] bool is_ours(std::uint64_t id) const noexcept { return id % 2 == (is_dialer_ ? 0U : 1U); }
  [[nodiscard]] Stream* find(StreamId id);
  void erase(std::uint64_t id);
  void erase_if_done(std::uint64_t id, Stream& stream);
  void allow_waiting();
  void push(ConnectionEvent event);
  void end(Error why, ClosedBy by);
  void handle_data(std::uint64_t id, const MemoryFrame& frame);
  void handle_stream_frame(const MemoryFrame& frame);
  [[nodiscard]] std::optional<MemoryFrame> next_data(std::size_t room);

  bool is_dialer_;
  MemoryLimits limits_;
  std::map<std::uint64_t, Stream> streams_;
  std::deque<std::uint64_t> waiting_;
  std::deque<MemoryFrame> control_;
  std::deque<ConnectionEvent> events_;
  std::uint64_t next_id_;
  std::set<std::uint64_t> peer_ids_;  // every id the peer has used
  std::size_t opened_ = 0;            // of ours, counted against the peer's credit
  Instant last_received_;
  Instant last_ping_;
  bool is_established_ = false;
  bool is_closed_ = false;
  bool is_silent_ = false;  // nothing is sent any more
  std::optional<MemoryFrame> goodbye_;
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t bytes_received_ = 0;
};

inline MemoryConnection::MemoryConnection(Direction direction, PublicKey own_key, const MemoryLimits& limits,
                                          Instant now)
    : is_dialer_(direction == Direction::outbound),
      limits_(limits),
      next_id_(is_dialer_ ? 0 : 1),
      last_received_(now),
      last_ping_(now) {
  control_.push_back({.type = MemoryFrame::Type::hello, .key = std::move(own_key)});
}

inline Result<StreamId> MemoryConnection::open_stream(Instant /*now*/) {
  if (is_closed_ || !is_established_) return fail(Errc::connection_closed);
  const bool must_wait = opened_ >= limits_.open_streams;
  if (must_wait && waiting_.size() >= limits_.waiting_streams) return fail(Errc::limit_reached, "waiting streams");
  const std::uint64_t id = next_id_;
  next_id_ += 4;
  Stream& stream = streams_[id];
  stream.send_credit = limits_.window;
  stream.is_waiting = must_wait;
  if (must_wait) {
    waiting_.push_back(id);
  } else {
    ++opened_;
  }
  return StreamId{id};
}

inline Result<std::size_t> MemoryConnection::write(StreamId id, BytesView bytes) {
  if (is_closed_) return fail(Errc::connection_closed);
  Stream* const stream = find(id);
  if (stream == nullptr || stream->is_finishing || stream->is_write_done) return fail(Errc::stream_closed);
  const std::size_t count = std::min(bytes.size(), limits_.send_buffer - stream->send.size());
  append(stream->send, bytes.first(count));
  if (count < bytes.size()) stream->wants_writable = true;
  return count;
}

inline Result<ReadResult> MemoryConnection::read(Instant /*now*/, StreamId id, MutableBytes out) {
  Stream* const stream = find(id);
  if (stream == nullptr || stream->is_stopped) return fail(is_closed_ ? Errc::connection_closed : Errc::stream_closed);
  const std::size_t count = std::min(out.size(), stream->receive.size());
  if (count > 0) std::memcpy(out.data(), stream->receive.data(), count);
  stream->receive.erase(stream->receive.begin(), stream->receive.begin() + static_cast<std::ptrdiff_t>(count));
  const bool is_end = stream->is_end_received && stream->receive.empty();
  if (is_closed_ && count == 0 && !is_end && stream->receive.empty()) return fail(Errc::connection_closed);
  stream->consumed += count;
  if (stream->consumed >= limits_.window / 3 && !stream->is_end_received) {
    control_.push_back({.type = MemoryFrame::Type::max_data, .stream = id.value, .value = stream->consumed});
    stream->consumed = 0;
  }
  if (is_end) {
    stream->is_read_done = true;
    erase_if_done(id.value, *stream);
  }
  return ReadResult{.size = count, .is_end = is_end};
}

inline void MemoryConnection::finish(StreamId id) {
  if (Stream* const stream = find(id)) stream->is_finishing = true;
}

inline void MemoryConnection::reset(StreamId id, std::uint64_t code) {
  Stream* const stream = find(id);
  if (stream == nullptr || is_closed_) return;
  if (!stream->is_waiting) control_.push_back({.type = MemoryFrame::Type::reset, .stream = id.value, .value = code});
  erase(id.value);
}

inline void MemoryConnection::stop_sending(StreamId id, std::uint64_t code) {
  Stream* const stream = find(id);
  if (stream == nullptr || is_closed_ || stream->is_stopped) return;
  stream->is_stopped = true;
  stream->receive.clear();
  stream->is_read_done = stream->is_end_received;
  if (!stream->is_end_received) {
    control_.push_back({.type = MemoryFrame::Type::stop_sending, .stream = id.value, .value = code});
  }
  erase_if_done(id.value, *stream);
}

inline void MemoryConnection::close(Instant /*now*/, Error why) {
  if (is_closed_) return;
  goodbye_ = MemoryFrame{.type = MemoryFrame::Type::close};
  end(std::move(why), ClosedBy::local);
}

inline std::optional<ConnectionEvent> MemoryConnection::poll_event() {
  if (events_.empty()) return std::nullopt;
  ConnectionEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

inline ConnectionStatus MemoryConnection::snapshot() const {
  ConnectionStatus status{.is_established = is_established_,
                          .is_closed = is_closed_,
                          .bytes_received = bytes_received_,
                          .bytes_sent = bytes_sent_,
                          .rtt = {}};
  for (const auto& [id, stream] : streams_) {
    ++(is_ours(id) ? status.streams_outbound : status.streams_inbound);
    status.buffered_bytes += stream.send.size() + stream.receive.size();
  }
  return status;
}

inline std::optional<MemoryFrame> MemoryConnection::next_frame(std::size_t room) {
  if (is_silent_) return std::nullopt;
  std::optional<MemoryFrame> frame;
  if (!control_.empty()) {
    frame = std::move(control_.front());
    control_.pop_front();
  } else if (is_established_) {
    frame = next_data(room);
  }
  if (!frame && goodbye_) {
    frame = std::exchange(goodbye_, std::nullopt);
    is_silent_ = true;
  }
  if (frame) bytes_sent_ += frame->size();
  return frame;
}

inline std::optional<MemoryFrame> MemoryConnection::next_data(std::size_t room) {
  for (auto entry = streams_.rbegin(); entry != streams_.rend(); ++entry) {  // the newest first: no order is promised
    auto& [id, stream] = *entry;
    if (stream.is_waiting || stream.is_write_done) continue;
    const std::size_t count =
        std::min({stream.send.size(), stream.send_credit, limits_.frame_data, std::max<std::size_t>(room, 1)});
    const bool is_end = stream.is_finishing && count == stream.send.size();
    if (count == 0 && !is_end) continue;
    MemoryFrame frame{.type = MemoryFrame::Type::data, .stream = id, .is_end = is_end};
    const auto cut = stream.send.begin() + static_cast<std::ptrdiff_t>(count);
    frame.bytes.assign(stream.send.begin(), cut);
    stream.send.erase(stream.send.begin(), cut);
    stream.send_credit -= count;
    if (std::exchange(stream.wants_writable, stream.wants_writable && stream.send.size() > limits_.send_buffer / 2) &&
        !stream.wants_writable && !stream.is_finishing) {
      push(StreamWritable{StreamId{id}});
    }
    stream.is_write_done = is_end;
    const std::uint64_t stream_id = id;
    erase_if_done(stream_id, stream);
    return frame;
  }
  return std::nullopt;
}

inline void MemoryConnection::handle_frame(Instant now, MemoryFrame frame) {
  if (is_closed_) return;
  last_received_ = now;
  bytes_received_ += frame.size();
  switch (frame.type) {
    case MemoryFrame::Type::hello:
      is_established_ = true;
      push(Established{.peer = PeerId::from_public_key(frame.key), .public_key = frame.key});
      return;
    case MemoryFrame::Type::ping:
      return;
    case MemoryFrame::Type::close:
      is_silent_ = true;
      return end(Error(Errc::connection_closed), ClosedBy::remote);
    case MemoryFrame::Type::streams_ended:
      opened_ -= std::min<std::size_t>(opened_, frame.value);
      return allow_waiting();
    default:
      return handle_stream_frame(frame);
  }
}

inline void MemoryConnection::handle_stream_frame(const MemoryFrame& frame) {
  if (!is_ours(frame.stream) && peer_ids_.insert(frame.stream).second) {
    streams_[frame.stream].send_credit = limits_.window;
    push(StreamOpened{.stream = StreamId{frame.stream}, .direction = Direction::inbound});
  }
  Stream* const stream = find(StreamId{frame.stream});
  if (stream == nullptr) return;
  switch (frame.type) {
    case MemoryFrame::Type::data:
      return handle_data(frame.stream, frame);
    case MemoryFrame::Type::reset:
      push(StreamReset{.stream = StreamId{frame.stream}, .code = frame.value});
      return erase(frame.stream);
    case MemoryFrame::Type::stop_sending:
      if (stream->is_write_done) return;
      push(StreamStopped{.stream = StreamId{frame.stream}, .code = frame.value});
      stream->send.clear();
      stream->is_write_done = true;
      control_.push_back({.type = MemoryFrame::Type::data, .stream = frame.stream, .is_end = true});
      return erase_if_done(frame.stream, *stream);
    case MemoryFrame::Type::max_data:
      stream->send_credit += frame.value;
      return;
    default:
      return;
  }
}

inline void MemoryConnection::handle_data(std::uint64_t id, const MemoryFrame& frame) {
  Stream& stream = streams_.at(id);
  if (!stream.is_stopped) {
    const bool was_empty = stream.receive.empty();
    append(stream.receive, frame.bytes);
    if (was_empty && (frame.is_end || !frame.bytes.empty())) push(StreamReadable{StreamId{id}});
  }
  stream.is_end_received = stream.is_end_received || frame.is_end;
  if (stream.is_stopped && stream.is_end_received) stream.is_read_done = true;
  erase_if_done(id, stream);
}

inline void MemoryConnection::handle_cut() {
  is_silent_ = true;
  end(Error(Errc::connection_reset), ClosedBy::transport);
}

inline void MemoryConnection::handle_timeout(Instant now) {
  if (is_closed_) return;
  if (now >= last_received_ + limits_.idle_timeout) {
    is_silent_ = true;
    return end(Error(Errc::peer_silent), ClosedBy::transport);
  }
  if (now < last_ping_ + limits_.ping_interval) return;
  last_ping_ = now;
  control_.push_back({.type = MemoryFrame::Type::ping});
}

inline std::optional<Instant> MemoryConnection::next_timeout() const {
  if (is_closed_) return std::nullopt;
  return std::min(last_received_ + limits_.idle_timeout, last_ping_ + limits_.ping_interval);
}

inline MemoryConnection::Stream* MemoryConnection::find(StreamId id) {
  const auto found = streams_.find(id.value);
  return found == streams_.end() ? nullptr : &found->second;
}

inline void MemoryConnection::erase(std::uint64_t id) {
  const bool was_waiting = streams_.at(id).is_waiting;
  streams_.erase(id);
  if (was_waiting) std::erase(waiting_, id);
  // The side that did not open the stream gives the credit back.
  if (!is_ours(id)) control_.push_back({.type = MemoryFrame::Type::streams_ended, .value = 1});
}

inline void MemoryConnection::erase_if_done(std::uint64_t id, Stream& stream) {
  if (stream.is_write_done && stream.is_read_done) erase(id);
}

inline void MemoryConnection::allow_waiting() {
  while (!waiting_.empty() && opened_ < limits_.open_streams) {
    const std::uint64_t id = waiting_.front();
    waiting_.pop_front();
    streams_.at(id).is_waiting = false;
    ++opened_;
    push(StreamOpened{.stream = StreamId{id}, .direction = Direction::outbound});
  }
}

inline void MemoryConnection::push(ConnectionEvent event) {
  if (!is_closed_) events_.push_back(std::move(event));
}

inline void MemoryConnection::end(Error why, ClosedBy by) {
  if (is_closed_) return;
  push(Closed{.error = std::move(why), .by = by});
  is_closed_ = true;
}

}  // namespace dig::testing
