// SPDX-License-Identifier: Apache-2.0
#include "cli/format.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace dig::cli {
namespace {

TEST(Format, BytesHaveAtMostThreeDigitsBeforeThePoint) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.0 KiB");
  EXPECT_EQ(format_bytes(1024 * 1024), "1.0 MiB");
  EXPECT_EQ(format_bytes(1023ULL * 1024), "1.0 MiB");
  EXPECT_EQ(format_bytes(1536ULL * 1024 * 1024), "1.5 GiB");
  EXPECT_EQ(format_bytes(std::numeric_limits<std::uint64_t>::max()), "16.0 EiB");
}

TEST(Format, TimeLeftHasTwoUnitsAndAnEnd) {
  using std::chrono::seconds;
  EXPECT_EQ(format_time_left(seconds(-5)), "0s");
  EXPECT_EQ(format_time_left(seconds(59)), "59s");
  EXPECT_EQ(format_time_left(seconds(60)), "1m 00s");
  EXPECT_EQ(format_time_left(seconds(3599)), "59m 59s");
  EXPECT_EQ(format_time_left(seconds(7500)), "2h 05m");
  EXPECT_EQ(format_time_left(seconds(86'400)), "24h 00m");
  EXPECT_EQ(format_time_left(seconds(86'401)), ">1d");
}

TEST(Format, ElapsedTimeFitsItsSize) {
  EXPECT_EQ(format_elapsed(0.0124), "12 ms");
  EXPECT_EQ(format_elapsed(0.84), "0.84 s");
  EXPECT_EQ(format_elapsed(200), "3m 20s");
}

TEST(Format, ATableAlignsItsColumnsAndCleansItsCells) {
  EXPECT_EQ(format_table({{"tier", "name"}, {"1", "direct"}, {"10", "e\x1b[2Jvil"}}),
            "  tier  name\n"
            "  1     direct\n"
            "  10    e?[2Jvil");
}

TEST(Format, OneIsSingular) {
  EXPECT_EQ(count_of(1, "store", "stores"), "1 store");
  EXPECT_EQ(count_of(0, "store", "stores"), "0 stores");
}

}  // namespace
}  // namespace dig::cli
