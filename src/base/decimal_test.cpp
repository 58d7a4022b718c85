// SPDX-License-Identifier: Apache-2.0
#include "base/decimal.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace dig {
namespace {

TEST(Decimal, ReadsEveryNumberUpToItsBound) {
  for (std::uint64_t value = 0; value <= 300; ++value) {
    const auto read = parse_decimal(std::to_string(value), 255);
    if (value <= 255) {
      EXPECT_EQ(read.value_or(999), value);
    } else {
      EXPECT_FALSE(read) << value;
    }
  }
}

TEST(Decimal, ReadsTheLargestIntegerAndNothingBeyond) {
  const std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(parse_decimal("18446744073709551615", max).value_or(0), max);
  EXPECT_FALSE(parse_decimal("18446744073709551616", max));
  EXPECT_FALSE(parse_decimal("99999999999999999999999999", max));
}

TEST(Decimal, WorksWithBoundsBelowTen) {
  EXPECT_EQ(parse_decimal("3", 3).value_or(9), 3U);
  EXPECT_FALSE(parse_decimal("4", 3));
  EXPECT_FALSE(parse_decimal("10", 3));
  EXPECT_EQ(parse_decimal("0", 0).value_or(9), 0U);
}

TEST(Decimal, RefusesEverythingThatIsNotPlainDigits) {
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "01", "00", "0x10", "1e3", "1.0", "\xD9\xA1", "1,0"}) {
    EXPECT_FALSE(parse_decimal(text, 1000)) << '"' << text << '"';
  }
}

}  // namespace
}  // namespace dig
