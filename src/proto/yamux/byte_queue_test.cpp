// SPDX-License-Identifier: Apache-2.0
#include "proto/yamux/byte_queue.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace dig::yamux {
namespace {

TEST(ByteQueue, GivesBackWhatWasAppendedInAnySegmentation) {
  SeededRng rng(7);
  BlockPool pool;
  ByteQueue queue;
  Bytes expected;
  Bytes received;
  for (int round = 0; round < 400; ++round) {
    Bytes piece(rng.below(round % 10 == 0 ? 200'000 : 3'000));
    rng.fill(piece);
    append(expected, piece);
    queue.append(pool, piece);
    Bytes out(rng.below(60'000));
    const std::size_t count = queue.pop(pool, out);
    append(received, BytesView(out).first(count));
    ASSERT_EQ(queue.size(), expected.size() - received.size());
  }
  Bytes rest(queue.size());
  EXPECT_EQ(queue.pop(pool, rest), rest.size());
  append(received, rest);
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(equal(received, expected));
}

TEST(ByteQueue, TakesBlocksOverWithoutCopying) {
  BlockPool pool;
  ByteQueue queue;
  queue.append(pool, as_bytes("before "));
  BlockPtr block = pool.take(BlockPool::k_full_size);
  std::memcpy(block->bytes.get(), "headpayload", 11);
  block->begin = 4;
  block->end = 11;
  queue.append_block(std::move(block));
  queue.append(pool, as_bytes(" after"));
  Bytes out(64);
  const std::size_t count = queue.pop(pool, out);
  EXPECT_EQ(as_text(BytesView(out).first(count)), "before payload after");
}

TEST(ByteQueue, EmptyOperationsDoNothing) {
  BlockPool pool;
  ByteQueue queue;
  queue.append(pool, {});
  queue.append_block(pool.take(1));
  EXPECT_EQ(queue.pop(pool, {}), 0U);
  queue.clear(pool);
  EXPECT_TRUE(queue.empty());
}

TEST(BlockPool, ReusesFullBlocksAndNoOthers) {
  BlockPool pool;
  BlockPtr full = pool.take(1U << 20U);
  ASSERT_EQ(full->capacity, BlockPool::k_full_size);
  const std::byte* const address = full->bytes.get();
  pool.give_back(std::move(full));
  pool.give_back(pool.take(10));
  EXPECT_EQ(pool.take(10)->capacity, BlockPool::k_min_size);
  EXPECT_EQ(pool.take(BlockPool::k_full_size)->bytes.get(), address);
}

}  // namespace
}  // namespace dig::yamux
