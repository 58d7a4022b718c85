// SPDX-License-Identifier: Apache-2.0
// What the peer sends: frames in any segmentation, each checked before it changes anything.
#include <algorithm>
#include <utility>

#include "proto/yamux/session.hpp"

namespace dig::yamux {

void Session::handle_plaintext(Instant now, BytesView bytes) { consume(now, bytes, nullptr); }

void Session::handle_block(Instant now, BlockPtr& block) {
  consume(now, BytesView(block->bytes.get() + block->begin, block->end - block->begin), &block);
}

void Session::consume(Instant now, BytesView bytes, BlockPtr* block) {
  last_received_ = now;
  while (!bytes.empty() && !closed_) {
    if (payload_left_ > 0) {
      const std::size_t count = std::min<std::size_t>(payload_left_, bytes.size());
      handle_payload(now, bytes.first(count), count == bytes.size() ? block : nullptr);
      bytes = bytes.subspan(count);
      continue;
    }
    const std::size_t count = std::min(YamuxHeader::size - header_size_, bytes.size());
    std::memcpy(header_.data() + header_size_, bytes.data(), count);
    header_size_ += count;
    bytes = bytes.subspan(count);
    if (header_size_ < YamuxHeader::size) return;
    header_size_ = 0;
    const auto header = YamuxHeader::decode(header_);
    if (!header) return violation(Errc::protocol_violation, header.error().detail());
    handle_header(now, *header);
  }
}

void Session::handle_header(Instant now, const YamuxHeader& header) {
  switch (header.type) {
    case YamuxType::data:
      return handle_data(now, header);
    case YamuxType::window_update:
      return handle_window_update(now, header);
    case YamuxType::ping:
      return handle_ping(now, header);
    case YamuxType::go_away:
      return handle_go_away(now, header);
  }
}

void Session::handle_data(Instant now, const YamuxHeader& header) {
  Stream* stream = stream_of_frame(now, header);
  if (closed_) return;
  if (stream == nullptr) {
    // Late data of a stream that is gone. No window can be larger than this, so no honest frame is.
    if (header.length > limits_.max_window) return violation(Errc::flow_control_violation, "frame beyond any window");
  } else if (header.length > stream->credit) {
    return violation(Errc::flow_control_violation, "data beyond the window");
  } else if (stream->finish_received && header.length > 0) {
    return violation(Errc::protocol_violation, "data after the end of a stream");
  } else {
    stream->credit -= header.length;
    if (header.length == 0 && header.flags == 0) count_useless(now);
    if (header.has(k_yamux_rst)) {
      handle_reset(*stream);
      stream = nullptr;
    }
  }
  if (closed_) return;
  payload_left_ = header.length;
  payload_stream_ = stream;
  payload_finishes_ = header.has(k_yamux_fin);
  if (payload_left_ == 0 && stream != nullptr) {
    payload_stream_ = nullptr;
    if (payload_finishes_) handle_finish(*stream);
  }
}

void Session::handle_window_update(Instant now, const YamuxHeader& header) {
  Stream* const stream = stream_of_frame(now, header);
  if (closed_ || stream == nullptr) return;
  if (header.length == 0 && header.flags == 0) count_useless(now);
  if (header.has(k_yamux_rst)) return handle_reset(*stream);
  std::uint32_t window = 0;
  if (__builtin_add_overflow(stream->send_window, header.length, &window)) {
    return violation(Errc::flow_control_violation, "send window overflow");
  }
  stream->send_window = window;
  schedule(*stream);
  if (header.has(k_yamux_fin)) handle_finish(*stream);
}

void Session::handle_ping(Instant now, const YamuxHeader& header) {
  if (header.stream != 0) return violation(Errc::protocol_violation, "ping on a stream");
  if (header.flags == k_yamux_syn) {
    if (!pings_.allow(now)) return violation(Errc::flood, "pings");
    return push_control({.type = YamuxType::ping, .flags = k_yamux_ack, .stream = 0, .length = header.length});
  }
  if (header.flags != k_yamux_ack) return violation(Errc::protocol_violation, "ping flags");
  if (!ping_sent_ || header.length != ping_value_) return count_useless(now);
  const Duration sample = now - *ping_sent_;
  rtt_ = rtt_ ? (*rtt_ * 7 + sample) / 8 : sample;  // smoothed as in RFC 6298 §2
  ping_sent_.reset();
  ping_due_.reset();
  ++ping_value_;
}

void Session::handle_go_away(Instant now, const YamuxHeader& header) {
  if (header.stream != 0) return violation(Errc::protocol_violation, "go away on a stream");
  if (header.length != 0) {
    const std::string_view reason = header.length == 1   ? "the peer reports a protocol error"
                                    : header.length == 2 ? "the peer reports an internal error"
                                                         : "the peer reports an unknown error";
    return abort(Error(Errc::connection_closed, reason), ClosedBy::remote);
  }
  if (peer_goes_away_) return count_useless(now);
  peer_goes_away_ = true;
}

// Finds or opens the stream of a data or window update frame. Null: the frame concerns no living stream (or the
// session has just ended).
Session::Stream* Session::stream_of_frame(Instant now, const YamuxHeader& header) {
  if (header.stream == 0) {
    violation(Errc::protocol_violation, "stream 0");
    return nullptr;
  }
  if (header.has(k_yamux_syn)) return accept_stream(now, header);
  Stream* const stream = find(header.stream);
  if (stream != nullptr && stream->syn_due) {
    violation(Errc::protocol_violation, "a stream that was never opened");
    return nullptr;
  }
  if (stream != nullptr) {
    acknowledge(*stream);  // any frame shows that the peer knows the stream, with or without ACK
  } else if (is_ours(header.stream) && header.stream >= next_id_) {
    violation(Errc::protocol_violation, "a stream that was never opened");
  } else if (header.type == YamuxType::window_update || header.length == 0) {
    count_useless(now);
  }
  return stream;
}

Session::Stream* Session::accept_stream(Instant now, const YamuxHeader& header) {
  if (is_ours(header.stream)) {
    violation(Errc::protocol_violation, "stream id of the wrong side");
    return nullptr;
  }
  if (!used_ids_.insert(header.stream >> 1U)) {
    violation(Errc::protocol_violation, "stream id used twice");
    return nullptr;
  }
  if (!opens_.allow(now)) {
    violation(Errc::flood, "stream opens");
    return nullptr;
  }
  // Even a refused stream must keep to the initial window (CVE-2026-32314: the check must not need a stream).
  if (header.type == YamuxType::data && header.length > k_initial_window) {
    violation(Errc::flow_control_violation, "data beyond the initial window");
    return nullptr;
  }
  if (header.has(k_yamux_rst)) return nullptr;  // opened and gone in one frame
  if (inbound_ >= limits_.max_inbound_streams || peer_goes_away_) {
    ++counters_.streams_refused;
    push_control({.type = YamuxType::window_update, .flags = k_yamux_rst, .stream = header.stream, .length = 0});
    return nullptr;
  }
  Stream& stream = add_stream(header.stream, Direction::inbound);
  stream.ack_due = true;
  stream.epoch_start = now;
  push_event(StreamOpened{.stream = StreamId{stream.id}, .direction = Direction::inbound});
  schedule(stream);
  return &stream;
}

void Session::handle_payload(Instant now, BytesView payload, BlockPtr* block) {
  payload_left_ -= static_cast<std::uint32_t>(payload.size());
  Stream* const stream = payload_stream_;
  if (stream == nullptr) {
    counters_.bytes_ignored += payload.size();
    return;
  }
  if (stream->stopped) {
    counters_.bytes_ignored += payload.size();
    stream->discarded += payload.size();
    if (stream->discarded > limits_.max_discarded) {
      push_event(StreamReset{.stream = StreamId{stream->id}, .code = 0});
      return reset_by_us(*stream);
    }
    schedule(*stream);
  } else if (receive_memory_ + payload.size() > limits_.max_receive_memory) {
    ++counters_.streams_over_memory;
    push_event(StreamReset{.stream = StreamId{stream->id}, .code = 0});
    return reset_by_us(*stream);
  } else {
    if (!stream->epoch_start) stream->epoch_start = now;
    if (stream->receive.empty()) push_event(StreamReadable{.stream = StreamId{stream->id}});
    receive_memory_ += payload.size();
    if (block != nullptr && payload.size() >= BlockPool::k_full_size / 2) {
      (*block)->begin = static_cast<std::size_t>(payload.data() - (*block)->bytes.get());
      stream->receive.append_block(std::move(*block));
    } else {
      stream->receive.append(pool_, payload);
    }
  }
  if (payload_left_ > 0) return;
  payload_stream_ = nullptr;
  if (payload_finishes_) handle_finish(*stream);
}

void Session::handle_finish(Stream& stream) {
  if (stream.finish_received) return;
  stream.finish_received = true;
  if (!stream.stopped && stream.receive.empty()) push_event(StreamReadable{.stream = StreamId{stream.id}});
  erase_if_done(stream);
}

void Session::handle_reset(Stream& stream) {
  push_event(StreamReset{.stream = StreamId{stream.id}, .code = 0});
  erase(stream);
}

void Session::count_useless(Instant now) {
  ++counters_.frames_useless;
  if (!useless_.allow(now)) violation(Errc::flood, "frames without effect");
}

}  // namespace dig::yamux
