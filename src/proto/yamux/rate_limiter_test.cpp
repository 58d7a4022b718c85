// SPDX-License-Identifier: Apache-2.0
#include "proto/yamux/rate_limiter.hpp"

#include <gtest/gtest.h>

#include "proto/yamux/used_ids.hpp"

namespace dig::yamux {
namespace {

TEST(RateLimiter, AllowsTheBurstAndThenTheRate) {
  RateLimiter limiter({.per_second = 10, .burst = 3});
  const Instant start{5s};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.allow(start));
  EXPECT_FALSE(limiter.allow(start));
  EXPECT_FALSE(limiter.allow(start + 99ms));
  EXPECT_TRUE(limiter.allow(start + 100ms));
  EXPECT_FALSE(limiter.allow(start + 100ms));
}

TEST(RateLimiter, RefillsToTheBurstAndNoFurther) {
  RateLimiter limiter({.per_second = 10, .burst = 3});
  EXPECT_TRUE(limiter.allow(Instant{0s}));
  int allowed = 0;
  for (int i = 0; i < 10; ++i) allowed += limiter.allow(Instant{1h}) ? 1 : 0;
  EXPECT_EQ(allowed, 3);
}

TEST(UsedIds, RefusesEveryIdTheSecondTime) {
  UsedIds ids;
  for (std::uint32_t i = 0; i < 3000; ++i) EXPECT_TRUE(ids.insert(i)) << i;
  for (std::uint32_t i = 0; i < 3000; ++i) EXPECT_FALSE(ids.insert(i)) << i;
}

TEST(UsedIds, AcceptsIdsOutOfOrderWithinTheWindow) {
  UsedIds ids;
  EXPECT_TRUE(ids.insert(5000));
  EXPECT_TRUE(ids.insert(5000 - UsedIds::k_window + 1));
  EXPECT_FALSE(ids.insert(5000 - UsedIds::k_window));
  EXPECT_TRUE(ids.insert(4999));
  EXPECT_FALSE(ids.insert(4999));
  EXPECT_TRUE(ids.insert(0x7FFFFFFF));  // a jump far ahead forgets the rest
  EXPECT_FALSE(ids.insert(5001));
  EXPECT_FALSE(ids.insert(0x7FFFFFFF));
}

}  // namespace
}  // namespace dig::yamux
