// SPDX-License-Identifier: Apache-2.0
#include "proto/directory/sorted_blocks.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/rng.hpp"

namespace dig::directory {
namespace {

std::vector<int> all_from(const SortedBlocks<int>& blocks, int from) {
  std::vector<int> found;
  blocks.visit_from(from, [&](int value) {
    found.push_back(value);
    return true;
  });
  return found;
}

TEST(SortedBlocks, EmptyHasNothing) {
  SortedBlocks<int> blocks;
  EXPECT_TRUE(blocks.empty());
  EXPECT_FALSE(blocks.erase(1));
  EXPECT_TRUE(all_from(blocks, 0).empty());
}

TEST(SortedBlocks, AVisitEndsWhenItIsTold) {
  SortedBlocks<int> blocks;
  for (int i = 0; i < 1000; ++i) blocks.insert(i);
  int seen = 0;
  blocks.visit_from(500, [&](int) { return ++seen < 3; });
  EXPECT_EQ(seen, 3);
}

// Grows, churns and shrinks again, beside a set.
TEST(SortedBlocks, IsASet) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    SeededRng rng(seed);
    SortedBlocks<int> blocks;
    std::set<int> model;
    std::size_t largest = 0;
    for (int step = 0; step < 30'000; ++step) {
      const int value = static_cast<int>(rng.below(5000));
      const bool grows = step < 10'000 || (step < 20'000 && rng.below(2) == 0);
      if (grows || rng.below(8) == 0) {
        ASSERT_EQ(blocks.insert(value), model.insert(value).second);
      } else {
        ASSERT_EQ(blocks.erase(value), model.erase(value) == 1);
      }
      largest = std::max(largest, blocks.memory());
      ASSERT_EQ(blocks.size(), model.size());
      if (step % 500 != 0) continue;
      const int from = static_cast<int>(rng.below(5000));
      ASSERT_EQ(all_from(blocks, from), std::vector<int>(model.lower_bound(from), model.end()));
      if (model.empty()) continue;
      ASSERT_EQ(blocks.front(), *model.begin());
      ASSERT_EQ(blocks.back(), *model.rbegin());
    }
    while (!model.empty()) {
      ASSERT_TRUE(blocks.erase(*model.begin()));
      model.erase(model.begin());
    }
    EXPECT_TRUE(blocks.empty());
    EXPECT_LT(blocks.memory(), largest / 4);
  }
}

}  // namespace
}  // namespace dig::directory
