// SPDX-License-Identifier: Apache-2.0
// A yamux session (yamux spec, /yamux/1.0.0) over plaintext bytes: streams, flow control both ways, keepalive and the
// limits that keep a hostile peer cheap. Plaintext goes in by handle_plaintext, whole frames come out of
// poll_plaintext. YamuxConnection puts Noise around it; the stream rules are those of connection.hpp.
//
// yamux carries neither error codes nor STOP_SENDING: a reset arrives with code 0, and stop_sending() discards what
// still comes, up to Limits::max_discarded, and then resets the stream.
#pragma once

#include <array>
#include <deque>
#include <list>
#include <optional>
#include <unordered_map>

#include "base/time.hpp"
#include "proto/connection/connection.hpp"
#include "proto/yamux/byte_queue.hpp"
#include "proto/yamux/rate_limiter.hpp"
#include "proto/yamux/used_ids.hpp"
#include "wire/yamux_frame.hpp"

namespace dig::yamux {

// yamux spec, "Flow Control": every stream starts with this window in both directions.
inline constexpr std::uint32_t k_initial_window = 256 * 1024;

struct Limits {
  std::size_t max_inbound_streams = 512;    // further SYNs are answered with RST
  std::size_t max_outbound_streams = 1024;  // further open_stream() calls fail
  std::size_t max_unacknowledged = 256;     // spec, "ACK backlog"; further opens wait
  std::uint32_t max_window = 16U << 20U;    // a receive window grows up to this
  // Windows grow only while all of them together stay within this. A stream whose unread data would exceed it is reset.
  std::size_t max_receive_memory = 32U << 20U;
  std::size_t max_stream_send_buffer = 256U << 10U;
  std::size_t max_send_memory = 8U << 20U;  // beyond it a stream may hold min_stream_send_buffer only
  std::size_t min_stream_send_buffer = 16U << 10U;
  std::size_t max_frame_data = 65519 - YamuxHeader::size;  // one Noise frame holds header and data
  std::uint64_t max_discarded = 1U << 20U;                 // after stop_sending
  std::size_t max_queued_control = 1024;  // pongs and RSTs that wait; beyond it no more input is wanted
  Rate opens{.per_second = 2000, .burst = 4000};
  Rate pings{.per_second = 32, .burst = 256};
  Rate useless_frames{.per_second = 2000, .burst = 10'000};  // empty updates, empty data, unasked pongs …
  Duration keepalive_interval = 30s;
  Duration keepalive_timeout = 10s;  // after a ping, without a single byte from the peer
};

enum class Role : std::uint8_t { client, server };  // who dialled is the client: odd ids

struct Status {
  bool is_closed = false;
  std::size_t streams_inbound = 0;
  std::size_t streams_outbound = 0;
  std::size_t streams_waiting = 0;  // opened here, not yet announced to the peer
  std::size_t receive_buffered = 0;
  std::size_t send_buffered = 0;
  std::uint64_t receive_windows = 0;  // sum of the current window sizes
  std::size_t queued_control = 0;
  std::optional<Duration> rtt;
  std::uint64_t streams_refused = 0;      // beyond max_inbound_streams
  std::uint64_t streams_over_memory = 0;  // reset at max_receive_memory
  std::uint64_t frames_useless = 0;
  std::uint64_t bytes_ignored = 0;  // data for streams that are gone or stopped
};

class Session {
 public:
  using Event = ConnectionEvent;

  Session(Role role, const Limits& limits, Instant now);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] Result<StreamId> open_stream(Instant now);
  [[nodiscard]] Result<std::size_t> write(StreamId stream, BytesView bytes);
  [[nodiscard]] Result<ReadResult> read(Instant now, StreamId stream, MutableBytes out);
  void finish(StreamId stream);
  void reset(StreamId stream, std::uint64_t code);
  void stop_sending(StreamId stream, std::uint64_t code);
  // Data that arrived before the end stays readable afterwards.
  void close(Instant now, Error why);
  // For the owner, when the transport or the layer below has failed: nothing more is sent.
  void abort(Error why, ClosedBy by);

  void handle_plaintext(Instant now, BytesView bytes);
  // The same for block->bytes[begin, end). Takes the block (leaving null) when a payload fills most of it.
  void handle_block(Instant now, BlockPtr& block);
  [[nodiscard]] BlockPtr take_block(std::size_t size) { return pool_.take(size); }
  void give_back(BlockPtr block) { pool_.give_back(std::move(block)); }
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  // Writes whole frames; needs room for a header and some data to make progress.
  [[nodiscard]] std::size_t poll_plaintext(Instant now, MutableBytes out);
  [[nodiscard]] std::optional<ConnectionEvent> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  // False while the peer lets our answers pile up: it must read before it may go on.
  [[nodiscard]] bool wants_bytes() const noexcept { return !closed_ && control_.size() < limits_.max_queued_control; }
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }
  [[nodiscard]] Status snapshot() const;

 private:
  struct Stream {
    std::uint32_t id = 0;
    Direction direction = Direction::outbound;
    bool waiting = false;  // outbound: the ACK backlog is full
    bool syn_due = false;  // the next frame announces the stream
    bool ack_due = false;  // the next frame accepts the stream
    bool unacknowledged = false;
    // Send half.
    ByteQueue send;
    std::uint32_t send_window = k_initial_window;
    bool finish_requested = false;
    bool finish_sent = false;
    bool wants_writable = false;
    // Receive half. window_size = credit of the peer + unread bytes + what we owe it.
    ByteQueue receive;
    std::uint32_t window_size = k_initial_window;
    std::uint32_t credit = k_initial_window;
    bool finish_received = false;
    bool end_read = false;
    bool stopped = false;
    std::uint64_t discarded = 0;
    std::optional<Instant> epoch_start;  // since when `consumed` is counted
    std::uint64_t consumed = 0;
    // Place in ready_ or parked_.
    bool is_ready = false;
    std::list<Stream*>::iterator place;
  };
  class FrameWriter;

  // session.cpp: streams and the end of the session.
  [[nodiscard]] Stream* find(std::uint64_t id);
  Stream& add_stream(std::uint32_t id, Direction direction);
  void erase(Stream& stream);
  void erase_if_done(Stream& stream);
  void reset_by_us(Stream& stream);
  void push_event(ConnectionEvent event);
  void end_session(Error why, ClosedBy by);
  void violation(Errc code, std::string_view detail);
  void push_control(const YamuxHeader& header);
  void acknowledge(Stream& stream);
  void start_waiting_stream();
  void grow_window(Instant now, Stream& stream, std::size_t read);

  // session_input.cpp
  void consume(Instant now, BytesView bytes, BlockPtr* block);
  void handle_header(Instant now, const YamuxHeader& header);
  void handle_data(Instant now, const YamuxHeader& header);
  void handle_window_update(Instant now, const YamuxHeader& header);
  void handle_ping(Instant now, const YamuxHeader& header);
  void handle_go_away(Instant now, const YamuxHeader& header);
  [[nodiscard]] Stream* stream_of_frame(Instant now, const YamuxHeader& header);
  [[nodiscard]] Stream* accept_stream(Instant now, const YamuxHeader& header);
  void handle_payload(Instant now, BytesView payload, BlockPtr* block);
  void handle_finish(Stream& stream);
  void handle_reset(Stream& stream);
  void count_useless(Instant now);

  // session_output.cpp
  [[nodiscard]] bool needs_output(const Stream& stream) const;
  [[nodiscard]] std::uint32_t credit_owed(const Stream& stream) const;
  [[nodiscard]] bool is_credit_due(const Stream& stream) const;
  [[nodiscard]] std::size_t send_capacity() const noexcept;
  void schedule(Stream& stream);
  void park(Stream& stream);
  void write_control(Instant now, FrameWriter& out);
  [[nodiscard]] bool write_stream(Stream& stream, FrameWriter& out);
  [[nodiscard]] bool write_data(Stream& stream, FrameWriter& out);
  // SYN or ACK, if the stream still owes it to its next frame.
  [[nodiscard]] static std::uint16_t take_flags(Stream& stream);

  [[nodiscard]] bool is_ours(std::uint32_t id) const noexcept { return (id % 2 == 1) == (role_ == Role::client); }

  Role role_;
  Limits limits_;
  BlockPool pool_;
  std::unordered_map<std::uint32_t, Stream> streams_;
  std::list<Stream*> ready_;   // have something to send, in turn
  std::list<Stream*> parked_;  // the others; nodes move between the lists, nothing is allocated
  std::deque<std::uint32_t> waiting_;
  std::deque<YamuxHeader> control_;
  std::deque<ConnectionEvent> events_;
  std::uint64_t next_id_;
  UsedIds used_ids_;
  std::size_t inbound_ = 0;
  std::size_t outbound_ = 0;
  std::size_t unacknowledged_ = 0;
  std::size_t receive_memory_ = 0;
  std::size_t send_memory_ = 0;
  std::uint64_t window_total_ = 0;

  // The frame being read.
  std::array<std::byte, YamuxHeader::size> header_;
  std::size_t header_size_ = 0;
  std::uint32_t payload_left_ = 0;
  bool payload_finishes_ = false;
  Stream* payload_stream_ = nullptr;  // null: the payload is discarded

  RateLimiter opens_;
  RateLimiter pings_;
  RateLimiter useless_;

  // Keepalive.
  Instant last_received_;
  Instant next_ping_;
  std::optional<Instant> ping_due_;   // wanted since then; answered when reset
  std::optional<Instant> ping_sent_;  // when it was written
  std::uint32_t ping_value_ = 0;
  std::optional<Duration> rtt_;

  bool closed_ = false;  // Closed was queued; only what is left to send still moves
  bool output_ended_ = false;
  bool peer_goes_away_ = false;
  std::optional<std::uint32_t> goodbye_;  // the GoAway code to send last
  Status counters_;
};

}  // namespace dig::yamux
