// SPDX-License-Identifier: Apache-2.0
// What we send: control frames first, then one frame of each stream that has something, in turn.
#include <algorithm>

#include "proto/yamux/session.hpp"

namespace dig::yamux {

class Session::FrameWriter {
 public:
  explicit FrameWriter(MutableBytes out) noexcept : out_(out) {}

  [[nodiscard]] std::size_t used() const noexcept { return used_; }
  // Room for data behind a header; nothing when not even the header fits.
  [[nodiscard]] std::optional<std::size_t> room() const noexcept {
    if (out_.size() - used_ < YamuxHeader::size) return std::nullopt;
    return out_.size() - used_ - YamuxHeader::size;
  }
  void header(const YamuxHeader& header) noexcept {
    header.encode(out_.subspan(used_).first<YamuxHeader::size>());
    used_ += YamuxHeader::size;
  }
  // Where the data of the header just written goes.
  [[nodiscard]] MutableBytes payload(std::size_t size) noexcept {
    const MutableBytes place = out_.subspan(used_, size);
    used_ += size;
    return place;
  }

 private:
  MutableBytes out_;
  std::size_t used_ = 0;
};

std::size_t Session::poll_plaintext(Instant now, MutableBytes bytes) {
  if (output_ended_) return 0;
  FrameWriter out(bytes);
  write_control(now, out);
  while (!ready_.empty()) {
    Stream& stream = *ready_.front();
    const bool has_room = write_stream(stream, out);  // may erase the stream
    if (!has_room) break;
  }
  if (goodbye_ && ready_.empty() && control_.empty() && out.room()) {
    out.header({.type = YamuxType::go_away, .flags = 0, .stream = 0, .length = *goodbye_});
    goodbye_.reset();
    output_ended_ = true;
  }
  return out.used();
}

void Session::write_control(Instant now, FrameWriter& out) {
  while (!control_.empty() && out.room()) {
    out.header(control_.front());
    control_.pop_front();
  }
  if (closed_ || !ping_due_ || ping_sent_ || !out.room()) return;
  out.header({.type = YamuxType::ping, .flags = k_yamux_syn, .stream = 0, .length = ping_value_});
  ping_sent_ = now;
}

// One turn of one stream. False: `out` is full and the stream stays first.
bool Session::write_stream(Stream& stream, FrameWriter& out) {
  const bool has_data = !stream.send.empty() && stream.send_window > 0;
  const bool has_finish = stream.finish_requested && !stream.finish_sent && stream.send.empty();
  const bool needs_announcing = (stream.syn_due || stream.ack_due) && !has_data && !has_finish;
  if (needs_announcing || is_credit_due(stream)) {
    if (!out.room()) return false;
    const std::uint32_t owed = credit_owed(stream);
    out.header({.type = YamuxType::window_update, .flags = take_flags(stream), .stream = stream.id, .length = owed});
    stream.credit += owed;
  }
  if (has_data) {
    if (!write_data(stream, out)) return false;
  } else if (has_finish) {
    // FIN travels alone: some implementations look at the flags of a frame before its data.
    if (!out.room()) return false;
    out.header({.type = YamuxType::data,
                .flags = static_cast<std::uint16_t>(take_flags(stream) | k_yamux_fin),
                .stream = stream.id,
                .length = 0});
    stream.finish_sent = true;
  }
  if (needs_output(stream)) {
    ready_.splice(ready_.end(), ready_, stream.place);
  } else {
    park(stream);
    erase_if_done(stream);
  }
  return true;
}

bool Session::write_data(Stream& stream, FrameWriter& out) {
  // A splinter at the end of a buffer costs the peer more than it saves: leave it for the next buffer.
  constexpr std::size_t k_min_data = 4096;
  const std::size_t wanted =
      std::min({stream.send.size(), static_cast<std::size_t>(stream.send_window), limits_.max_frame_data});
  const std::size_t room = out.room().value_or(0);
  if (room == 0 || (out.used() > 0 && room < std::min(wanted, k_min_data))) return false;
  const std::size_t count = std::min(wanted, room);
  out.header({.type = YamuxType::data,
              .flags = take_flags(stream),
              .stream = stream.id,
              .length = static_cast<std::uint32_t>(count)});
  stream.send.pop(pool_, out.payload(count));
  stream.send_window -= static_cast<std::uint32_t>(count);
  send_memory_ -= count;
  if (stream.wants_writable && stream.send.size() <= send_capacity() / 2) {
    stream.wants_writable = false;
    push_event(StreamWritable{.stream = StreamId{stream.id}});
  }
  return true;
}

std::uint16_t Session::take_flags(Stream& stream) {
  const int flags = (stream.syn_due ? k_yamux_syn : 0) | (stream.ack_due ? k_yamux_ack : 0);
  stream.syn_due = false;
  stream.ack_due = false;
  return static_cast<std::uint16_t>(flags);
}

bool Session::needs_output(const Stream& stream) const {
  if (stream.waiting) return false;
  if (stream.syn_due || stream.ack_due || is_credit_due(stream)) return true;
  if (!stream.send.empty()) return stream.send_window > 0;
  return stream.finish_requested && !stream.finish_sent;
}

std::uint32_t Session::credit_owed(const Stream& stream) const {
  if (closed_ || stream.finish_received) return 0;
  // Bytes of a frame that is still arriving are neither credit nor unread yet; they are not owed.
  const std::uint32_t arriving = payload_stream_ == &stream ? payload_left_ : 0;
  return stream.window_size - stream.credit - arriving - static_cast<std::uint32_t>(stream.receive.size());
}

bool Session::is_credit_due(const Stream& stream) const { return credit_owed(stream) >= stream.window_size / 2; }

std::size_t Session::send_capacity() const noexcept {
  return send_memory_ < limits_.max_send_memory ? limits_.max_stream_send_buffer : limits_.min_stream_send_buffer;
}

void Session::schedule(Stream& stream) {
  if (stream.is_ready || closed_ || !needs_output(stream)) return;
  stream.is_ready = true;
  ready_.splice(ready_.end(), parked_, stream.place);
}

void Session::park(Stream& stream) {
  stream.is_ready = false;
  parked_.splice(parked_.end(), ready_, stream.place);
}

}  // namespace dig::yamux
