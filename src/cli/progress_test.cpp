// SPDX-License-Identifier: Apache-2.0
// The frames of the progress line, drawn from given times.
#include "cli/progress.hpp"

#include <gtest/gtest.h>

namespace dig::cli {
namespace {

constexpr std::uint64_t k_mib = 1024 * 1024;
constexpr Instant k_start{std::chrono::seconds(1000)};

Instant at(double seconds) {
  return k_start + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

TEST(Progress, GoldenFrames) {
  ProgressMeter meter(k_start);
  EXPECT_EQ(meter.bar(at(0), 80), "connecting");
  meter.set_path("direct tcp");
  EXPECT_EQ(meter.bar(at(0.1), 80), "direct tcp");
  meter.update(at(0.1), 0, 100 * k_mib, 0);
  EXPECT_EQ(meter.bar(at(0.1), 80), "  0% [>                             ]  0 B of 100.0 MiB  -  direct tcp");
  meter.update(at(1.1), 10 * k_mib, 100 * k_mib, 10 * k_mib);
  EXPECT_EQ(meter.bar(at(1.1), 100),
            " 10% [===>                          ]  10.0 MiB of 100.0 MiB  10.0 MiB/s  9s left  direct tcp");
  meter.update(at(9.1), 100 * k_mib, 100 * k_mib, 100 * k_mib);
  EXPECT_EQ(meter.bar(at(9.1), 100).substr(0, 61), "100% [==============================]  100.0 MiB of 100.0 MiB");
}

TEST(Progress, BeforeAnyProgressItSaysWhatItWaitsFor) {
  ProgressMeter meter(k_start, "adding");
  EXPECT_EQ(meter.bar(at(0), 80), "adding");
  EXPECT_EQ(meter.bar(at(0), 3), "add");
  EXPECT_EQ(meter.plain(at(0)), "adding");
  meter.update(at(1), 10, 20, 10);
  EXPECT_EQ(meter.plain(at(1)), "50%  10 B of 20 B  10 B/s  1s left");
}

TEST(Progress, TheFirstSampleIsTheRateAndLaterOnesAreSmoothed) {
  ProgressMeter meter(k_start);
  meter.update(at(1), 10 * k_mib, 1000 * k_mib, 10 * k_mib);
  EXPECT_DOUBLE_EQ(meter.rate(), 10.0 * k_mib);
  meter.update(at(2), 30 * k_mib, 1000 * k_mib, 30 * k_mib);
  EXPECT_GT(meter.rate(), 10.0 * k_mib);
  EXPECT_LT(meter.rate(), 13.0 * k_mib);
}

TEST(Progress, WhatWasHereBeforeIsNoSpeed) {
  ProgressMeter meter(k_start);
  meter.update(at(1), 900 * k_mib, 1000 * k_mib, 0);
  EXPECT_DOUBLE_EQ(meter.rate(), 0.0);
  EXPECT_EQ(meter.plain(at(1)), "90%  900.0 MiB of 1.0 GiB  -");
}

TEST(Progress, WithoutGrowthForTenSecondsItIsStalled) {
  ProgressMeter meter(k_start);
  meter.update(at(1), k_mib, 10 * k_mib, k_mib);
  EXPECT_FALSE(meter.is_stalled(at(10.9)));
  EXPECT_TRUE(meter.is_stalled(at(11)));
  EXPECT_EQ(meter.plain(at(11)), "10%  1.0 MiB of 10.0 MiB  stalled");
  meter.update(at(12), 2 * k_mib, 10 * k_mib, 2 * k_mib);
  EXPECT_FALSE(meter.is_stalled(at(12)));
}

TEST(Progress, ALongTimeIsCapped) {
  ProgressMeter meter(k_start);
  meter.update(at(1), 2, std::uint64_t{1} << 60U, 2);
  EXPECT_EQ(meter.plain(at(1)), "0%  2 B of 1.0 EiB  2 B/s  >1d left");
}

TEST(Progress, NoFrameIsWiderThanItsLine) {
  ProgressMeter meter(k_start);
  meter.set_path("traversal punch-udp");
  meter.update(at(1), 123'456'789, 987'654'321, 123'456'789);
  for (std::size_t width = 0; width <= 200; ++width) {
    EXPECT_LE(meter.bar(at(1), width).size(), width);
  }
  EXPECT_EQ(meter.bar(at(1), 20), " 12%");
}

TEST(Progress, MoreBytesThanTheTotalAreStillAHundredPercent) {
  ProgressMeter meter(k_start);
  meter.update(at(1), 11, 10, 11);
  EXPECT_TRUE(meter.plain(at(1)).starts_with("100%  11 B of 10 B"));
  EXPECT_TRUE(meter.bar(at(1), 80).starts_with("100% [=============================="));
}

}  // namespace
}  // namespace dig::cli
