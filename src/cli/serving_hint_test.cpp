// SPDX-License-Identifier: Apache-2.0
#include "cli/serving_hint.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/array.hpp>

namespace dig::cli {
namespace {

namespace json = boost::json;

const std::string k_peer = "/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf";

json::object node_at(const std::vector<std::string>& places) {
  json::array addresses;
  for (const std::string& place : places) addresses.emplace_back(place + k_peer);
  return {{"addresses", addresses}};
}

TEST(ServingHint, TheBestAddressIsTheOneThatTheMostOfTheWorldCanReach) {
  const std::vector<std::string> best_first = {"/dns/bootstrap.example/tcp/443", "/ip4/8.8.8.8/tcp/4001",
                                               "/ip6/2a00::1/tcp/4001",          "/ip4/192.168.1.2/tcp/4001",
                                               "/ip6/fd00::1/tcp/4001",          "/ip4/127.0.0.1/tcp/1"};
  for (std::size_t skipped = 0; skipped < best_first.size(); ++skipped) {
    std::vector<std::string> places(best_first.begin() + static_cast<std::ptrdiff_t>(skipped), best_first.end());
    EXPECT_EQ(best_address(node_at(places)), best_first[skipped] + k_peer);
    std::ranges::reverse(places);
    EXPECT_EQ(best_address(node_at(places)), best_first[skipped] + k_peer);
  }
}

TEST(ServingHint, OfEqualsTheFirstIsTaken) {
  EXPECT_EQ(best_address(node_at({"/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.7/tcp/4001", "/ip4/192.0.2.7/tcp/4001/ws",
                                  "/ip4/192.0.2.8/tcp/4001"})),
            "/ip4/192.0.2.7/tcp/4001" + k_peer);
}

TEST(ServingHint, AnAddressThatIsNoneIsTheLast) {
  EXPECT_EQ(best_address(node_at({"nonsense", "/ip6/::1/tcp/1"})), "/ip6/::1/tcp/1" + k_peer);
  EXPECT_EQ(best_address({}), "");
  EXPECT_EQ(best_address({{"addresses", 5}}), "");
}

TEST(ServingHint, TheCommandNamesTheBestAddress) {
  EXPECT_EQ(fetch_command(node_at({"/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.7/tcp/4001"}), "URN"),
            "dignet get --peer /ip4/192.0.2.7/tcp/4001" + k_peer + " URN");
  EXPECT_EQ(fetch_command({}, "URN"), "");
}

}  // namespace
}  // namespace dig::cli
