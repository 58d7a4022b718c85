// SPDX-License-Identifier: Apache-2.0
#include "base/datagram_queue.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "base/rng.hpp"

namespace dig {
namespace {

TEST(DatagramQueue, KeepsOrderAndBoundaries) {
  SeededRng rng(1);
  DatagramQueue queue(4000);
  std::deque<Bytes> expected;
  for (int i = 0; i < 5000; ++i) {
    Bytes datagram(rng.below(1500));
    rng.fill(datagram);
    if (queue.push(datagram)) expected.push_back(datagram);
    ASSERT_LE(queue.bytes_waiting(), 4000u);
    if (rng.below(2) == 0 && !expected.empty()) {
      ASSERT_TRUE(queue.front().has_value());
      ASSERT_TRUE(equal(*queue.front(), expected.front()));
      queue.pop();
      expected.pop_front();
    }
    ASSERT_EQ(queue.empty(), expected.empty());
  }
}

TEST(DatagramQueue, DropsWhatWouldExceedTheLimit) {
  DatagramQueue queue(20);
  EXPECT_FALSE(queue.push(Bytes(17)));
  EXPECT_TRUE(queue.push(Bytes(12)));
  EXPECT_TRUE(queue.push({})) << "an empty datagram is a datagram";
  EXPECT_FALSE(queue.push({}));
  queue.pop();
  EXPECT_EQ(queue.front()->size(), 0u);
}

TEST(DatagramQueue, ReservedRoomMayBeUsedInPart) {
  DatagramQueue queue(100);
  const MutableBytes room = queue.reserve(16'384);
  ASSERT_EQ(room.size(), 16'384u);
  std::memcpy(room.data(), "text", 4);
  EXPECT_TRUE(queue.commit(4));
  EXPECT_EQ(as_text(*queue.front()), "text");
  EXPECT_EQ(queue.reserve(16'384).size(), 16'384u);
  EXPECT_FALSE(queue.commit(16'384));
  EXPECT_EQ(as_text(*queue.front()), "text");
  queue.clear();
  EXPECT_EQ(queue.front(), std::nullopt);
}

}  // namespace
}  // namespace dig
