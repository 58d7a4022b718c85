// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/reply_limiter.hpp"

#include <algorithm>

#include "base/hash_mix.hpp"

namespace dig::turn {

ReplyLimiter::ReplyLimiter(Rng& rng, const Limits& limits)
    : limits_(limits), seed_(rng.u64()), table_(std::max<std::size_t>(1, limits.places)) {}

ReplyLimiter::Place& ReplyLimiter::place_of(const IpAddress& source) {
  return table_[hash_of(source, seed_) % table_.size()];
}

bool ReplyLimiter::allows(Instant now, const IpAddress& source, std::size_t request, std::size_t reply) {
  if (reply <= request) return true;
  const std::int64_t second = std::chrono::floor<std::chrono::seconds>(now.since_origin).count();
  Place& place = place_of(source);
  if (place.second != second) {
    place.second = second;
    place.replies = place.proven_replies = 0;
  }
  const bool is_proven = place.proven == source && now < place.proven_until;
  std::uint32_t& replies = is_proven ? place.proven_replies : place.replies;
  if (replies >= (is_proven ? limits_.proven_replies_per_second : limits_.replies_per_second)) return false;
  ++replies;
  return true;
}

void ReplyLimiter::prove(Instant now, const IpAddress& source) {
  Place& place = place_of(source);
  place.proven = source;
  place.proven_until = now + limits_.proof_lifetime;
}

}  // namespace dig::turn
