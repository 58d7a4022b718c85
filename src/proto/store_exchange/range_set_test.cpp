// SPDX-License-Identifier: Apache-2.0
#include "proto/store_exchange/range_set.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/rng.hpp"

namespace dig::exchange {
namespace {

using store::ChunkRange;

TEST(RangeSet, joins_ranges_that_touch_or_overlap) {
  RangeSet set;
  set.add(0, 2);
  set.add(4, 2);
  set.add(2, 2);
  EXPECT_EQ(set.size(), 6u);
  EXPECT_EQ(set.last(), 5u);
  set.add(3, 10);
  EXPECT_EQ(set.size(), 13u);
  set.add(20, 0);
  EXPECT_FALSE(set.contains(20));
}

TEST(RangeSet, removes_the_middle_of_a_range) {
  RangeSet set;
  set.add(0, 10);
  set.remove(3, 4);
  EXPECT_TRUE(set.contains(2));
  EXPECT_FALSE(set.contains(3));
  EXPECT_FALSE(set.contains(6));
  EXPECT_TRUE(set.contains(7));
  EXPECT_EQ(set.size(), 6u);
  set.remove(0, 100);
  EXPECT_TRUE(set.empty());
}

TEST(RangeSet, first_common_is_the_lowest_shared_run_and_no_longer_than_asked) {
  RangeSet a;
  RangeSet b;
  a.add(0, 5);
  a.add(10, 10);
  b.add(7, 2);
  b.add(12, 100);
  EXPECT_EQ(a.first_common(b, 100), (ChunkRange{12, 8}));
  EXPECT_EQ(b.first_common(a, 3), (ChunkRange{12, 3}));
  b.remove(12, 100);
  EXPECT_EQ(a.first_common(b, 100), std::nullopt);
}

TEST(RangeSet, behaves_like_a_set_of_integers) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SeededRng rng(seed);
    RangeSet set;
    RangeSet other;
    std::set<std::uint64_t> model;
    std::set<std::uint64_t> other_model;
    for (int step = 0; step < 60; ++step) {
      const std::uint64_t first = rng.below(60);
      const std::uint64_t count = rng.below(9);
      const bool is_other = rng.below(2) == 0;
      const bool adds = rng.below(3) != 0;
      RangeSet& changed = is_other ? other : set;
      std::set<std::uint64_t>& changed_model = is_other ? other_model : model;
      adds ? changed.add(first, count) : changed.remove(first, count);
      for (std::uint64_t i = first; i < first + count; ++i) {
        if (adds) changed_model.insert(i);
        if (!adds) changed_model.erase(i);
      }
      ASSERT_EQ(set.size(), model.size());
      for (std::uint64_t i = 0; i < 70; ++i) ASSERT_EQ(set.contains(i), model.contains(i)) << seed << " " << i;
      std::optional<std::uint64_t> lowest;
      for (const std::uint64_t i : model) {
        if (other_model.contains(i) && !lowest) lowest = i;
      }
      const auto common = set.first_common(other, 4);
      ASSERT_EQ(common.has_value(), lowest.has_value());
      if (!common) continue;
      ASSERT_EQ(common->first, *lowest);
      for (std::uint64_t i = 0; i < common->count; ++i) {
        ASSERT_TRUE(model.contains(common->first + i) && other_model.contains(common->first + i));
      }
    }
  }
}

}  // namespace
}  // namespace dig::exchange
