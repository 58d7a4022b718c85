// SPDX-License-Identifier: Apache-2.0
// Connected peers are told of a node's new addresses: all of them, some at a time, and not at each of many changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/scenario.hpp"

namespace dig::sim::testing {
namespace {

Endpoint endpoint(const std::string& text) { return Endpoint::parse(text).value(); }

class IdentifyPush : public ::testing::Test {
 protected:
  Host& make_node() {
    return scenario.world.add_host(
        {.name = "node", .endpoint = endpoint("8.8.8.8:4001"), .limits = node::NodeCore::Limits::of_bootstrap()});
  }
  static void change(Host& node, std::uint16_t port) {
    node.run([&](Instant now, node::NodeCore& core) {
      core.set_addresses(now, {node.address(), Multiaddr::tcp({IpAddress::parse("8.8.4.4").value(), port})});
      return 0;
    });
  }

  Scenario scenario{91};
};

// Each costs a stream.
TEST_F(IdentifyPush, ThoseWhoAreConnectedAreToldSomeAtATime) {
  Host& node = make_node();
  std::vector<Host*> peers;
  for (int i = 0; i < 150; ++i) {
    peers.push_back(&scenario.world.add_host(
        {.name = "peer" + std::to_string(i), .endpoint = endpoint("7.7." + std::to_string(i) + ".1:4001")}));
    static_cast<void>(peers.back()->connect(node.peer_id(), {node.address()}));
  }
  scenario.world.run_for(20s);
  const auto told_peers = [&](const std::string& address) {
    return std::ranges::count_if(peers, [&](const Host* peer) {
      const auto* told = std::get_if<dignet::PeerIdentified>(&peer->events().back());
      return told != nullptr && std::ranges::find(told->addresses, address) != told->addresses.end();
    });
  };
  change(node, 1);
  scenario.world.run_for(90ms);
  EXPECT_THAT(told_peers("/ip4/8.8.4.4/tcp/1"), ::testing::AllOf(::testing::Gt(0), ::testing::Le(64)));
  scenario.world.run_for(60ms);
  change(node, 2);  // in the middle
  scenario.world.run_for(10s);
  EXPECT_EQ(told_peers("/ip4/8.8.4.4/tcp/2"), 150);
}

// All connected peers are told of each change: they are not told at every one of many.
TEST_F(IdentifyPush, ManyChangesAreToldTogether) {
  Host& node = make_node();
  const auto dial = scenario.fetcher.connect(node.peer_id(), {node.address()});
  ASSERT_TRUE(scenario.world.run_until([&] { return scenario.fetcher.connected(dial) != nullptr; }, 1min));
  scenario.world.run_for(10s);
  const auto identified = [&] {
    return std::ranges::count_if(scenario.fetcher.events(), [](const auto& event) {
      return std::holds_alternative<dignet::PeerIdentified>(event);
    });
  };
  const auto before = identified();
  change(node, 1);
  scenario.world.run_for(1s);
  EXPECT_EQ(identified() - before, 1) << "the first one at once";
  for (std::uint16_t port = 2; port < 30; ++port) {
    change(node, port);
    scenario.world.run_for(100ms);
  }
  scenario.world.run_for(10s);
  EXPECT_EQ(identified() - before, 2);
  const auto& last = std::get<dignet::PeerIdentified>(scenario.fetcher.events().back());
  EXPECT_THAT(last.addresses, ::testing::Contains("/ip4/8.8.4.4/tcp/29")) << "the last one is not lost";
}

}  // namespace
}  // namespace dig::sim::testing
