// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/data_budget.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "base/rng.hpp"

namespace dig::autonat {
namespace {

TEST(DataBudget, WhatIsReservedCountsUntilItIsSettled) {
  Instant now{1h};
  DataBudget budget(250);
  EXPECT_TRUE(budget.reserve(now, 100));
  EXPECT_TRUE(budget.reserve(now, 100));
  EXPECT_FALSE(budget.reserve(now, 100));
  budget.settle(now, 100, 0);
  EXPECT_TRUE(budget.reserve(now, 100));
  budget.settle(now, 100, 40);
  EXPECT_EQ(budget.used(), 140u);
  EXPECT_TRUE(budget.reserve(now, 110));
  EXPECT_FALSE(budget.reserve(now, 1));
}

TEST(DataBudget, WhatIsSpentComesBackAfterAnHour) {
  Instant now{1h};
  DataBudget budget(100);
  EXPECT_TRUE(budget.reserve(now, 100));
  budget.settle(now, 100, 100);
  EXPECT_FALSE(budget.reserve(now + 1h - 1ns, 1));
  EXPECT_TRUE(budget.reserve(now + 1h, 100));
}

TEST(DataBudget, HoldsInEveryHour) {
  SeededRng rng(1);
  DataBudget budget(1000);
  Instant now{1h};
  std::deque<std::pair<Instant, std::uint64_t>> sent;
  std::uint64_t total = 0;
  for (int i = 0; i < 20'000; ++i) {
    now = now + Duration(static_cast<Duration::rep>(rng.below(1'200'000'000'000)));
    const std::uint64_t amount = rng.below(300);
    if (!budget.reserve(now, amount)) continue;
    const std::uint64_t spent = rng.below(amount + 1);
    now = now + Duration(static_cast<Duration::rep>(rng.below(20'000'000'000)));
    budget.settle(now, amount, spent);
    sent.emplace_back(now, spent);
    std::uint64_t in_hour = 0;
    while (now - sent.front().first >= 1h) sent.pop_front();
    for (const auto& [at, size] : sent) in_hour += size;
    ASSERT_LE(in_hour, 1000u);
    total += spent;
  }
  EXPECT_GT(total, 100'000u) << "and it is of use";
}

TEST(DataBudget, ManySmallAmountsUseItUp) {
  const Instant now{1h};
  DataBudget budget(6400);
  int count = 0;
  while (budget.reserve(now, 100)) {
    budget.settle(now, 100, 1);
    ++count;
  }
  EXPECT_EQ(count, 64) << "each counts for a share, so that their list is short";
}

}  // namespace
}  // namespace dig::autonat
