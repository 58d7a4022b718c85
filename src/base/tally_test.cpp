// SPDX-License-Identifier: Apache-2.0
#include "base/tally.hpp"

#include <gtest/gtest.h>

namespace dig {
namespace {

TEST(Tally, CountsByKeyAndForgetsKeysWithNone) {
  Tally<int> tally;
  EXPECT_EQ(tally.count(1), 0U);
  tally.add(1);
  tally.add(1);
  tally.add(2);
  EXPECT_EQ(tally.count(1), 2U);
  EXPECT_EQ(tally.count(2), 1U);
  tally.remove(1);
  tally.remove(2);
  EXPECT_EQ(tally.count(1), 1U);
  EXPECT_EQ(tally.keys(), 1U);
  tally.remove(2);
  EXPECT_EQ(tally.count(2), 0U) << "what was never added is not removed";
}

}  // namespace
}  // namespace dig
