// SPDX-License-Identifier: Apache-2.0
#include "store/resource_name.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dig::store {
namespace {

std::string repeat(std::string_view piece, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += piece;
  return out;
}

TEST(ResourceName, OrdinaryNamesAreAccepted) {
  for (const std::string name : {"index.html", "a/b/c.txt", "with space.txt", "%2e%2e", "...hidden", ".well-known/x",
                                 "gr\u00fc\u00dfe/\u65e5\u672c.txt", "emoji \U0001f600", "console.log", "com10.txt",
                                 "git", "~user", "a'b(c)", "community", "lpt"}) {
    EXPECT_TRUE(check_resource_name(name)) << name;
  }
}

TEST(ResourceName, TraversalAndForeignPathFormsAreRefused) {
  for (const std::string name : {"", ".", "..", "/", "/etc/passwd", "../x", "a/../../x", "a/..", "a/./b", "a//b", "a/",
                                 "..\\x", "C:\\x", "C:x", "\\\\server\\share", "a:b"}) {
    EXPECT_FALSE(check_resource_name(name)) << name;
  }
}

TEST(ResourceName, NamesThatOtherSystemsCannotHoldAreRefused) {
  for (const std::string name : {"CON", "con", "aux.txt", "a/NUL", "nul .txt", "COM1", "lpt9.log", "com\u00b9",
                                 "CONIN$", "file.", "dir./x", "file ", ".git/config", ".GIT"}) {
    EXPECT_FALSE(check_resource_name(name)) << name;
  }
}

TEST(ResourceName, ControlAndInvisibleCharactersAreRefused) {
  for (const std::string& name : {std::string("a\0b", 3), std::string("a\nb"), std::string("a\x1b[2J"),
                                  std::string("a\x7f"), std::string("a\u0085"),
                                  std::string("a\u202e"
                                              "fdp.exe"),
                                  std::string("a\u2066"), std::string("a\u200b"), std::string("a\ufeff"),
                                  std::string("a\u2028"), std::string("a\u200f"), std::string("a\U000e0041")}) {
    EXPECT_FALSE(check_resource_name(name));
  }
}

TEST(ResourceName, OnlyValidUtf8IsAccepted) {
  for (const std::string_view name :
       {"\xc0\xae\xc0\xae", "\xc1\x81", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "\x80", "a\xc3", "a\xe2\x82", "a\xf0\x9f\x98", "\xc3(", "\xe2\x28\xa1"}) {
    EXPECT_FALSE(check_resource_name(name));
  }
  for (const std::string_view name : {"\xc2\xa1", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                      "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbd"}) {
    EXPECT_TRUE(check_resource_name(name)) << name;
  }
}

TEST(ResourceName, LengthsAreBounded) {
  EXPECT_TRUE(check_resource_name(std::string(255, 'a')));
  EXPECT_EQ(check_resource_name(std::string(256, 'a')).error().code(), Errc::oversized);
  EXPECT_TRUE(check_resource_name(repeat("a/", 255) + "a"));
  EXPECT_EQ(check_resource_name(repeat("a/", 256) + "a").error().code(), Errc::oversized);
  const std::string longest = repeat(std::string(127, 'a') + "/", 31) + std::string(128, 'a');
  ASSERT_EQ(longest.size(), 4096U);
  EXPECT_TRUE(check_resource_name(longest));
  EXPECT_EQ(check_resource_name(longest + "a").error().code(), Errc::oversized);
}

TEST(ResourceName, NamesThatDifferOnlyInCaseOrNormalisationCollide) {
  const std::vector<std::pair<std::string, std::string>> same = {
      {"README", "readme"},
      {"\u00e9", "e\u0301"},        // precomposed and decomposed
      {"\u00c9", "e\u0301"},        // and another case
      {"\u1e69", "s\u0307\u0323"},  // marks in another order
      {"\uac00", "\u1100\u1161"},   // Hangul syllable and jamo
      {"\uac01", "\u1100\u1161\u11a8"},
      {"stra\u00dfe", "STRASSE"},
      {"\u212b", "\u00e5"},  // Angstrom sign
      {"\u0416", "\u0436"},
  };
  for (const auto& [a, b] : same) EXPECT_EQ(collision_key(a), collision_key(b)) << a;
  EXPECT_NE(collision_key("a"), collision_key("b"));
  EXPECT_NE(collision_key("\u00e9"), collision_key("e"));
  EXPECT_NE(collision_key("a/b"), collision_key("ab"));
}

}  // namespace
}  // namespace dig::store
