// SPDX-License-Identifier: Apache-2.0
#include "store/urn.hpp"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.hpp"
#include "store/resource_name.hpp"

namespace dig::store {
namespace {

const std::string k_id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string k_root = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const std::string k_prefix = "urn:dig:chia:";

void expect_refused(const std::string& text) {
  const auto urn = Urn::parse(text);
  ASSERT_FALSE(urn) << text;
  EXPECT_EQ(urn.error().code(), Errc::bad_urn) << text;
}

TEST(Urn, EveryDigitOfTheStoreIdIsKept) {
  // The prefix has 13 characters; cutting one more would lose the first digit.
  const auto urn = Urn::parse(k_prefix + k_id);
  ASSERT_TRUE(urn);
  EXPECT_EQ(urn->store_id.to_hex(), k_id);
  EXPECT_FALSE(urn->root);
  EXPECT_EQ(urn->resource, "");
  EXPECT_EQ(urn->to_string(), k_prefix + k_id);
}

TEST(Urn, RootAndResourceAreRead) {
  const auto urn = Urn::parse(k_prefix + k_id + ":" + k_root + "/docs/a%20b.txt");
  ASSERT_TRUE(urn);
  EXPECT_EQ(urn->root->to_hex(), k_root);
  EXPECT_EQ(urn->resource, "docs/a b.txt");
  EXPECT_EQ(urn->to_string(), k_prefix + k_id + ":" + k_root + "/docs/a%20b.txt");
}

TEST(Urn, DigUrlsMeanTheSame) {
  EXPECT_EQ(Urn::parse("dig://" + k_id), Urn::parse(k_prefix + k_id));
  EXPECT_EQ(Urn::parse("DIG://" + k_id + ":" + k_root + "/x"), Urn::parse(k_prefix + k_id + ":" + k_root + "/x"));
}

TEST(Urn, CaseOfPrefixAndDigitsDoesNotMatter) {
  std::string upper_id = k_id;
  for (char& c : upper_id) c = c >= 'a' ? static_cast<char>(c - 32) : c;
  EXPECT_EQ(Urn::parse("URN:DIG:CHIA:" + upper_id), Urn::parse(k_prefix + k_id));
  EXPECT_EQ(Urn::parse("uRn:DiG:cHiA:" + upper_id)->to_string(), k_prefix + k_id);
}

TEST(Urn, CaseOfTheResourceMatters) {
  EXPECT_NE(Urn::parse(k_prefix + k_id + "/A"), Urn::parse(k_prefix + k_id + "/a"));
}

TEST(Urn, AnEmptyKeyOrFolderNamesItsIndex) {
  EXPECT_EQ(Urn::parse(k_prefix + k_id + "/")->resource, "index.html");
  EXPECT_EQ(Urn::parse(k_prefix + k_id + "/docs/")->resource, "docs/index.html");
}

TEST(Urn, UnicodeKeysRoundTrip) {
  const auto urn = Urn::parse(k_prefix + k_id + "/gr\u00fc\u00df%65");
  ASSERT_TRUE(urn);
  EXPECT_EQ(urn->resource, "gr\u00fc\u00dfe");
  EXPECT_EQ(urn->to_string(), k_prefix + k_id + "/gr%C3%BC%C3%9Fe");
  EXPECT_EQ(Urn::parse(urn->to_string()), urn);
}

TEST(Urn, NormalisationFormsStayDistinct) {
  EXPECT_NE(Urn::parse(k_prefix + k_id + "/\u00e9"), Urn::parse(k_prefix + k_id + "/e\u0301"));
}

TEST(Urn, KeysAreDecodedExactlyOnce) {
  const auto urn = Urn::parse(k_prefix + k_id + "/%252e%252e");
  ASSERT_TRUE(urn);
  EXPECT_EQ(urn->resource, "%2e%2e");
  EXPECT_EQ(Urn::parse(urn->to_string()), urn);
}

TEST(Urn, EveryPrefixOfAUrnIsRefusedUpToTheStoreId) {
  const std::string whole = k_prefix + k_id;
  for (std::size_t size = 0; size < whole.size(); ++size) expect_refused(whole.substr(0, size));
}

TEST(Urn, HashesHaveExactly64HexDigits) {
  for (const std::size_t size : {0U, 1U, 31U, 32U, 62U, 63U, 65U, 66U, 127U, 128U}) {
    const std::string digits = (k_id + k_root).substr(0, size);
    expect_refused(k_prefix + digits);
    expect_refused("dig://" + digits);
    expect_refused(k_prefix + k_id + ":" + digits);
  }
  expect_refused(k_prefix + "g" + k_id.substr(1));
  expect_refused(k_prefix + k_id.substr(1) + "g");
  expect_refused(k_prefix + k_id.substr(0, 61) + "\uff11");  // full-width digit
  expect_refused(k_prefix + k_id.substr(0, 61) + "\u200b");  // zero width
  expect_refused(k_prefix + k_id.substr(0, 62) + "0x");
  expect_refused(k_prefix + "-" + k_id.substr(1));
}

TEST(Urn, ZeroHashesAreRefused) {
  expect_refused(k_prefix + std::string(64, '0'));
  expect_refused(k_prefix + k_id + ":" + std::string(64, '0'));
}

TEST(Urn, OtherFormsAreRefused) {
  for (const std::string& text : {std::string(),
                                  std::string("urn:dig:chia"),
                                  k_prefix,
                                  k_prefix + ":",
                                  k_prefix + "/x",
                                  k_id,
                                  "urn:dig:eth:" + k_id,
                                  "urn:dag:chia:" + k_id,
                                  "dig:/" + k_id,
                                  "dig:" + k_id,
                                  "http://" + k_id,
                                  "dig://user@" + k_id + "/",
                                  "dig://" + k_id + "@x/",
                                  "dig://" + k_id + "?x",
                                  " " + k_prefix + k_id,
                                  k_prefix + " " + k_id,
                                  k_prefix + k_id + " ",
                                  k_prefix + k_id + "\r\n",
                                  k_prefix + k_id + std::string(1, '\0'),
                                  k_prefix + k_id + ":",
                                  k_prefix + k_id + ":/",
                                  k_prefix + k_id + ":/x",
                                  k_prefix + k_id + "::" + k_root,
                                  k_prefix + k_id + ":" + k_root + ":" + k_root,
                                  k_prefix + k_id + ":" + k_root + ":",
                                  k_prefix + k_id + "x",
                                  k_prefix + k_id + "?=a",
                                  k_prefix + k_id + "?+a",
                                  k_prefix + k_id + "#a"}) {
    expect_refused(text);
  }
}

TEST(Urn, HostileKeysAreRefused) {
  for (const std::string key :
       {"..",        "../x", "a/../b",       "%2e%2e%2f",  "%2e%2e/x", "%2E%2E",  "..%5c",
        "..\\",      "/",    "/etc/passwd",  "a//b",       "./a",      "a/./b",   "C:%5C",
        "C:\\x",     "C:x",  "%5c%5cserver", "\\\\server", "CON",      "con.txt", "file.",
        "file%20",   "%00",  "a%00b",        "a%0d%0ab",   "a\nb",     "%1b",     "%zz",
        "%",         "%2",   "a%",           "%g0",        "%c0%ae",   "%c0%af",  "%ff",
        "%e2%80%ae", "a?b",  "a#b",          "a?=b",       "a?+b",     "a/?",     ".git/config"}) {
    expect_refused(k_prefix + k_id + "/" + key);
  }
}

TEST(Urn, KeysAreBounded) {
  std::string key;
  while (key.size() < 4096 - 128) key += std::string(127, 'a') + "/";
  key += std::string(4096 - key.size(), 'b');
  EXPECT_TRUE(Urn::parse(k_prefix + k_id + "/" + key));
  expect_refused(k_prefix + k_id + "/" + key + "b");
  std::string deep = "a";
  for (int i = 0; i < 255; ++i) deep += "/a";
  EXPECT_TRUE(Urn::parse(k_prefix + k_id + "/" + deep));
  for (int i = 0; i < 44; ++i) deep += "/a";
  expect_refused(k_prefix + k_id + "/" + deep);
  expect_refused(k_prefix + k_id + "/" + std::string(1 << 20, 'a'));
}

TEST(Urn, EscapedAndPlainKeysOfEveryByteRoundTrip) {
  SeededRng rng(7);
  for (int round = 0; round < 2000; ++round) {
    std::string key;
    for (std::uint64_t i = 0, size = 1 + rng.below(12); i < size; ++i) key += static_cast<char>(rng.below(96) + 32);
    Urn urn{*StoreId::from_hex(k_id), *RootHash::from_hex(k_root), key};
    if (round % 2 == 0) urn.root.reset();
    const auto again = Urn::parse(urn.to_string());
    if (key.ends_with('/')) continue;  // names an index
    ASSERT_EQ(again.has_value(), check_resource_name(key).has_value()) << key;
    if (again) {
      EXPECT_EQ(*again, urn) << key;
    }
  }
}

}  // namespace
}  // namespace dig::store
