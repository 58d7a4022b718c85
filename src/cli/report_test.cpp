// SPDX-License-Identifier: Apache-2.0
#include "cli/report.hpp"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>

namespace dig::cli {
namespace {

namespace json = boost::json;

TEST(Report, TheTableSaysWhatWasTriedAndWhyItFailed) {
  const json::object outcome{
      {"attempts",
       json::array{
           json::object{{"tier", 1},
                        {"tier_name", "direct"},
                        {"method", "tcp"},
                        {"target", "/ip4/192.0.2.1/tcp/4001"},
                        {"elapsed_ms", 301},
                        {"outcome", "failed"},
                        {"code", "DN-NET-003"},
                        {"detail", "the connection timed out"}},
           json::object{
               {"tier", 2}, {"tier_name", "traversal"}, {"method", "upnp"}, {"target", ""}, {"outcome", "skipped"}}}}};
  EXPECT_EQ(
      attempts_table(outcome),
      "  tier  name       method  took    target                   result\n"
      "  1     direct     tcp     0.30 s  /ip4/192.0.2.1/tcp/4001  failed: the connection timed out (DN-NET-003)\n"
      "  2     traversal  upnp    -                                skipped");
}

TEST(Report, SkippedMethodsOfATierShareARow) {
  const auto skipped = [](int tier, const char* method) {
    return json::object{{"tier", tier},         {"tier_name", "t"},      {"method", method},      {"target", ""},
                        {"outcome", "skipped"}, {"code", "DN-TIER-001"}, {"detail", "not yet: x"}};
  };
  const json::object outcome{{"attempts", json::array{skipped(2, "upnp"), skipped(2, "pcp"), skipped(3, "turn-udp")}}};
  EXPECT_EQ(attempts_table(outcome),
            "  tier  name  method     took  target  result\n"
            "  2     t     upnp, pcp  -             skipped: this tier is not available here (DN-TIER-001)\n"
            "  3     t     turn-udp   -             skipped: not yet: x (DN-TIER-001)");
}

TEST(Report, WithoutAttemptsThereIsNoTable) {
  EXPECT_EQ(attempts_table({}), "");
  EXPECT_EQ(attempts_table({{"attempts", json::array{}}}), "");
  EXPECT_EQ(attempts_table({{"attempts", "x"}}), "");
}

TEST(Report, MembersOfOtherTypesCountAsAbsent) {
  const json::object object{{"text", 5}, {"number", "x"}, {"negative", -1}, {"fraction", 1.5}};
  EXPECT_EQ(text_of(object, "text"), "");
  EXPECT_EQ(number_of(object, "number"), 0U);
  EXPECT_EQ(number_of(object, "negative"), 0U);
  EXPECT_EQ(number_of(object, "fraction"), 0U);
  EXPECT_EQ(number_of(object, "absent"), 0U);
  EXPECT_DOUBLE_EQ(decimal_of(object, "fraction"), 1.5);
}

}  // namespace
}  // namespace dig::cli
