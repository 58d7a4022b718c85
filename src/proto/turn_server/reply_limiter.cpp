// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/reply_limiter.hpp"

#include <algorithm>

#include "base/hash_mix.hpp"

namespace dig::turn {

ReplyLimiter::ReplyLimiter(Rng& rng, const Limits& limits)
    : limits_(limits), seed_(rng.u64()), table_(std::max<std::size_t>(1, limits.places)) {}

bool ReplyLimiter::allows(Instant now, const IpAddress& source, std::size_t request, std::size_t reply) {
  if (reply <= request) return true;
  const std::int64_t second = std::chrono::floor<std::chrono::seconds>(now.since_origin).count();
  Place& place = table_[hash_of(source, seed_) % table_.size()];
  if (place.second != second) place = {second, 0};
  if (place.replies >= limits_.replies_per_second) return false;
  ++place.replies;
  return true;
}

}  // namespace dig::turn
