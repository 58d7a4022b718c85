// SPDX-License-Identifier: Apache-2.0
#include "base/byte_fifo.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "base/rng.hpp"

namespace dig {
namespace {

TEST(ByteFifo, GivesBackWhatWasPutInWhateverTheSizes) {
  SeededRng rng(1);
  ByteFifo fifo;
  std::deque<std::byte> expected;
  Bytes buffer(300);
  for (int i = 0; i < 5000; ++i) {
    const MutableBytes more = MutableBytes(buffer).first(rng.below(i % 100 < 50 ? 300 : 100));
    rng.fill(more);
    fifo.append(more);
    expected.insert(expected.end(), more.begin(), more.end());
    const std::size_t size = fifo.pop(MutableBytes(buffer).first(rng.below(300)));
    ASSERT_TRUE(std::equal(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size), expected.begin()));
    expected.erase(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_EQ(fifo.size(), expected.size());
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), fifo.view().begin()));
  }
}

TEST(ByteFifo, IsEmptyAfterClear) {
  ByteFifo fifo;
  fifo.append(as_bytes("text"));
  fifo.clear();
  EXPECT_TRUE(fifo.empty());
  EXPECT_EQ(fifo.pop({}), 0u);
  fifo.append(as_bytes("more"));
  EXPECT_EQ(as_text(fifo.view()), "more");
}

}  // namespace
}  // namespace dig
