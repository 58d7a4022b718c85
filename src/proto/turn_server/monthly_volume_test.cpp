// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/monthly_volume.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace dig::turn {
namespace {

constexpr UnixTime k_february_ends{1'709'251'199};  // 2024-02-29 23:59:59 UTC
constexpr UnixTime k_march_begins{1'709'251'200};
constexpr UnixTime k_december_ends{1'735'689'599};  // 2024-12-31 23:59:59 UTC
constexpr UnixTime k_january_begins{1'735'689'600};

TEST(MonthlyVolume, IsUsedUpToItsLastByteAndNoFurther) {
  MonthlyVolume volume(1000, {});
  EXPECT_EQ(volume.left(k_march_begins), 1000U);
  volume.add(k_march_begins, 999);
  EXPECT_EQ(volume.left(k_march_begins), 1U);
  volume.add(k_march_begins, 1);
  EXPECT_EQ(volume.left(k_march_begins), 0U);
  volume.add(k_march_begins, 5);
  EXPECT_EQ(volume.left(k_march_begins), 0U);
}

TEST(MonthlyVolume, BeginsAnewWithTheMonth) {
  for (const auto& [last, first] : {std::pair{k_february_ends, k_march_begins}, {k_december_ends, k_january_begins}}) {
    MonthlyVolume volume(1000, {});
    volume.add(last, 400);
    EXPECT_EQ(volume.left(last), 600U);
    EXPECT_EQ(volume.left(first), 1000U);
    volume.add(first, 100);
    EXPECT_EQ(volume.left(first), 900U);
    EXPECT_EQ(volume.left({first.seconds + 27 * 86'400}), 900U);
  }
}

TEST(MonthlyVolume, ARestartForgetsNothing) {
  MonthlyVolume before(1000, {});
  before.add(k_february_ends, 400);
  const MonthlyVolume::State saved = before.snapshot();
  EXPECT_EQ(saved, (MonthlyVolume::State{2024 * 12 + 1, 400}));
  EXPECT_EQ(MonthlyVolume(1000, saved).left(k_february_ends), 600U);
  EXPECT_EQ(MonthlyVolume(1000, saved).left(k_march_begins), 1000U);
  EXPECT_EQ(MonthlyVolume(300, saved).left(k_february_ends), 0U);  // its owner gives less now
}

TEST(MonthlyVolume, AClockThatIsNotSetYetBeginsNoMonth) {
  MonthlyVolume volume(1000, {2024 * 12 + 2, 400});
  volume.add({0}, 100);
  EXPECT_EQ(volume.left({0}), 500U);
  EXPECT_EQ(volume.left(k_march_begins), 500U);
}

TEST(MonthlyVolume, WhatAClockFarAheadHasCountedEndsWhenItIsRightAgain) {
  constexpr UnixTime k_2099{4'070'908'800};
  constexpr UnixTime k_november_2026{1'794'000'000};
  MonthlyVolume volume(1000, {});
  volume.add(k_2099, 1000);
  EXPECT_EQ(volume.left(k_2099), 0U);
  EXPECT_EQ(volume.left(k_november_2026), 1000U);
  volume.add(k_november_2026, 300);
  EXPECT_EQ(volume.snapshot(), (MonthlyVolume::State{2026 * 12 + 10, 300}));
  EXPECT_EQ(volume.left(k_november_2026), 700U);
}

TEST(MonthlyVolume, AClockThatGoesToAndFroAtTheEndOfAMonthIsGivenNoMore) {
  constexpr UnixTime k_last{1'827'619'199};  // 2027-11-30 23:59:59 UTC
  constexpr UnixTime k_first{1'827'619'200};
  MonthlyVolume volume(1000, {});
  volume.add(k_last, 1000);
  for (int i = 0; i < 10; ++i) {
    volume.add(k_first, 100);
    volume.add(k_last, 100);
  }
  EXPECT_EQ(volume.left(k_first), 0U);
  EXPECT_EQ(volume.left(k_last), 0U);
  EXPECT_EQ(volume.left({k_first.seconds + 31 * 86'400}), 1000U) << "the month after";
}

TEST(MonthlyVolume, WithoutALimitItOnlyCounts) {
  MonthlyVolume volume(0, {});
  volume.add(k_march_begins, 7);
  volume.add(k_march_begins, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(volume.left(k_march_begins), std::nullopt);
  EXPECT_EQ(volume.snapshot().bytes, std::numeric_limits<std::uint64_t>::max());
}

TEST(MonthlyVolume, AnyClockAndAnyFileAreSafe) {
  for (const std::int64_t seconds :
       {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::numeric_limits<std::int64_t>::max()}) {
    for (const std::int32_t month :
         {std::numeric_limits<std::int32_t>::min(), 0, std::numeric_limits<std::int32_t>::max()}) {
      MonthlyVolume volume(1000, {month, std::numeric_limits<std::uint64_t>::max()});
      volume.add({seconds}, 1);
      EXPECT_LE(*volume.left({seconds}), 1000U);
    }
  }
}

TEST(MonthlyVolume, IsKeptAsText) {
  for (const MonthlyVolume::State& state :
       {MonthlyVolume::State{2026 * 12 + 10, 123'456}, MonthlyVolume::State{},
        MonthlyVolume::State{9999 * 12 + 11, std::numeric_limits<std::uint64_t>::max()}}) {
    EXPECT_EQ(parse_monthly_volume(to_text(state)).value(), state) << to_text(state);
  }
  EXPECT_EQ(to_text({2026 * 12 + 10, 123'456}), "2026-11 123456\n");
}

TEST(MonthlyVolume, NoOtherTextIsOne) {
  for (const std::string_view text : {"", "\n", "2026-11 ", "2026-11 \n", "2026-11 1", "2026-11 1\n\n", "2026-13 1\n",
                                      "2026-00 1\n", "2026-1  1\n", "2026-11 01\n", "2026-11 -1\n", "2026-11 +1\n",
                                      "2026-11 18446744073709551616\n", "-026-11 1\n", "2026/11 1\n", "12026-11 1\n"}) {
    EXPECT_FALSE(parse_monthly_volume(text)) << text;
  }
}

}  // namespace
}  // namespace dig::turn
