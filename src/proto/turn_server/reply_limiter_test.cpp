// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/reply_limiter.hpp"

#include <gtest/gtest.h>

namespace dig::turn {
namespace {

const IpAddress k_source = IpAddress::v4({192, 0, 2, 1});
const IpAddress k_other = IpAddress::v4({192, 0, 2, 2});

// One place, so that every address shares it.
struct ReplyLimit : ::testing::Test {
  int allowed(const IpAddress& source, int times) {
    int count = 0;
    for (int i = 0; i < times; ++i) count += limiter.allows(now, source, 20, 100) ? 1 : 0;
    return count;
  }
  SeededRng rng{1};
  Instant now{1000s};
  ReplyLimiter limiter{rng, {.places = 1, .replies_per_second = 10, .proven_replies_per_second = 50}};
};

TEST_F(ReplyLimit, WhatIsNotLargerThanItsRequestIsAlwaysAllowed) {
  EXPECT_EQ(allowed(k_source, 100), 10);
  EXPECT_TRUE(limiter.allows(now, k_source, 100, 100));
  EXPECT_FALSE(limiter.allows(now, k_source, 100, 101));
}

TEST_F(ReplyLimit, AProvenAddressHasALargerShareForAWhile) {
  limiter.prove(now, k_source);
  EXPECT_EQ(allowed(k_source, 100), 50);
  now = now + 1s;
  EXPECT_EQ(allowed(k_source, 100), 50);
  now = now + 10min - 1s - 1ns;
  EXPECT_EQ(allowed(k_source, 100), 50);
  now = now + 1ns;
  EXPECT_EQ(allowed(k_source, 100), 10);
}

TEST_F(ReplyLimit, WhoSharesThePlaceOfAProvenAddressGainsNothingAndTakesNothingFromIt) {
  limiter.prove(now, k_source);
  EXPECT_EQ(allowed(k_other, 100), 10);
  EXPECT_EQ(allowed(k_source, 100), 50);
  EXPECT_EQ(allowed(k_other, 100), 0);
  limiter.prove(now, k_other);  // the place has one proven address
  EXPECT_EQ(allowed(k_source, 100), 0);
}

TEST_F(ReplyLimit, AnIpv6AddressIsNotTheIpv4AddressOfTheSameBytes) {
  const IpAddress alike = IpAddress::v6({192, 0, 2, 1});
  limiter.prove(now, k_source);
  EXPECT_EQ(allowed(alike, 100), 10);
}

}  // namespace
}  // namespace dig::turn
