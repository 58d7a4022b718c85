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

TEST(ChunkSet, MissingRangesAreCutToTheirLimit) {
  ChunkSet set(200);
  set.set_range({10, 20});
  EXPECT_EQ(set.next_missing_range(0, 100), (ChunkRange{0, 10}));
  EXPECT_EQ(set.next_missing_range(0, 4), (ChunkRange{0, 4}));
  EXPECT_EQ(set.next_missing_range(15, 500), (ChunkRange{30, 170}));
  EXPECT_FALSE(set.next_missing_range(200, 1));
  EXPECT_FALSE(set.next_missing_range(0, 0));
  EXPECT_FALSE(ChunkSet::full(200).next_missing_range(0, 1));
  EXPECT_EQ(set.ranges(0).size(), 0U);
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
