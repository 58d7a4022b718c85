// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_client/leg_output.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "base/rng.hpp"

namespace dig::turn {
namespace {

bool put(LegOutput& output, BytesView bytes, std::size_t extra = 0) {
  const MutableBytes room = output.reserve(bytes.size(), extra);
  if (room.size() != bytes.size()) return false;
  std::ranges::copy(bytes, room.begin());
  return true;
}

TEST(LegOutput, DatagramsComeOutWholeAndInOrder) {
  LegOutput output(false, 100);
  EXPECT_TRUE(put(output, as_bytes("first")));
  EXPECT_TRUE(put(output, as_bytes("second")));
  Bytes out(5);
  EXPECT_EQ(output.pop(out), 5u);
  EXPECT_EQ(as_text(out), "first");
  EXPECT_EQ(output.pop(out), 0u);  // waits for room
  out.resize(6);
  EXPECT_EQ(output.pop(out), 6u);
  EXPECT_EQ(as_text(out), "second");
  EXPECT_EQ(output.pop(out), 0u);
  EXPECT_EQ(output.size(), 0u);
}

TEST(LegOutput, AStreamComesOutInAnyPieces) {
  LegOutput output(true, 100);
  EXPECT_TRUE(put(output, as_bytes("first")));
  EXPECT_TRUE(put(output, as_bytes("second")));
  Bytes out(7);
  EXPECT_EQ(output.pop(out), 7u);
  EXPECT_EQ(as_text(out), "firstse");
  EXPECT_EQ(output.pop(out), 4u);
  EXPECT_EQ(as_text(BytesView(out).first(4)), "cond");
}

TEST(LegOutput, TakesNothingBeyondItsCapacityAndTheExtraOfRequests) {
  LegOutput output(true, 10);
  EXPECT_TRUE(put(output, as_bytes("0123456789")));
  EXPECT_FALSE(put(output, as_bytes("a")));
  EXPECT_TRUE(put(output, as_bytes("abcde"), 5));
  EXPECT_FALSE(put(output, as_bytes("f"), 5));
  EXPECT_FALSE(output.is_half_empty());
  Bytes out(10);
  EXPECT_EQ(output.pop(out), 10u);
  EXPECT_TRUE(output.is_half_empty());
}

// Against a plain queue, with everything at random.
TEST(LegOutput, IsAQueueWhateverTheOrderOfCalls) {
  SeededRng rng(4);
  for (const bool is_stream : {false, true}) {
    LegOutput output(is_stream, 500);
    std::deque<Bytes> datagrams;
    Bytes stream;
    for (int i = 0; i < 20'000; ++i) {
      Bytes bytes(rng.below(60) + 1);
      rng.fill(bytes);
      if (rng.below(2) == 0) {
        if (!put(output, bytes)) continue;
        datagrams.push_back(bytes);
        append(stream, bytes);
      } else if (is_stream) {
        const std::size_t size = output.pop(bytes);
        ASSERT_EQ(size, std::min(bytes.size(), stream.size()));
        ASSERT_TRUE(std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), stream.begin()));
        stream.erase(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
      } else if (const std::size_t size = output.pop(bytes); size > 0) {
        bytes.resize(size);
        ASSERT_EQ(bytes, datagrams.front());
        datagrams.pop_front();
      }
      ASSERT_LE(output.size(), 500u);
    }
  }
}

}  // namespace
}  // namespace dig::turn
