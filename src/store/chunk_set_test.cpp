// SPDX-License-Identifier: Apache-2.0
#include "store/chunk_set.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.hpp"
#include "store/merkle.hpp"

namespace dig::store {
namespace {

TEST(ChunkSet, AnEmptySetHasEverythingAndNothing) {
  const ChunkSet set;
  EXPECT_TRUE(set.all());
  EXPECT_TRUE(set.none());
  EXPECT_FALSE(set.test(0));
  EXPECT_FALSE(set.next_missing(0));
  EXPECT_FALSE(set.next_present(0));
  EXPECT_TRUE(set.ranges(10).empty());
}

TEST(ChunkSet, IndicesPastTheEndChangeNothing) {
  ChunkSet set(65);
  EXPECT_TRUE(set.set(64));
  EXPECT_FALSE(set.set(65));
  EXPECT_FALSE(set.set(UINT64_MAX));
  EXPECT_FALSE(set.test(UINT64_MAX));
  EXPECT_FALSE(set.reset(65));
  set.set_range({66, 100});
  EXPECT_EQ(set.count(), 1U);
  set.set_range({60, UINT64_MAX});
  EXPECT_EQ(set.count(), 5U);
  EXPECT_FALSE(set.set(64));
  EXPECT_TRUE(set.reset(64));
  EXPECT_EQ(set.count(), 4U);
}

TEST(ChunkSet, AgreesWithAVectorOfBools) {
  SeededRng rng(3);
  for (const std::uint64_t size : {1U, 63U, 64U, 65U, 127U, 128U, 129U, 300U}) {
    ChunkSet set(size);
    std::vector<bool> model(size);
    for (int step = 0; step < 400; ++step) {
      const std::uint64_t index = rng.below(size);
      const bool value = rng.below(3) != 0;
      EXPECT_EQ(value ? set.set(index) : set.reset(index), model[index] != value);
      model[index] = value;
      const std::uint64_t from = rng.below(size + 2);
      std::optional<std::uint64_t> present, missing;
      std::uint64_t count = 0;
      for (std::uint64_t i = 0; i < size; ++i) {
        count += model[i] ? 1U : 0U;
        if (i < from) continue;
        if (model[i] && !present) present = i;
        if (!model[i] && !missing) missing = i;
      }
      ASSERT_EQ(set.next_present(from), present);
      ASSERT_EQ(set.next_missing(from), missing);
      ASSERT_EQ(set.count(), count);
    }
    ChunkSet rebuilt(size);
    for (const ChunkRange& range : set.ranges(SIZE_MAX)) rebuilt.set_range(range);
    EXPECT_EQ(rebuilt, set);
  }
}

TEST(ChunkSet, RangesAgreeWithSingleIndices) {
  SeededRng rng(4);
  for (const std::uint64_t size : {1U, 64U, 65U, 300U}) {
    for (int round = 0; round < 300; ++round) {
      ChunkSet set(size);
      for (std::uint64_t i = rng.below(size); i < size; i += 1 + rng.below(70)) set.set(i);
      const ChunkRange within{rng.below(size + 10), rng.below(size + 10)};
      ChunkSet one_by_one = set;
      for (std::uint64_t i = within.first; i < within.first + within.count; ++i) one_by_one.set(i);

      ChunkSet at_once = set;
      at_once.set_range(within);
      ASSERT_EQ(at_once, one_by_one);

      std::uint64_t missing = 0;
      std::uint64_t last_end = 0;
      ChunkSet by_runs = set;
      by_runs.for_each_missing_range(within, [&](ChunkRange run) {
        EXPECT_TRUE(run.count > 0 && (missing == 0 || run.first > last_end)) << "a run is as long as it can be";
        missing += run.count;
        last_end = run.first + run.count;
        by_runs.set_range(run);
      });
      ASSERT_EQ(by_runs, one_by_one);
      EXPECT_EQ(missing, one_by_one.count() - set.count());
    }
  }
}

TEST(ChunkSet, RangesAreCutToTheirLimit) {
  ChunkSet set(200);
  set.set_range({10, 20});
  set.set_range({150, 20});
  EXPECT_TRUE(set.ranges(0).empty());
  EXPECT_EQ(set.ranges(1), (std::vector<ChunkRange>{{10, 20}}));
  EXPECT_EQ(set.ranges(3), (std::vector<ChunkRange>{{10, 20}, {150, 20}}));
}

TEST(ChunkSet, ChunksOfBytesCoverTheirFirstAndLastByte) {
  EXPECT_EQ(chunks_of_bytes(0, 1), (ChunkRange{0, 1}));
  EXPECT_EQ(chunks_of_bytes(0, k_chunk_size), (ChunkRange{0, 1}));
  EXPECT_EQ(chunks_of_bytes(0, k_chunk_size + 1), (ChunkRange{0, 2}));
  EXPECT_EQ(chunks_of_bytes(k_chunk_size - 1, 2), (ChunkRange{0, 2}));
  EXPECT_EQ(chunks_of_bytes(k_chunk_size, 0).count, 0U);
  const ChunkRange last = chunks_of_bytes(UINT64_MAX, UINT64_MAX);
  EXPECT_EQ(last.count, 1U);
}

}  // namespace
}  // namespace dig::store
