// SPDX-License-Identifier: Apache-2.0
#include "sim/link.hpp"

#include <algorithm>

namespace dig::sim {
namespace {

bool happens(Rng& rng, double chance) {
  constexpr std::uint64_t k_parts = 1'000'000'000;
  return chance > 0 && static_cast<double>(rng.below(k_parts)) < chance * static_cast<double>(k_parts);
}

}  // namespace

Instant Line::transmit(Instant now, std::size_t size) {
  free_at_ = std::max(free_at_, now);
  if (spec_.bytes_per_second > 0) {
    free_at_ = free_at_ + Duration(static_cast<std::int64_t>(size * 1'000'000'000 / spec_.bytes_per_second));
  }
  Duration delay = spec_.delay;
  if (spec_.jitter > Duration{0}) {
    delay += Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(spec_.jitter.count()) + 1)));
  }
  return free_at_ + delay;
}

void ByteLink::send(Instant now, BytesView bytes) {
  under_way_ += bytes.size();
  while (!bytes.empty()) {
    const std::size_t drawn = 1 + static_cast<std::size_t>(rng_.below(spec_.max_segment));
    const std::size_t size = std::min(drawn, bytes.size());
    last_arrival_ = arrival(now, size);
    arriving_.push_back({last_arrival_, {to_bytes(bytes.first(size)), false}});
    bytes = bytes.subspan(size);
  }
}

void ByteLink::send_end(Instant now) {
  last_arrival_ = arrival(now, 0);
  arriving_.push_back({last_arrival_, {{}, true}});
}

// A segment never overtakes the one before it. What is lost is sent again after a timeout, which doubles each time
// (RFC 6298 §5.5), and what follows waits for it.
Instant ByteLink::arrival(Instant now, std::size_t size) {
  Instant sent = now;
  for (Duration timeout = 2 * spec_.delay + 200ms; happens(rng_, spec_.loss); timeout *= 2) sent = sent + timeout;
  return std::max(last_arrival_, line_.transmit(sent, size));
}

std::optional<Instant> ByteLink::next_arrival() const {
  return arriving_.empty() ? std::nullopt : std::optional(arriving_.front().at);
}

std::optional<ByteLink::Segment> ByteLink::receive(Instant now) {
  if (arriving_.empty() || arriving_.front().at > now) return std::nullopt;
  Segment segment = std::move(arriving_.front().segment);
  arriving_.pop_front();
  return segment;
}

void DatagramLink::send(Instant now, const Datagram& datagram) {
  ++status_.sent;
  if (is_cut_ || happens(rng_, spec_.loss)) {
    ++status_.lost;
    return;
  }
  const double queued =
      static_cast<double>(line_.backlog(now).count()) * static_cast<double>(spec_.bytes_per_second) / 1e9;
  if (queued + static_cast<double>(datagram.bytes.size()) > static_cast<double>(spec_.queue_bytes)) {
    ++status_.dropped;
    return;
  }
  arriving_.emplace(line_.transmit(now, datagram.bytes.size()), datagram);
  if (happens(rng_, spec_.duplication)) {
    ++status_.doubled;
    arriving_.emplace(line_.transmit(now, datagram.bytes.size()), datagram);
  }
}

std::optional<Instant> DatagramLink::next_arrival() const {
  return arriving_.empty() ? std::nullopt : std::optional(arriving_.begin()->first);
}

std::optional<DatagramLink::Datagram> DatagramLink::receive(Instant now) {
  if (arriving_.empty() || arriving_.begin()->first > now) return std::nullopt;
  Datagram datagram = std::move(arriving_.begin()->second);
  arriving_.erase(arriving_.begin());
  ++status_.delivered;
  return datagram;
}

void DatagramLink::cut() {
  is_cut_ = true;
  status_.lost += arriving_.size();
  arriving_.clear();
}

}  // namespace dig::sim
