// SPDX-License-Identifier: Apache-2.0
// Keeps a server from being a weapon: of the replies to requests that prove nothing, only the first few a second and
// source may be larger than what they answer. Many clients may stand behind one address (a carrier's NAT), so an
// address has a larger share for a while after one of them has authenticated a request with a nonce that was sent
// there: it is in use here, and no forged source can bring that about.
//
// One table of fixed size, made at the start. Addresses that share a place in it share its budget; the larger share is
// of the very address that has proven itself, the last one of each place.
#pragma once

#include <cstdint>
#include <vector>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"

namespace dig::turn {

class ReplyLimiter {
 public:
  struct Limits {
    std::size_t places = 4096;
    std::uint32_t replies_per_second = 10;
    std::uint32_t proven_replies_per_second = 500;
    Duration proof_lifetime = 10min;  // as long as a nonce
  };

  ReplyLimiter(Rng& rng, const Limits& limits);

  // A reply of `reply` bytes to a request of `request` bytes that has not authenticated itself.
  [[nodiscard]] bool allows(Instant now, const IpAddress& source, std::size_t request, std::size_t reply);
  // A request from `source` has authenticated itself.
  void prove(Instant now, const IpAddress& source);

 private:
  struct Place {
    std::int64_t second = -1;
    std::uint32_t replies = 0;
    std::uint32_t proven_replies = 0;
    IpAddress proven;
    Instant proven_until;
  };

  [[nodiscard]] Place& place_of(const IpAddress& source);

  Limits limits_;
  std::uint64_t seed_;  // so that nobody can choose with whom to share a place
  std::vector<Place> table_;
};

}  // namespace dig::turn
