// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/splice.hpp"

#include <algorithm>
#include <limits>

namespace dig::relay {

Splice::Splice(Instant now, const circuit::Limit& limit, const SpliceLimits& limits) : limit_(limit), limits_(limits) {
  if (limit.duration != 0) until_ = now + std::chrono::seconds(limit.duration);
  for (Direction& direction : directions_) direction.ring = std::make_unique<std::byte[]>(limits_.buffer);
}

std::uint64_t Splice::left_for(const Direction& direction) const noexcept {
  return limit_.data == 0 ? std::numeric_limits<std::uint64_t>::max() : limit_.data - direction.received;
}

MutableBytes Splice::receive_space(CircuitEnd end) {
  Direction& direction = from(end);
  if (result_ || used_up_ || direction.is_ended) return {};
  const std::size_t at = (direction.begin + direction.size) % limits_.buffer;
  const std::size_t space = std::min(limits_.buffer - direction.size, limits_.buffer - at);
  // One byte beyond the limit is read, to know that there is one.
  const std::uint64_t wanted = std::max(left_for(direction), left_for(direction) + 1);
  return {direction.ring.get() + at, static_cast<std::size_t>(std::min<std::uint64_t>(space, wanted))};
}

void Splice::handle_received(Instant now, CircuitEnd end_from, std::size_t size) {
  if (is_late(now)) return handle_timeout(now);
  if (result_ || used_up_) return;
  Direction& direction = from(end_from);
  const auto kept = static_cast<std::size_t>(std::min<std::uint64_t>(size, left_for(direction)));
  direction.size += kept;
  direction.received += kept;
  if (kept < size) end_of_bytes(now, end_from);
}

std::size_t Splice::handle_bytes(Instant now, CircuitEnd end_from, BytesView bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    const MutableBytes space = receive_space(end_from);
    if (space.empty()) break;
    const std::size_t size = std::min(space.size(), bytes.size() - taken);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(taken), size, space.begin());
    taken += size;
    handle_received(now, end_from, size);
  }
  return taken;
}

void Splice::handle_eof(CircuitEnd end_from) {
  from(end_from).is_ended = true;
  end_if_done();
}

BytesView Splice::output(CircuitEnd end) const {
  const Direction& direction = to(end);
  if (result_) return {};
  return {direction.ring.get() + direction.begin, std::min(direction.size, limits_.buffer - direction.begin)};
}

void Splice::handle_written(CircuitEnd end_to, std::size_t size) {
  Direction& direction = from(other_end(end_to));
  direction.begin = (direction.begin + size) % limits_.buffer;
  direction.size -= size;
  end_if_done();
}

bool Splice::has_finished_writing(CircuitEnd end) const { return to(end).is_ended && to(end).size == 0 && !used_up_; }

void Splice::handle_timeout(Instant now) {
  if (result_) return;
  if (is_late(now)) {
    result_ = fail(Errc::circuit_limit_reached, std::to_string(limit_.duration) + " seconds");
  } else if (drained_until_ && now >= *drained_until_) {
    result_ = bytes_used_up();
  }
}

std::optional<Instant> Splice::next_timeout() const {
  return result_ ? std::nullopt : earliest(until_, drained_until_);
}

SpliceStatus Splice::snapshot() const {
  return {.bytes_from_hop = from(CircuitEnd::hop).received,
          .bytes_from_stop = from(CircuitEnd::stop).received,
          .buffered_bytes = directions_[0].size + directions_[1].size,
          .is_over = result_.has_value()};
}

Result<void> Splice::bytes_used_up() const {
  return fail(Errc::circuit_limit_reached, std::to_string(limit_.data) + " bytes in one direction");
}

// What is within the limit still reaches its reader; the rest of the circuit is over.
void Splice::end_of_bytes(Instant now, CircuitEnd end_from) {
  used_up_ = end_from;
  drained_until_ = now + limits_.drain;
  end_if_done();
}

void Splice::end_if_done() {
  if (result_) return;
  if (used_up_) {
    if (from(*used_up_).size == 0) {
      result_ = bytes_used_up();
    }
    return;
  }
  const bool is_done = std::ranges::all_of(
      directions_, [](const Direction& direction) { return direction.is_ended && direction.size == 0; });
  if (is_done) result_.emplace();
}

}  // namespace dig::relay
