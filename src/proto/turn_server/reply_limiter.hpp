// SPDX-License-Identifier: Apache-2.0
// Keeps a server from being a weapon: of the replies to addresses that nobody has verified, only the first few a second
// may be larger than what they answer. One table of fixed size, made at the start; addresses that share a place in it
// share its budget.
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
  };

  ReplyLimiter(Rng& rng, const Limits& limits);

  // A reply of `reply` bytes to a request of `request` bytes from an unverified source.
  [[nodiscard]] bool allows(Instant now, const IpAddress& source, std::size_t request, std::size_t reply);

 private:
  struct Place {
    std::int64_t second = -1;
    std::uint32_t replies = 0;
  };

  Limits limits_;
  std::uint64_t seed_;  // so that nobody can choose with whom to share a place
  std::vector<Place> table_;
};

}  // namespace dig::turn
