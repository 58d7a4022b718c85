// SPDX-License-Identifier: Apache-2.0
#include "store/disk/prefix_hasher.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <thread>

#include "store/testing/disk_fixture.hpp"

namespace dig::store {
namespace {

using testing::HeldStore;

const StoreId k_store_id = StoreId{SeededRng(98).array<32>()};

struct PrefixHasherTest : testing::DiskTest {
  const Bytes content = random_bytes(5 * k_chunk_size + 1000, 2);
  HeldStore held{content, k_store_id};

  std::shared_ptr<PartialStore> open() { return std::move(PartialStore::open(folder(), held.manifest).value()); }
  void write(PartialStore& partial, PrefixHasher& hasher, std::uint64_t index) {
    ASSERT_TRUE(partial.write_chunk(index, held.chunk(index), held.tree.proof(index)));
    hasher.chunk_written(index, held.chunk(index));
  }
};

TEST_F(PrefixHasherTest, GivesTheHashOfTheWholeWhateverTheOrder) {
  std::vector<std::uint64_t> order(6);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 chance(7);
  for (int round = 0; round < 10; ++round) {
    const auto partial = open();
    PrefixHasher hasher(partial);
    for (const std::uint64_t index : order) write(*partial, hasher, index);
    const auto digest = hasher.finish();
    ASSERT_TRUE(digest);
    EXPECT_EQ(*digest, Hash256{crypto::sha256(content)});
    std::ranges::shuffle(order, chance);
  }
}

TEST_F(PrefixHasherTest, TakesWhatAnEarlierFetchLeft) {
  {
    const auto partial = open();
    PrefixHasher unused(partial);
    for (const std::uint64_t index : {0U, 1U, 4U}) write(*partial, unused, index);
  }
  const auto partial = open();
  PrefixHasher hasher(partial);
  for (const std::uint64_t index : {5U, 3U, 2U}) write(*partial, hasher, index);
  EXPECT_EQ(hasher.finish(), Hash256{crypto::sha256(content)});
}

TEST_F(PrefixHasherTest, DoesNotFinishWhileAChunkIsMissing) {
  const auto partial = open();
  PrefixHasher hasher(partial);
  for (const std::uint64_t index : {0U, 1U, 3U, 4U, 5U}) write(*partial, hasher, index);
  const auto digest = hasher.finish();
  ASSERT_FALSE(digest);
  EXPECT_EQ(digest.error().code(), Errc::not_here);
  write(*partial, hasher, 2);
  EXPECT_EQ(hasher.finish(), Hash256{crypto::sha256(content)});
}

TEST_F(PrefixHasherTest, SeveralThreadsMayTellAtOnce) {
  const auto partial = open();
  PrefixHasher hasher(partial);
  {
    std::vector<std::jthread> threads;
    for (const std::uint64_t first : {0U, 1U, 2U}) {
      threads.emplace_back([&, first] {
        write(*partial, hasher, first);
        write(*partial, hasher, first + 3);
      });
    }
  }
  EXPECT_EQ(hasher.finish(), Hash256{crypto::sha256(content)});
}

}  // namespace
}  // namespace dig::store
