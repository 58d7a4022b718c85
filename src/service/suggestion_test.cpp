// SPDX-License-Identifier: Apache-2.0
#include "service/suggestion.hpp"

#include <gtest/gtest.h>

namespace dig::service {
namespace {

constexpr std::string_view k_words[] = {"id", "add", "ls", "verify", "serve", "get", "connect", "ports"};

TEST(Suggestion, FindsTheNearestWord) {
  EXPECT_EQ(nearest_word("sevre", k_words), "serve");
  EXPECT_EQ(nearest_word("gte", k_words), "get");
  EXPECT_EQ(nearest_word("conect", k_words), "connect");
  EXPECT_EQ(nearest_word("conn", k_words), "connect");
  EXPECT_EQ(nearest_word("veryfy", k_words), "verify");
}

TEST(Suggestion, SaysNothingWhenNothingIsNear) {
  EXPECT_EQ(nearest_word("", k_words), std::nullopt);
  EXPECT_EQ(nearest_word("banana", k_words), std::nullopt);
  EXPECT_EQ(nearest_word(std::string(100'000, 'g'), k_words), std::nullopt);
  EXPECT_EQ(did_you_mean("banana", k_words), "");
  EXPECT_EQ(did_you_mean("port", k_words), " (did you mean \"ports\"?)");
}

}  // namespace
}  // namespace dig::service
