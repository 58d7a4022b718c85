// SPDX-License-Identifier: Apache-2.0
// Which allocations of a pair relay belong together: those of one peer for another, and those of that other for the
// first. Looking for the other half costs nothing that grows with the number of pairs.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "proto/turn_server/pair_role.hpp"

namespace dig::turn {

struct Allocation;

class PairTable {
  // Of the lower and of the higher of the two peers.
  using Halves = std::array<std::vector<Allocation*>, 2>;
  using Pairs = std::map<PairRole, Halves>;  // by the pair as its lower peer sees it

 public:
  // Where an allocation stands in the table.
  struct Place {
    Pairs::value_type* pair = nullptr;
    std::size_t half = 0;
  };

  // `max_allocations`: of one peer, whomever they are for.
  explicit PairTable(std::size_t max_allocations) : max_allocations_(max_allocations) {}

  [[nodiscard]] bool has_room(const PeerId& peer) const;
  // `allocation` stays where it is until it is removed.
  void add(const PairRole& role, Allocation& allocation);
  void remove(Allocation& allocation);

  // The allocation with this relayed address, if it is of the other half.
  [[nodiscard]] static Allocation* find_mirror(const Place& place, const Endpoint& relayed);
  // Whether there is one of the other half with this relayed IP address, whatever its port.
  [[nodiscard]] static bool has_mirror(const Place& place, const IpAddress& relayed);

 private:
  std::size_t max_allocations_;
  Pairs pairs_;
  std::map<PeerId, std::size_t> allocations_;  // of each peer
};

}  // namespace dig::turn
