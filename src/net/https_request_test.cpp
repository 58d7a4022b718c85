// SPDX-License-Identifier: Apache-2.0
// The request as it fails before a server answers; answers of servers: tests/interop/minting_test.py.
#include "net/https_request.hpp"

#include <gtest/gtest.h>

namespace dig::net {
namespace {

TEST(HttpsUrlTest, HasAHostAPortAndATarget) {
  const auto url = HttpsUrl::parse("https://Example.org:8443/a/b?c=d");
  ASSERT_TRUE(url) << url.error().message();
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/a/b?c=d");
  EXPECT_EQ(HttpsUrl::parse("https://example.org")->target, "/");
  EXPECT_EQ(HttpsUrl::parse("https://example.org")->port, 443);
  EXPECT_EQ(HttpsUrl::parse("https://example.org?x=1")->target, "/?x=1");
  EXPECT_EQ(HttpsUrl::parse("https://[2001:db8::1]/")->host, "2001:db8::1");
}

TEST(HttpsUrlTest, RefusesWhatCannotBeAskedAndKeepsItsSecret) {
  for (const std::string text :
       {"", "http://a/", "https://", "https://key:secret@a/", "https://a:0/", "https://a:99999/",
        "https://a%0d%0aX:%20y/", "https://a b/", "https://-a/?key=secret"}) {
    const auto url = HttpsUrl::parse(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code(), Errc::invalid_argument) << text;
    EXPECT_EQ(url.error().message().find("secret"), std::string::npos) << text;
  }
}

TEST(HttpsRequestTest, AHeaderThatDoesNotFitIntoALineIsRefused) {
  Loop loop;
  Resolver resolver(loop);
  std::optional<Result<HttpsAnswer>> answer;
  HttpsRequest request(loop, resolver, {.url = {.host = "127.0.0.1"}, .headers = {{"X", "a\r\nY: b"}}, .leg = {}},
                       [&](Result<HttpsAnswer> told) { answer = std::move(told); });
  ASSERT_TRUE(loop.run_until([&] { return answer.has_value(); }, 10s));
  ASSERT_FALSE(*answer);
  EXPECT_EQ(answer->error().code(), Errc::invalid_argument);
}

}  // namespace
}  // namespace dig::net
