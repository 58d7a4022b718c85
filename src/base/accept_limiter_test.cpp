// SPDX-License-Identifier: Apache-2.0
#include "base/accept_limiter.hpp"

#include <gtest/gtest.h>

namespace dig {
namespace {

using Verdict = AcceptLimiter::Verdict;

constexpr Instant k_start{1000s};

IpAddress v4(std::uint8_t third, std::uint8_t last) { return IpAddress::v4({192, 0, third, last}); }
IpAddress v6(std::uint8_t seventh, std::uint8_t eighth) {
  return IpAddress::v6({0x20, 0x01, 0x0d, 0xb8, 0, 0, seventh, eighth, 0, 0, 0, 0, 0, 0, 0, 1});
}
int admitted_of(AcceptLimiter& limiter, Instant now, const IpAddress& source, int tries) {
  int admitted = 0;
  for (int i = 0; i < tries; ++i) {
    if (limiter.admit(now, source) != Verdict::admitted) continue;
    ++admitted;
    limiter.handshake_ended(source);
  }
  return admitted;
}

TEST(AcceptLimiter, HonestHostOpensTwentyConnectionsAtOnce) {
  AcceptLimiter limiter;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(limiter.admit(k_start, v4(0, 1)), Verdict::admitted);
  EXPECT_EQ(limiter.snapshot().half_open, 20u);
}

TEST(AcceptLimiter, RateHoldsAtItsBoundAndRefills) {
  AcceptLimiter limiter({.rate_per_second = 2, .burst = 3});
  EXPECT_EQ(admitted_of(limiter, k_start, v4(0, 1), 10), 3);
  EXPECT_EQ(admitted_of(limiter, k_start + 499ms, v4(0, 1), 10), 0);
  EXPECT_EQ(admitted_of(limiter, k_start + 500ms, v4(0, 1), 10), 1);
  EXPECT_EQ(admitted_of(limiter, k_start + 100s, v4(0, 1), 10), 3);
}

TEST(AcceptLimiter, ClockThatStandsOrGoesBackRefillsNothing) {
  AcceptLimiter limiter({.rate_per_second = 1000, .burst = 1});
  EXPECT_EQ(admitted_of(limiter, k_start, v4(0, 1), 2), 1);
  EXPECT_EQ(admitted_of(limiter, k_start - 10s, v4(0, 1), 2), 0);
}

TEST(AcceptLimiter, OneBadHostNeverCostsAnother) {
  AcceptLimiter limiter;
  EXPECT_LE(admitted_of(limiter, k_start, v4(0, 1), 10'000), 64);
  EXPECT_EQ(limiter.admit(k_start, v4(0, 2)), Verdict::admitted);
}

TEST(AcceptLimiter, Ipv6SourcesAreOnePer56) {
  AcceptLimiter limiter({.rate_per_second = 0, .burst = 1});
  EXPECT_EQ(limiter.admit(k_start, v6(1, 1)), Verdict::admitted);
  EXPECT_EQ(limiter.admit(k_start, v6(1, 2)), Verdict::rate);
  EXPECT_EQ(limiter.admit(k_start, v6(2, 1)), Verdict::admitted);
}

TEST(AcceptLimiter, HalfOpenHandshakesAreBoundedPerSourceAndInAll) {
  AcceptLimiter limiter({.half_open_per_source = 2, .half_open_total = 3});
  EXPECT_EQ(limiter.admit(k_start, v4(0, 1)), Verdict::admitted);
  EXPECT_EQ(limiter.admit(k_start, v4(0, 1)), Verdict::admitted);
  EXPECT_EQ(limiter.admit(k_start, v4(0, 1)), Verdict::half_open_source);
  EXPECT_EQ(limiter.admit(k_start, v4(0, 2)), Verdict::admitted);
  EXPECT_EQ(limiter.admit(k_start, v4(0, 2)), Verdict::half_open_total);
  limiter.handshake_ended(v4(0, 1));
  EXPECT_EQ(limiter.admit(k_start, v4(0, 2)), Verdict::admitted);
}

TEST(AcceptLimiter, TheSilenceOfAFewKeepsNobodyNewOut) {
  AcceptLimiter limiter;
  for (std::uint8_t source = 0; source < 8; ++source) {
    for (int i = 0; i < 32; ++i) EXPECT_EQ(limiter.admit(k_start, v4(0, source)), Verdict::admitted);
  }
  for (std::uint8_t source = 0; source < 250; ++source) {
    EXPECT_EQ(limiter.admit(k_start, v4(1, source)), Verdict::admitted) << static_cast<int>(source);
  }
  EXPECT_EQ(limiter.admit(k_start, v4(1, 0)), Verdict::half_open_total) << "one of each";
  limiter.handshake_ended(v4(1, 0));
  EXPECT_EQ(limiter.admit(k_start, v4(1, 0)), Verdict::admitted);
}

TEST(AcceptLimiter, TheRoomForThoseWhoHaveNoneIsBounded) {
  AcceptLimiter limiter({.half_open_per_source = 4, .half_open_total = 4, .max_sources = 3});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(limiter.admit(k_start, v4(0, 1)), Verdict::admitted);
  EXPECT_EQ(limiter.admit(k_start, v4(0, 2)), Verdict::admitted);
  EXPECT_EQ(limiter.admit(k_start, v4(0, 3)), Verdict::admitted);
  EXPECT_EQ(limiter.admit(k_start, v4(0, 4)), Verdict::half_open_total);
  limiter.handshake_ended(v4(0, 3));
  EXPECT_EQ(limiter.admit(k_start, v4(0, 4)), Verdict::half_open_total) << "of those without an entry of their own";
}

TEST(AcceptLimiter, HandshakeEndedForAnUnknownSourceDoesNothing) {
  AcceptLimiter limiter;
  limiter.handshake_ended(v4(0, 1));
  EXPECT_EQ(limiter.snapshot().half_open, 0u);
}

TEST(AcceptLimiter, TableNeverGrowsBeyondItsBound) {
  AcceptLimiter limiter({.rate_per_second = 1, .burst = 2, .half_open_total = 100'000, .max_sources = 16});
  int admitted = 0;
  for (int i = 0; i < 1000; ++i) {
    const IpAddress source = v4(static_cast<std::uint8_t>(i / 256), static_cast<std::uint8_t>(i % 256));
    if (limiter.admit(k_start, source) == Verdict::admitted) ++admitted;
    EXPECT_LE(limiter.snapshot().sources, 16u);
  }
  EXPECT_EQ(admitted, 16 + 2);  // each with an entry, and the burst of the shared bucket
  EXPECT_EQ(limiter.snapshot().refused, 1000u - 18u);
}

TEST(AcceptLimiter, SourcesThatBecameIdleAreForgotten) {
  AcceptLimiter limiter({.rate_per_second = 1, .burst = 2, .max_sources = 4});
  for (std::uint8_t i = 0; i < 4; ++i) EXPECT_EQ(admitted_of(limiter, k_start, v4(0, i), 1), 1);
  EXPECT_EQ(admitted_of(limiter, k_start + 10s, v4(1, 0), 1), 1);
  EXPECT_EQ(limiter.snapshot().sources, 1u);
}

}  // namespace
}  // namespace dig
