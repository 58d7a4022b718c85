// SPDX-License-Identifier: Apache-2.0
// How often a peer and a source may ask a relay for something. Two tables of fixed size, made at the start: what shares
// a place in them shares its budget, and whom with nobody can choose.
#pragma once

#include <algorithm>
#include <vector>

#include "base/accept_limiter.hpp"
#include "base/hash_mix.hpp"
#include "base/rng.hpp"
#include "base/token_bucket.hpp"
#include "wire/peer_id.hpp"

namespace dig::relay {

class RequestLimiter {
 public:
  struct Limits {
    TokenBucket::Rate per_peer{.per_second = 1, .burst = 30};
    TokenBucket::Rate per_source{.per_second = 5, .burst = 60};  // of one address prefix
    std::size_t places = 4096;                                   // of each table
  };

  RequestLimiter(Rng& rng, const Limits& limits)
      : limits_(limits),
        seed_(rng.u64()),
        peers_(std::max<std::size_t>(1, limits.places)),
        sources_(std::max<std::size_t>(1, limits.places)) {}

  [[nodiscard]] bool allows(Instant now, const PeerId& peer, AcceptLimiter::Prefix source) noexcept {
    return sources_[place_of(source)].take(now, limits_.per_source, 1) &&
           peers_[place_of(std::hash<PeerId>()(peer))].take(now, limits_.per_peer, 1);
  }

 private:
  [[nodiscard]] std::size_t place_of(std::uint64_t key) const noexcept { return hash_mix(seed_ ^ key) % peers_.size(); }

  Limits limits_;
  std::uint64_t seed_;
  std::vector<TokenBucket> peers_;
  std::vector<TokenBucket> sources_;
};

}  // namespace dig::relay
