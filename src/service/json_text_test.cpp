// SPDX-License-Identifier: Apache-2.0
#include "service/json_text.hpp"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <limits>

namespace dig::service {
namespace {

namespace json = boost::json;

TEST(JsonText, KeepsTheOrderOfMembersAndWritesNumbersPlainly) {
  const json::object object{
      {"event", "done"}, {"seconds", 0.84}, {"bytes", 1048576}, {"a", json::array{1, true, nullptr}}};
  EXPECT_EQ(to_line(object), R"({"event":"done","seconds":0.84,"bytes":1048576,"a":[1,true,null]})");
}

TEST(JsonText, EscapesWhatWouldBreakALineOrATerminal) {
  const json::value value("a\"b\\c\n\x1b[31m\x7f");
  EXPECT_EQ(to_line(value), "\"a\\\"b\\\\c\\u000a\\u001b[31m\\u007f\"");
  EXPECT_EQ(json::parse(to_line(value)), value);
}

TEST(JsonText, WritesTheLargestNumbersAndNoInfinity) {
  EXPECT_EQ(to_line(json::value(std::numeric_limits<std::uint64_t>::max())), "18446744073709551615");
  EXPECT_EQ(to_line(json::value(std::numeric_limits<std::int64_t>::min())), "-9223372036854775808");
  EXPECT_EQ(to_line(json::value(std::numeric_limits<double>::infinity())), "null");
}

TEST(JsonText, EveryPrefixOfALineIsRefused) {
  const std::string line = R"({"id":1,"method":"get","params":{"urn":"x"}})";
  EXPECT_TRUE(parse_line(line));
  for (std::size_t size = 0; size < line.size(); ++size) {
    const auto parsed = parse_line(std::string_view(line).substr(0, size));
    ASSERT_FALSE(parsed) << size;
    EXPECT_EQ(parsed.error().code(), Errc::malformed);
  }
}

TEST(JsonText, RefusesTrailingBytesOtherTypesAndDepth) {
  EXPECT_FALSE(parse_line("{} {}"));
  EXPECT_FALSE(parse_line("[]"));
  EXPECT_FALSE(parse_line("1"));
  const auto nested = [](std::size_t depth) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) text += "{\"a\":";
    return text + "1" + std::string(depth, '}');
  };
  EXPECT_TRUE(parse_line(nested(16)));
  EXPECT_FALSE(parse_line(nested(17)));
}

TEST(JsonText, FileNamesThatAreNotUtf8Survive) {
  const json::object object{{"path", "/tmp/\xff\xfe"}};
  const auto parsed = parse_line(to_line(object));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, object);
}

}  // namespace
}  // namespace dig::service
