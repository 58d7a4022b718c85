// SPDX-License-Identifier: Apache-2.0
#include "proto/connection/yamux_connection.hpp"

#include <algorithm>
#include <utility>

#include "base/machine.hpp"

namespace dig {

static_assert(StreamMachine<YamuxConnection>);

namespace {

// A Noise frame for less plaintext than this is written to an `out` that has no more room, and else not worth its tag.
constexpr std::size_t k_min_plaintext = 1024;

std::size_t ciphertext_size(BytesView frame) {
  return (std::to_integer<std::size_t>(frame[0]) << 8U) | std::to_integer<std::size_t>(frame[1]);
}

}  // namespace

YamuxConnection::YamuxConnection(const upgrade::Config& config, const yamux::Limits& limits, Rng& rng, Instant now)
    : direction_(config.direction), limits_(limits) {
  upgrade_.emplace(config, rng, now);
}

YamuxConnection::YamuxConnection(Direction direction, upgrade::Upgraded upgraded, const yamux::Limits& limits,
                                 Instant now)
    : direction_(direction), limits_(limits) {
  start_session(now, std::move(upgraded));
}

Result<StreamId> YamuxConnection::open_stream(Instant now) {
  if (!session_) return fail(Errc::connection_closed, "not established");
  return session_->open_stream(now);
}

Result<std::size_t> YamuxConnection::write(StreamId stream, BytesView bytes) {
  if (!session_) return fail(Errc::connection_closed, "not established");
  return session_->write(stream, bytes);
}

Result<ReadResult> YamuxConnection::read(Instant now, StreamId stream, MutableBytes out) {
  if (!session_) return fail(Errc::connection_closed, "not established");
  return session_->read(now, stream, out);
}

void YamuxConnection::finish(StreamId stream) {
  if (session_) session_->finish(stream);
}

void YamuxConnection::reset(StreamId stream, std::uint64_t code) {
  if (session_) session_->reset(stream, code);
}

void YamuxConnection::stop_sending(StreamId stream, std::uint64_t code) {
  if (session_) session_->stop_sending(stream, code);
}

void YamuxConnection::close(Instant now, Error why) {
  if (session_) return session_->close(now, std::move(why));
  end_before_session(std::move(why), ClosedBy::local);
}

std::optional<ConnectionEvent> YamuxConnection::poll_event() {
  if (established_) return *std::exchange(established_, std::nullopt);
  if (closed_) return *std::exchange(closed_, std::nullopt);
  return session_ ? session_->poll_event() : std::nullopt;
}

ConnectionStatus YamuxConnection::snapshot() const {
  ConnectionStatus status{
      .is_closed = is_closed_early_, .bytes_received = bytes_received_, .bytes_sent = bytes_sent_, .rtt = {}};
  if (session_) {
    const yamux::Status muxer = session_->snapshot();
    status.is_established = true;
    status.is_closed = muxer.is_closed;
    status.streams_inbound = muxer.streams_inbound;
    status.streams_outbound = muxer.streams_outbound;
    status.buffered_bytes = muxer.receive_buffered + muxer.send_buffered;
    status.rtt = muxer.rtt;
  }
  return status;
}

std::optional<yamux::Status> YamuxConnection::muxer_snapshot() const {
  return session_ ? std::optional(session_->snapshot()) : std::nullopt;
}

void YamuxConnection::handle_bytes(Instant now, BytesView bytes) {
  bytes_received_ += bytes.size();
  if (upgrade_) {
    upgrade_->handle_bytes(now, bytes);
    take_upgrade(now);
  } else if (session_) {
    handle_ciphertext(now, bytes);
  }
}

void YamuxConnection::handle_eof(Instant now) {
  if (upgrade_) {
    upgrade_->handle_eof(now);
    take_upgrade(now);
  }
  if (session_) session_->handle_eof(now);
}

void YamuxConnection::handle_timeout(Instant now) {
  if (upgrade_) {
    upgrade_->handle_timeout(now);
    take_upgrade(now);
  }
  if (!session_) return;
  const std::optional<Instant> deadline = session_->next_timeout();
  if (!deadline || now < *deadline) return;
  session_->handle_timeout(now);
  // The keepalive comes now and then only: time to give back what an idle connection does not need.
  block_.reset();
  if (partial_.empty()) partial_ = Bytes();
}

bool YamuxConnection::wants_bytes() const {
  if (upgrade_) return upgrade_->wants_bytes();
  return session_ && session_->wants_bytes();
}

std::optional<Instant> YamuxConnection::next_timeout() const {
  if (upgrade_) return upgrade_->next_timeout();
  return session_ ? session_->next_timeout() : std::nullopt;
}

std::size_t YamuxConnection::poll_bytes(Instant now, MutableBytes out) {
  std::size_t used = 0;
  if (upgrade_) {
    used = upgrade_->poll_bytes(now, out);
    take_upgrade(now);
  }
  if (session_) used += seal_frames(now, out.subspan(used));
  bytes_sent_ += used;
  return used;
}

void YamuxConnection::take_upgrade(Instant now) {
  auto result = upgrade_->take_result();
  if (!result) return;
  if (*result) return start_session(now, *std::move(*result));
  const ClosedBy by = result->error().code() == Errc::connection_closed ? ClosedBy::remote : ClosedBy::local;
  end_before_session(std::move(*result).error(), by);
}

void YamuxConnection::start_session(Instant now, upgrade::Upgraded upgraded) {
  established_ = Established{.peer = std::move(upgraded.peer), .public_key = std::move(upgraded.key)};
  transport_.emplace(std::move(upgraded.transport));
  const bool is_client = direction_ == Direction::outbound;
  session_.emplace(is_client ? yamux::Role::client : yamux::Role::server, limits_, now);
  upgrade_.reset();
  session_->handle_plaintext(now, upgraded.leftover_plaintext);
  handle_ciphertext(now, upgraded.leftover_ciphertext);
}

void YamuxConnection::end_before_session(Error why, ClosedBy by) {
  upgrade_.reset();
  if (is_closed_early_) return;
  is_closed_early_ = true;
  closed_ = Closed{.error = std::move(why), .by = by};
}

void YamuxConnection::handle_ciphertext(Instant now, BytesView bytes) {
  if (!partial_.empty()) {
    bytes = collect_partial(bytes);
    if (partial_.size() < noise::Transport::length_size ||
        partial_.size() < noise::Transport::length_size + ciphertext_size(partial_)) {
      return;
    }
    open_frame(now, BytesView(partial_).subspan(noise::Transport::length_size));
    partial_.clear();
  }
  while (bytes.size() >= noise::Transport::length_size && !session_->is_closed()) {
    const std::size_t size = ciphertext_size(bytes);
    if (bytes.size() - noise::Transport::length_size < size) break;
    open_frame(now, bytes.subspan(noise::Transport::length_size, size));
    bytes = bytes.subspan(noise::Transport::length_size + size);
  }
  if (!session_->is_closed()) append(partial_, bytes);
}

// Moves what belongs to the partial frame out of `bytes` and returns the rest.
BytesView YamuxConnection::collect_partial(BytesView bytes) {
  constexpr std::size_t k_length = noise::Transport::length_size;
  if (partial_.size() < k_length) {
    const std::size_t count = std::min(k_length - partial_.size(), bytes.size());
    append(partial_, bytes.first(count));
    bytes = bytes.subspan(count);
    if (partial_.size() < k_length) return bytes;
  }
  const std::size_t count = std::min(k_length + ciphertext_size(partial_) - partial_.size(), bytes.size());
  append(partial_, bytes.first(count));
  return bytes.subspan(count);
}

void YamuxConnection::open_frame(Instant now, BytesView ciphertext) {
  if (!block_ || block_->capacity < ciphertext.size()) {
    session_->give_back(std::move(block_));
    block_ = session_->take_block(ciphertext.size());
  }
  const auto size = transport_->open_frame(ciphertext, MutableBytes(block_->bytes.get(), block_->capacity));
  if (!size) return session_->abort(size.error(), ClosedBy::transport);
  block_->begin = 0;
  block_->end = *size;
  session_->handle_block(now, block_);
}

std::size_t YamuxConnection::seal_frames(Instant now, MutableBytes out) {
  constexpr std::size_t k_overhead = noise::Transport::overhead;
  std::size_t used = take_splinter(out);
  while (used < out.size() && splinter_.empty()) {
    if (transport_->is_exhausted()) {
      session_->abort(Error(Errc::limit_reached, "frames of one connection"), ClosedBy::local);
      break;
    }
    const std::size_t room = out.size() - used;
    if (room >= k_min_plaintext + k_overhead) {
      const std::size_t plaintext = std::min(room - k_overhead, noise::Transport::max_plaintext);
      const std::size_t size =
          session_->poll_plaintext(now, out.subspan(used + noise::Transport::length_size, plaintext));
      if (size == 0) break;
      transport_->seal_frame(out.subspan(used, size + k_overhead), size);
      used += size + k_overhead;
    } else if (used > 0) {
      break;
    } else {
      splinter_.resize(k_min_plaintext + k_overhead);
      const std::size_t size = session_->poll_plaintext(
          now, MutableBytes(splinter_).subspan(noise::Transport::length_size, k_min_plaintext));
      splinter_.resize(size == 0 ? 0 : size + k_overhead);
      if (size == 0) break;
      transport_->seal_frame(splinter_, size);
      used += take_splinter(out);
    }
  }
  return used;
}

std::size_t YamuxConnection::take_splinter(MutableBytes out) {
  const std::size_t count = std::min(out.size(), splinter_.size() - splinter_sent_);
  if (count > 0) std::memcpy(out.data(), splinter_.data() + splinter_sent_, count);
  splinter_sent_ += count;
  if (splinter_sent_ == splinter_.size()) {
    splinter_.clear();
    splinter_sent_ = 0;
  }
  return count;
}

}  // namespace dig
