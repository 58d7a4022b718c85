// SPDX-License-Identifier: Apache-2.0
#include "net/minting.hpp"

#include <gtest/gtest.h>

namespace dig::net {
namespace {

TEST(ParseIceServersTest, TakesTheFormsOfTheProviders) {
  for (const std::string_view text : {
           R"([{"urls":"turn:a.example:80","username":"u","credential":"c"}])",
           R"({"iceServers":[{"urls":["turn:a.example:80"],"username":"u","credential":"c"}]})",
           R"({"iceServers":{"urls":["turn:a.example:80"],"username":"u","credential":"c"}})",
       }) {
    const auto groups = parse_ice_servers(text);
    ASSERT_TRUE(groups) << text;
    ASSERT_EQ(groups->size(), 1U);
    EXPECT_EQ(groups->front().servers.front().to_string(), "turn:a.example:80");
    EXPECT_EQ(groups->front().credentials->username, "u");
    EXPECT_EQ(groups->front().credentials->password, "c");
  }
}

TEST(ParseIceServersTest, LeavesOutWhatItDoesNotKnow) {
  const auto groups = parse_ice_servers(
      R"([{"urls":["quic:a","stun:b.example","turn:c.example?transport=sctp"]},{"urls":7},7,{"urls":["x:y"]}])");
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 1U);
  ASSERT_EQ(groups->front().servers.size(), 1U);
  EXPECT_EQ(groups->front().servers.front().to_string(), "stun:b.example");
  EXPECT_FALSE(groups->front().credentials);
}

TEST(ParseIceServersTest, RefusesWhatNamesNoServer) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("{}"), std::string("null"),
        std::string(R"({"error":"bad key"})"), std::string(R"([{"urls":[]}])"), std::string(100, '[')}) {
    const auto groups = parse_ice_servers(text);
    ASSERT_FALSE(groups) << text;
    EXPECT_EQ(groups.error().code(), Errc::malformed);
  }
}

TEST(ParseIceServersTest, IsBounded) {
  std::string many = "[";
  for (int i = 0; i < 100; ++i) {
    many += std::string(i == 0 ? "" : ",") + R"({"urls":[)";
    for (int j = 0; j < 100; ++j) many += std::string(j == 0 ? "" : ",") + R"("stun:a.example")";
    many += "]}";
  }
  const auto groups = parse_ice_servers(many + "]");
  ASSERT_TRUE(groups);
  EXPECT_EQ(groups->size(), 32U);
  EXPECT_EQ(groups->front().servers.size(), 32U);
}

}  // namespace
}  // namespace dig::net
