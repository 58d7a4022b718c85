// SPDX-License-Identifier: Apache-2.0
#include "ladder/catalogue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dig::ladder {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> urls_of(const Provider& provider) {
  std::vector<std::string> urls;
  for (const StunUri& uri : provider.servers) urls.push_back(uri.to_string());
  return urls;
}

TEST(CatalogueTest, TheBuiltInOneNamesThePublicServers) {
  const auto catalogue = parse_catalogue(shipped_catalogue_text(), "built in");
  ASSERT_TRUE(catalogue) << catalogue.error().message();
  ASSERT_EQ(catalogue->providers.size(), 3U);
  const Provider& open_relay = catalogue->providers[0];
  EXPECT_EQ(open_relay.name, "Open Relay Project");
  EXPECT_EQ(open_relay.reliability, Reliability::best_effort);
  EXPECT_TRUE(open_relay.is_public);
  EXPECT_EQ(open_relay.credentials->username, "openrelayproject");
  EXPECT_EQ(open_relay.credentials->password, "openrelayproject");
  EXPECT_THAT(urls_of(open_relay),
              ::testing::ElementsAre("turn:openrelay.metered.ca:80", "turn:openrelay.metered.ca:80?transport=tcp",
                                     "turn:openrelay.metered.ca:443", "turn:openrelay.metered.ca:443?transport=tcp",
                                     "turns:openrelay.metered.ca:443"));
  EXPECT_THAT(urls_of(catalogue->providers[1]),
              ::testing::ElementsAre("stun:stun.l.google.com:19302", "stun:stun1.l.google.com:19302",
                                     "stun:stun2.l.google.com:19302", "stun:stun3.l.google.com:19302",
                                     "stun:stun4.l.google.com:19302"));
  EXPECT_THAT(urls_of(catalogue->providers[2]), ::testing::ElementsAre("stun:global.stun.twilio.com"));
}

TEST(CatalogueTest, TakesProvidersThatMint) {
  const auto catalogue = parse_catalogue(R"(
[[provider]]
name = "ours"
reliability = "contract"
servers = ["turn:turn.example.org"]
mint = "rest-secret"
key-file = "/etc/dignet/turn.secret"
lifetime = 600
[[provider]]
name = "Cloudflare"
mint = "cloudflare"
endpoint = "https://rtc.live.cloudflare.com/v1/turn/keys/1/credentials/generate-ice-servers"
key-file = "cloudflare.key"
)",
                                         "test");
  ASSERT_TRUE(catalogue) << catalogue.error().message();
  EXPECT_EQ(catalogue->providers[0].minting, Minting::rest_secret);
  EXPECT_EQ(catalogue->providers[0].lifetime, std::chrono::seconds(600));
  EXPECT_FALSE(catalogue->providers[0].is_public);
  EXPECT_EQ(catalogue->providers[1].minting, Minting::cloudflare);
  EXPECT_TRUE(catalogue->providers[1].servers.empty());
}

TEST(CatalogueTest, SaysWhatIsWrongAndWhere) {
  const std::string stun = "servers = [\"stun:a.example\"]\n";
  const struct {
    std::string text;
    std::string_view what;
  } rows[] = {
      {"", "no [[provider]]"},
      {"x = 1", "line 1: a catalogue is a list"},
      {"[[provider]]\nname = \"a\"\n", "line 1: a provider needs servers"},
      {"[[provider]]\n" + stun, "needs a name"},
      {"\n[[provider]]\nname = 1\n" + stun, "line 2: name must be a text"},
      {"[[provider]]\nname = \"a\"\nservers = [\"http://a\"]\n", "DN-NET-013"},
      {"[[provider]]\nname = \"a\"\nservers = [\"turn:a.example\"]\n", "need username and credential"},
      {"[[provider]]\nname = \"a\"\nusername = \"u\"\n" + stun, "go together"},
      {"[[provider]]\nname = \"a\"\nmint = \"rest-secret\"\n" + stun, "key-file"},
      {"[[provider]]\nname = \"a\"\nkey-file = \"f\"\n" + stun, "key-file"},
      {"[[provider]]\nname = \"a\"\nmint = \"metered\"\nkey-file = \"f\"\n", "endpoint"},
      {"[[provider]]\nname = \"a\"\nmint = \"metered\"\nkey-file = \"f\"\nendpoint = \"http://a\"\n", "https://"},
      {"[[provider]]\nname = \"a\"\nmint = \"twilio\"\nkey-file = \"f\"\n" + stun, "rest-secret, metered, cloudflare"},
      {"[[provider]]\nname = \"a\"\nlifetime = 5\n" + stun, "lifetime must be"},
      {"[[provider]]\nname = \"a\"\nreliability = \"good\"\n" + stun, "best-effort, public-service, contract"},
      {"[[provider]]\nname = \"a\"\npublic = 1\n" + stun, "true or false"},
      {"[[provider]]\nname = \"a\"\nport = \"1\"\n" + stun, "unknown key \"port\""},
      {"[[provider]\n", "line 1"},
  };
  for (const auto& row : rows) {
    const auto catalogue = parse_catalogue(row.text, "test");
    ASSERT_FALSE(catalogue) << row.text;
    EXPECT_EQ(catalogue.error().code(), Errc::bad_config);
    EXPECT_THAT(catalogue.error().detail(), HasSubstr(row.what)) << row.text;
  }
  EXPECT_FALSE(parse_catalogue(std::string(300 * 1024, '#'), "test"));
}

}  // namespace
}  // namespace dig::ladder
