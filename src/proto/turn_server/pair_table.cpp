// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/pair_table.hpp"

#include <algorithm>

#include "proto/turn_server/allocation.hpp"

namespace dig::turn {
namespace {

const PeerId& peer_of(const PairTable::Place& place) {
  return place.half == 0 ? place.pair->first.self : place.pair->first.peer;
}

}  // namespace

bool PairTable::has_room(const PeerId& peer) const {
  const auto found = allocations_.find(peer);
  return (found == allocations_.end() ? 0 : found->second) < max_allocations_;
}

void PairTable::add(const PairRole& role, Allocation& allocation) {
  const bool is_lower = role.self < role.peer;
  const auto pair = pairs_.try_emplace(is_lower ? role : PairRole{role.peer, role.self}).first;
  allocation.pair = Place{&*pair, is_lower ? 0U : 1U};
  pair->second[allocation.pair->half].push_back(&allocation);
  ++allocations_[role.self];
}

void PairTable::remove(Allocation& allocation) {
  const Place place = *allocation.pair;
  allocation.pair.reset();
  const auto peer = allocations_.find(peer_of(place));
  if (--peer->second == 0) allocations_.erase(peer);
  Halves& halves = place.pair->second;
  std::erase(halves[place.half], &allocation);
  if (halves[0].empty() && halves[1].empty()) pairs_.erase(pairs_.find(place.pair->first));
}

Allocation* PairTable::find_mirror(const Place& place, const Endpoint& relayed) {
  for (Allocation* const other : place.pair->second[1 - place.half]) {
    const auto& relay = other->relay(relayed.address.family());
    if (relay && relay->address == relayed) return other;
  }
  return nullptr;
}

bool PairTable::has_mirror(const Place& place, const IpAddress& relayed) {
  return std::ranges::any_of(place.pair->second[1 - place.half], [&](Allocation* other) {
    const auto& relay = other->relay(relayed.family());
    return relay && relay->address.address == relayed;
  });
}

}  // namespace dig::turn
