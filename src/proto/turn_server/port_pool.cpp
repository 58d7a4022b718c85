// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/port_pool.hpp"

namespace dig::turn {

PortPool::PortPool(Rng& rng, const Range& range) : rng_(rng), first_(range.first) {
  if (range.last < range.first) return;
  place_of_.assign(std::size_t{range.last} - range.first + 1, k_not_free);
  for (std::uint32_t port = range.first; port <= range.last; ++port) {
    if ((port / 2) % range.shards == range.shard) give_back(static_cast<std::uint16_t>(port));
  }
}

void PortPool::give_back(std::uint16_t port) {
  if (port < first_ || std::size_t{port} - first_ >= place_of_.size() || is_free(port)) return;
  place_of_[std::size_t{port} - first_] = static_cast<std::uint32_t>(free_.size());
  free_.push_back(port);
}

bool PortPool::is_free(std::uint32_t port) const noexcept {
  return port >= first_ && port - first_ < place_of_.size() && place_of_[port - first_] != k_not_free;
}

void PortPool::remove_at(std::size_t place) {
  place_of_[std::size_t{free_[place]} - first_] = k_not_free;
  if (place + 1 < free_.size()) {
    free_[place] = free_.back();
    place_of_[std::size_t{free_[place]} - first_] = static_cast<std::uint32_t>(place);
  }
  free_.pop_back();
}

std::optional<std::uint16_t> PortPool::take() {
  if (free_.empty()) return std::nullopt;
  const auto place = static_cast<std::size_t>(rng_.below(free_.size()));
  const std::uint16_t port = free_[place];
  remove_at(place);
  return port;
}

std::optional<PortPool::Even> PortPool::take_even(Instant now, bool reserves_next) {
  if (free_.empty()) return std::nullopt;
  const auto start = static_cast<std::size_t>(rng_.below(free_.size()));
  for (std::size_t i = 0; i < free_.size(); ++i) {
    const std::size_t place = (start + i) % free_.size();
    const std::uint16_t port = free_[place];
    if (port % 2 != 0 || (reserves_next && !is_free(port + 1U))) continue;
    remove_at(place);
    Even even{port, std::nullopt};
    if (reserves_next) {
      remove_at(place_of_[std::size_t{port} + 1 - first_]);
      even.token = rng_.u64();
      reserved_[*even.token] = {static_cast<std::uint16_t>(port + 1), now + reservation_lifetime};
    }
    return even;
  }
  return std::nullopt;
}

std::optional<std::uint16_t> PortPool::take_reserved(Instant now, Token token) {
  const auto found = reserved_.find(token);
  if (found == reserved_.end() || found->second.until <= now) return std::nullopt;
  return reserved_.extract(found).mapped().port;
}

void PortPool::set_aside(Instant now, std::uint16_t port) {
  if (is_free(port)) remove_at(place_of_[std::size_t{port} - first_]);
  reserved_[rng_.u64()] = {port, now + 1min};
}

void PortPool::cancel(Token token) {
  if (const auto found = reserved_.extract(token); !found.empty()) give_back(found.mapped().port);
}

void PortPool::expire(Instant now) {
  std::erase_if(reserved_, [&](const auto& entry) {
    if (entry.second.until > now) return false;
    give_back(entry.second.port);
    return true;
  });
}

}  // namespace dig::turn
