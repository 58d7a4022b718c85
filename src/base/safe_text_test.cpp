// SPDX-License-Identifier: Apache-2.0
#include "base/safe_text.hpp"

#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "base/rng.hpp"

namespace dig {
namespace {

std::string cleaned(std::string_view raw, std::size_t limit = SafeText::default_limit) {
  return SafeText(raw, limit).str();
}

TEST(SafeText, KeepsOrdinaryText) {
  for (const char* text : {"", "dignet/0.1.0", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "a b %n%s \\ \""}) {
    EXPECT_EQ(cleaned(text), text);
    EXPECT_TRUE(is_safe_text(text));
  }
}

TEST(SafeText, ReplacesControlCharacters) {
  EXPECT_EQ(cleaned("a\x1b[31m\r\n\t\x7F"), "a?[31m????");
  EXPECT_EQ(cleaned(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(cleaned("\xC2\x9B"), "?");  // C1: a control sequence in one character
}

TEST(SafeText, ReplacesWhatTurnsOrHidesText) {
  for (const char* text :
       {"\xE2\x80\xAE", "\xE2\x80\x8B", "\xE2\x81\xA6", "\xE2\x80\xA8", "\xD8\x9C", "\xEF\xBB\xBF"}) {
    EXPECT_EQ(cleaned(text), "?");
    EXPECT_FALSE(is_safe_text(text));
  }
}

TEST(SafeText, ReplacesEachByteThatIsNotUtf8) {
  EXPECT_EQ(cleaned("\xFF\xFE"), "??");
  EXPECT_EQ(cleaned("\xC0\xAF"), "??");  // overlong
  EXPECT_EQ(cleaned("\xE0\x80\xAF"), "???");
  EXPECT_EQ(cleaned("\xED\xA0\x80"), "???");       // a surrogate
  EXPECT_EQ(cleaned("\xF4\x90\x80\x80"), "????");  // beyond Unicode
  EXPECT_EQ(cleaned("a\xE2\x82"), "a??");          // cut short
}

TEST(SafeText, CutsAtTheBoundaryOfACharacter) {
  EXPECT_EQ(cleaned("abcd", 4), "abcd");
  EXPECT_EQ(cleaned("abcde", 4), "abcd");
  EXPECT_EQ(cleaned("abc\xE2\x82\xAC", 5), "abc");
  EXPECT_EQ(cleaned("abc\xE2\x82\xAC", 6), "abc\xE2\x82\xAC");
  EXPECT_EQ(cleaned("abc", 0), "");
  EXPECT_EQ(cleaned(std::string(100000, 'x')).size(), SafeText::default_limit);
}

TEST(SafeText, IsSafeForAnyBytes) {
  SeededRng rng(23);
  for (int i = 0; i < 5000; ++i) {
    Bytes raw(rng.below(40));
    rng.fill(raw);
    const std::string text = cleaned(as_text(raw));
    EXPECT_TRUE(is_safe_text(text));
    EXPECT_EQ(cleaned(text), text) << "cleaning twice changes nothing";
    EXPECT_EQ(is_safe_text(as_text(raw)), text == as_text(raw));
  }
}

}  // namespace
}  // namespace dig
