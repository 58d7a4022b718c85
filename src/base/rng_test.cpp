// SPDX-License-Identifier: Apache-2.0
#include "base/rng.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace dig {
namespace {

TEST(SeededRng, RepeatsItselfForOneSeedOnly) {
  SeededRng a(1);
  SeededRng b(1);
  SeededRng c(2);
  const auto first = a.array<64>();
  EXPECT_EQ(first, b.array<64>());
  EXPECT_NE(first, c.array<64>());
  EXPECT_NE(first, a.array<64>());
}

TEST(SeededRng, FillsBuffersOfEverySize) {
  for (std::size_t size = 0; size < 40; ++size) {
    SeededRng rng(3);
    Bytes bytes(size + 2, std::byte{0});
    rng.fill(MutableBytes(bytes).first(size));
    EXPECT_EQ(bytes[size], std::byte{0}) << "nothing is written past the end";
    if (size >= 16) {
      EXPECT_TRUE(std::any_of(bytes.begin() + 8, bytes.end(), [](std::byte b) { return b != std::byte{0}; }));
    }
  }
}

TEST(Rng, StaysBelowItsBoundAndReachesEveryValue) {
  SeededRng rng(4);
  for (const std::uint64_t bound : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{7}, std::uint64_t{64}}) {
    std::vector<int> seen(bound, 0);
    for (int i = 0; i < 6400; ++i) {
      const std::uint64_t value = rng.below(bound);
      ASSERT_LT(value, bound);
      ++seen[value];
    }
    const int expected = 6400 / static_cast<int>(bound);
    for (const int count : seen) EXPECT_GT(count, expected / 2);
  }
  EXPECT_LT(rng.below(std::numeric_limits<std::uint64_t>::max()), std::numeric_limits<std::uint64_t>::max());
}

}  // namespace
}  // namespace dig
