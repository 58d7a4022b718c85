// SPDX-License-Identifier: Apache-2.0
// Whether a node can be reached, as it finds out itself: at home behind NATs, in public, with honest and lying servers;
// and what follows from it for what it publishes and which roles it plays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/frame_reader.hpp"
#include "proto/autonat/dial_request_server.hpp"
#include "tests/sim/scenario.hpp"
#include "wire/identify_message.hpp"

namespace dig::sim::testing {
namespace {

using autonat::Verdict;

IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }
Endpoint endpoint(const std::string& text) { return Endpoint::parse(text).value(); }

const IpAddress k_home_outside = ip("8.8.4.4");

class ReachabilityScenarios : public ::testing::Test {
 protected:
  ReachabilityScenarios() { scenario.make_store(100'000); }

  Host& make_bootstrap(const std::string& name, const std::string& at) {
    return scenario.world.add_host({.name = name, .endpoint = endpoint(at), .is_bootstrap = true});
  }
  Host& make_node(const std::string& at, bool wants_roles = false) {
    return scenario.add_holder({.name = "node", .endpoint = endpoint(at), .wants_roles = wants_roles});
  }
  // A node at home, whose NAT keeps its ports, as most do.
  Host& make_home_node(Dependence filtering, bool has_forward = false) {
    GatewaySpec gateway{
        .outside = k_home_outside, .inside = {ip("192.168.1.2"), ip("192.168.1.9")}, .filtering = filtering};
    if (has_forward) gateway.forwards.emplace(4001, endpoint("192.168.1.2:4001"));
    home = &scenario.world.network().add_gateway(gateway);
    return make_node("192.168.1.2:4001", true);
  }
  static void use(Host& host, const Host& bootstrap) {
    ASSERT_TRUE(host.run([&](Instant now, node::NodeCore& core) {
      return core.add_bootstrap(now, bootstrap.peer_id(), {bootstrap.address()});
    }));
  }
  void publish(Host& node) {
    node.run([&](Instant now, node::NodeCore& core) {
      core.start_publishing(now, 0);
      core.set_stores(now, {scenario.store.id});
      return 0;
    });
  }
  void cooperate(Host& a, Host& b) {
    for (auto [one, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
      ASSERT_TRUE(one->run([&](Instant now, node::NodeCore& core) {
        return core.add_dial_back_helper(now, other->peer_id(), {other->address()});
      }));
    }
    scenario.world.run_for(1min);  // they ask each other whether they are reached, too
    dialled_before = {{&a, dialled(a)}, {&b, dialled(b)}};
  }
  static std::uint64_t dialled(const Host& server) { return server.snapshot().dial_backs.dialled; }
  std::uint64_t dialled_since(const Host& server) { return dialled(server) - dialled_before[&server]; }
  static Verdict verdict(const Host& host) { return host.snapshot().reachability.v4; }
  Verdict wait(const Host& host) {
    EXPECT_TRUE(scenario.world.run_until([&] { return verdict(host) != Verdict::unknown; }, 2min));
    scenario.world.run_for(30s);  // what changes is published together, and a relay may have to be asked
    return verdict(host);
  }
  static const dignet::ReachabilityChanged* told(const Host& host) {
    const dignet::ReachabilityChanged* last = nullptr;
    for (const auto& event : host.events()) {
      if (const auto* changed = std::get_if<dignet::ReachabilityChanged>(&event)) last = changed;
    }
    return last;
  }
  // What the directory says of the node.
  NodeRecord record(const Host& bootstrap) {
    use(scenario.fetcher, bootstrap);
    const auto operation = scenario.fetcher.run(
        [&](Instant now, node::NodeCore& core) { return core.find_holders(now, scenario.store.id); });
    EXPECT_TRUE(scenario.world.run_until([&] { return scenario.fetcher.searched(operation).is_over; }, 1min));
    const auto& records = scenario.fetcher.searched(operation).records;
    EXPECT_EQ(records.size(), 1U);
    return records.empty() ? NodeRecord{} : records.front().record;
  }
  // A node keeps its reservation until a stranger has reached it.
  static std::vector<Multiaddr> own_addresses(const NodeRecord& record) {
    std::vector<Multiaddr> own = record.addresses;
    std::erase_if(own, [](const Multiaddr& address) { return address.has(Protocol::p2p_circuit); });
    return own;
  }
  void expect_fetched(const NodeRecord& from, bool is_relayed) {
    const node::FetchSummary summary =
        scenario.expect_complete(scenario.wait(scenario.fetcher.fetch(scenario.store, {{from.peer, from.addresses}})));
    EXPECT_EQ(summary.path.find("/p2p-circuit") != std::string::npos, is_relayed) << summary.path;
  }
  // A server that says `response` to every request, and never dials.
  Host& make_liar(const std::string& at, const autonat::DialResponse& response) {
    Host& liar = scenario.world.add_host({.name = "liar", .endpoint = endpoint(at)});
    liar.run([](Instant now, node::NodeCore& core) {
      core.accept_app_protocol(now, std::string(autonat::k_dial_request_protocol));
      return 0;
    });
    liar.on_output([this, &liar, response](const node::NodeOutput& output) {
      const auto* asked = std::get_if<node::AppStreamAccepted>(&output);
      if (asked == nullptr) return;
      ++asked_liars;
      scenario.world.events().after(1s, [&liar, response, connection = asked->connection, stream = asked->stream] {
        Bytes framed;
        append_frame(framed, autonat::encode_message(response));
        liar.run([&](Instant now, node::NodeCore& core) {
          core.write_app_stream(now, connection, stream, framed);
          return 0;
        });
      });
    });
    return liar;
  }

  // A peer that has connected to the node and says, as a vote about where the node is seen, whatever it wants.
  void lie_about_address(const std::string& from, Host& node, const Multiaddr& at, const Multiaddr& seen) {
    Host& liar = scenario.world.add_host({.name = "liar", .endpoint = endpoint(from)});
    std::size_t pushes = 0;
    liar.on_output([&](const node::NodeOutput& output) {
      const auto* opened = std::get_if<node::AppStreamOpened>(&output);
      if (opened == nullptr || !opened->result) return;
      ++pushes;
      Bytes framed;
      Identify told;
      told.observed_address = seen;
      append_frame(framed, told.encode());
      liar.run([&](Instant now, node::NodeCore& core) {
        core.write_app_stream(now, opened->connection, *opened->result, framed);
        core.finish_app_stream(now, opened->connection, *opened->result);
        return 0;
      });
    });
    const auto dial = liar.connect(node.peer_id(), {at});
    ASSERT_TRUE(scenario.world.run_until([&] { return liar.connected(dial) != nullptr; }, 1min));
    scenario.world.run_for(5s);  // both have identified
    liar.run([&](Instant now, node::NodeCore& core) {
      return core.open_app_stream(now, liar.connected(dial)->result.value().connection, "/ipfs/id/push/1.0.0");
    });
    ASSERT_TRUE(scenario.world.run_until([&] { return pushes == 1; }, 1min));
    scenario.world.run_for(5s);
    liar.on_output({});
  }
  [[nodiscard]] static std::vector<Multiaddr> candidates(const Host& host) {
    std::vector<Multiaddr> all;
    for (const auto& one : host.snapshot().reachability.candidates) all.push_back(one.address);
    return all;
  }
  static std::size_t times_told(const Host& host) {
    return static_cast<std::size_t>(std::ranges::count_if(
        host.events(), [](const auto& event) { return std::holds_alternative<dignet::ReachabilityChanged>(event); }));
  }

  Scenario scenario{90};
  Gateway* home = nullptr;  // of make_home_node()
  std::map<const Host*, std::uint64_t> dialled_before;
  std::size_t asked_liars = 0;  // how often
};

TEST_F(ReachabilityScenarios, APublicNodeIsReachableAndTakesUpItsRoles) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_node("8.8.8.8:4001", true);
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  const dignet::ReachabilityChanged* event = told(node);
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(*event, (dignet::ReachabilityChanged{"ipv4", "reachable", {node.address().to_string()}, 1, false}));
  const NodeRecord published = record(bootstrap);
  EXPECT_EQ(own_addresses(published), std::vector{node.address()});
  EXPECT_TRUE(published.roles.has_all(
      {static_cast<std::uint32_t>(NodeRole::relay) | static_cast<std::uint32_t>(NodeRole::autonat_server)}));
  EXPECT_EQ(published.reachability.mapping, NatMapping::none);
  expect_fetched(published, false);
}

// To the server the dial-back is no connection to the peer.
TEST_F(ReachabilityScenarios, ADialBackIsOverWhenTheNonceIsSaid) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_node("8.8.8.8:4001");
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  EXPECT_EQ(bootstrap.snapshot().connections, 1U);
  EXPECT_EQ(node.snapshot().connections, 1U);
  EXPECT_EQ(bootstrap.snapshot().dial_backs.dialled, 1U);
  EXPECT_EQ(bootstrap.snapshot().dial_backs.dial_backs, 0U);
  const auto connected = std::ranges::count_if(bootstrap.events(), [](const dignet::NodeEvent& event) {
    return std::holds_alternative<dignet::PeerConnected>(event);
  });
  EXPECT_EQ(connected, 1);
  node.close_all();
  bootstrap.close_all();
  scenario.world.run_for(2min);
  EXPECT_EQ(scenario.world.network().snapshot().sockets, 0U);
  EXPECT_EQ(node.next_timeout(), std::nullopt);
}

TEST_F(ReachabilityScenarios, ANodeBehindANatIsUnreachableAndPublishesRelayedAddressesOnly) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent);
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::unreachable);
  const NodeRecord published = record(bootstrap);
  ASSERT_FALSE(published.addresses.empty());
  for (const Multiaddr& address : published.addresses) {
    EXPECT_TRUE(address.has(Protocol::p2p_circuit)) << address.to_string();
  }
  EXPECT_EQ(published.roles, NodeRoles{});
  expect_fetched(published, true);
}

TEST_F(ReachabilityScenarios, APortForwardedByHandIsFound) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent, true);
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  const NodeRecord published = record(bootstrap);
  EXPECT_EQ(own_addresses(published), std::vector{Multiaddr::tcp({k_home_outside, 4001})});
  EXPECT_EQ(published.reachability.mapping, NatMapping::unknown);
  expect_fetched(published, false);
}

// Its NAT lets in whom the node has called: one server alone cannot tell.
TEST_F(ReachabilityScenarios, OneServerAloneIsFooledByANatThatFiltersByAddress) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_dependent);
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  EXPECT_FALSE(told(node)->has_stranger) << "and it says that no stranger has come";
}

TEST_F(ReachabilityScenarios, ServersThatWorkTogetherAreNotFooled) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& partner = make_bootstrap("partner", "9.9.9.2:4001");
  cooperate(bootstrap, partner);
  Host& node = make_home_node(Dependence::address_dependent);
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::unreachable);
  EXPECT_EQ(dialled_since(bootstrap), 0U);
  EXPECT_EQ(bootstrap.snapshot().dial_backs.ordered, 1U);
  EXPECT_EQ(dialled_since(partner), 1U);
}

TEST_F(ReachabilityScenarios, AStrangersDialBackIsTold) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& partner = make_bootstrap("partner", "9.9.9.2:4001");
  cooperate(bootstrap, partner);
  Host& node = make_home_node(Dependence::endpoint_independent);
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  EXPECT_TRUE(told(node)->has_stranger);
}

// The partner is no stranger to the client's NAT either: it says so, and the server dials itself.
TEST_F(ReachabilityScenarios, APartnerThatTheClientKnowsDoesNotDial) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& partner = make_bootstrap("partner", "9.9.9.2:4001");
  cooperate(bootstrap, partner);
  Host& node = make_node("8.8.8.8:4001");
  use(node, bootstrap);
  use(node, partner);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  EXPECT_EQ(dialled_since(bootstrap), 1U);
  EXPECT_EQ(dialled_since(partner), 1U);
}

TEST_F(ReachabilityScenarios, APartnerThatIsGoneIsDoneWithoutAndComesBack) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& partner = make_bootstrap("partner", "9.9.9.2:4001");
  cooperate(bootstrap, partner);
  partner.crash();
  scenario.world.run_for(1s);
  Host& node = make_node("8.8.8.8:4001");
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  EXPECT_EQ(dialled_since(bootstrap), 1U);
  EXPECT_FALSE(told(node)->has_stranger);
  partner.restart();
  ASSERT_TRUE(partner.run(
      [&](Instant now, node::NodeCore& core) { return core.add_dial_back_helper(now, bootstrap.peer_id(), {}); }));
  ASSERT_TRUE(scenario.world.run_until([&] { return bootstrap.snapshot().dial_backs.ordered == 1; }, 1h));
  scenario.world.run_for(10s);
  EXPECT_TRUE(told(node)->has_stranger) << "the next round";
}

// An order of somebody who is no partner is not carried out.
TEST_F(ReachabilityScenarios, OrdersOfStrangersAreRefused) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& other = make_bootstrap("other", "9.9.9.2:4001");
  ASSERT_TRUE(bootstrap.run([&](Instant now, node::NodeCore& core) {
    return core.add_dial_back_helper(now, other.peer_id(), {other.address()});
  }));
  ASSERT_TRUE(other.run([&](Instant now, node::NodeCore& core) {
    return core.add_dial_back_helper(now, scenario.fetcher.peer_id(), {});
  }));
  scenario.world.run_for(1min);
  dialled_before = {{&bootstrap, dialled(bootstrap)}, {&other, dialled(other)}};
  Host& node = make_node("8.8.8.8:4001");
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  EXPECT_EQ(dialled_since(other), 0U);
  EXPECT_EQ(other.snapshot().dial_backs.orders.admitted, 0U);
  EXPECT_EQ(dialled_since(bootstrap), 1U);
}

TEST_F(ReachabilityScenarios, LiarsChangeNothing) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent);
  use(node, bootstrap);
  for (int i = 1; i <= 3; ++i) {
    Host& liar =
        make_liar("7.7.7." + std::to_string(i) + ":4001", {autonat::ResponseStatus::ok, 0, autonat::DialStatus::ok});
    static_cast<void>(node.connect(liar.peer_id(), {liar.address()}));
  }
  publish(node);
  EXPECT_EQ(wait(node), Verdict::unreachable);
  EXPECT_GE(node.snapshot().reachability.lies, 1U);
}

// Three who say that nobody is there, after one that got through; then two more that do.
TEST_F(ReachabilityScenarios, ThoseWhoDenyAreOutvoted) {
  Host& node = make_node("8.8.8.8:4001");
  use(node, make_bootstrap("bootstrap", "9.9.9.1:4001"));
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  for (int i = 1; i <= 3; ++i) {
    Host& liar = make_liar("7.7.7." + std::to_string(i) + ":4001",
                           {autonat::ResponseStatus::ok, 0, autonat::DialStatus::dial_error});
    static_cast<void>(node.connect(liar.peer_id(), {liar.address()}));
  }
  ASSERT_TRUE(scenario.world.run_until([&] { return asked_liars == 3; }, 1min)) << "each was asked";
  scenario.world.run_for(10s);
  EXPECT_EQ(verdict(node), Verdict::reachable);
  for (int i = 2; i <= 3; ++i) use(node, make_bootstrap("bootstrap", "9.9.9." + std::to_string(i) + ":4001"));
  ASSERT_TRUE(scenario.world.run_until([&] { return told(node)->servers == 3; }, 2min));
  EXPECT_EQ(verdict(node), Verdict::reachable);
  EXPECT_EQ(asked_liars, 3U);
}

TEST_F(ReachabilityScenarios, WhatIsKnownOutlivesTheBootstrapAndIsAskedAgain) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent, true);
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  bootstrap.crash();
  scenario.world.run_for(1min);
  EXPECT_EQ(verdict(node), Verdict::reachable);
  bootstrap.restart();
  ASSERT_TRUE(scenario.world.run_until([&] { return bootstrap.snapshot().dial_backs.dialled > 0; }, 2h));
  scenario.world.run_for(30s);
  EXPECT_EQ(verdict(node), Verdict::reachable);
  EXPECT_EQ(own_addresses(record(bootstrap)), std::vector{Multiaddr::tcp({k_home_outside, 4001})});
}

// Votes about where a node is seen cost nothing; they may add candidates, but take away nothing that was proven.
TEST_F(ReachabilityScenarios, LiesAboutWhereANodeIsSeenTakeNothingAway) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent, true);
  const Multiaddr outside = Multiaddr::tcp({k_home_outside, 4001});
  use(node, bootstrap);
  publish(node);
  ASSERT_EQ(wait(node), Verdict::reachable);
  const std::size_t told_before = times_told(node);
  const Multiaddr lie = Multiaddr::tcp(endpoint("5.5.5.5:4001"));
  for (int i = 1; i <= 3; ++i) lie_about_address("7.7." + std::to_string(i) + ".1:4001", node, outside, lie);
  EXPECT_THAT(candidates(node), ::testing::Contains(lie)) << "the votes have counted";
  EXPECT_EQ(verdict(node), Verdict::reachable);
  EXPECT_TRUE(node.run([](Instant /*now*/, node::NodeCore& core) { return core.has_public_roles(); }));
  EXPECT_EQ(times_told(node), told_before);
  EXPECT_EQ(own_addresses(record(bootstrap)), std::vector{outside});
}

// Votes fade after two hours.
TEST_F(ReachabilityScenarios, AnAddressStaysProvenThoughNobodyNewComes) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent, true);
  const Multiaddr outside = Multiaddr::tcp({k_home_outside, 4001});
  use(node, bootstrap);
  publish(node);
  ASSERT_EQ(wait(node), Verdict::reachable);
  const std::size_t told_before = times_told(node);
  scenario.world.run_for(5h);
  Host& late = scenario.world.add_host({.name = "late", .endpoint = endpoint("6.6.6.6:4001")});
  const auto dial = late.connect(node.peer_id(), {outside});
  ASSERT_TRUE(scenario.world.run_until([&] { return late.connected(dial) != nullptr; }, 1min));
  scenario.world.run_for(30s);
  EXPECT_EQ(verdict(node), Verdict::reachable);
  EXPECT_EQ(times_told(node), told_before);
}

TEST_F(ReachabilityScenarios, WhatAConnectedPeerSeesIsNotForgotten) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent);
  Host& neighbour = make_bootstrap("neighbour", "192.168.1.9:4001");
  use(node, bootstrap);
  publish(node);
  ASSERT_EQ(wait(node), Verdict::unreachable);
  scenario.world.run_for(5h);
  const auto dial = node.connect(neighbour.peer_id(), {neighbour.address()});
  ASSERT_TRUE(scenario.world.run_until([&] { return node.connected(dial) != nullptr; }, 1min));
  scenario.world.run_for(10s);
  EXPECT_THAT(candidates(node), ::testing::Contains(Multiaddr::tcp({k_home_outside, 4001})));
}

TEST_F(ReachabilityScenarios, ARefutedAddressTurnsTheRolesOffAndIsNoLongerPublished) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent, true);
  const auto has_roles = [&] {
    return node.run([](Instant /*now*/, node::NodeCore& core) { return core.has_public_roles(); });
  };
  use(node, bootstrap);
  publish(node);
  ASSERT_EQ(wait(node), Verdict::reachable);
  ASSERT_TRUE(has_roles());
  home->remove_forward(4001);
  ASSERT_TRUE(scenario.world.run_until([&] { return verdict(node) == Verdict::unreachable; }, 1h));
  EXPECT_FALSE(has_roles());
  scenario.world.run_for(30s);
  const NodeRecord published = record(bootstrap);
  EXPECT_THAT(own_addresses(published), ::testing::IsEmpty());
  EXPECT_FALSE(published.addresses.empty()) << "it is reached through the relay";
  EXPECT_FALSE(published.roles.has_all({static_cast<std::uint32_t>(NodeRole::relay)}));
  EXPECT_FALSE(published.roles.has_all({static_cast<std::uint32_t>(NodeRole::autonat_server)}));
}

// Somebody in the same private network reaches the node; on the Internet that is nothing, and nobody's business.
TEST_F(ReachabilityScenarios, WhoIsPublishedOnTheInternetSaysNothingOfItsPrivateNetwork) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  ASSERT_TRUE(bootstrap.run([](Instant now, node::NodeCore& core) {
    core.set_autonat_server(now, false);
    return true;
  }));
  Host& node = make_home_node(Dependence::address_and_port_dependent);
  Host& neighbour = make_bootstrap("neighbour", "192.168.1.9:4001");
  use(node, bootstrap);
  publish(node);
  const auto dial = node.connect(neighbour.peer_id(), {neighbour.address()});
  ASSERT_TRUE(scenario.world.run_until([&] { return node.connected(dial) != nullptr; }, 1min));
  scenario.world.run_for(1min);
  EXPECT_GT(dialled(neighbour), 0U);
  EXPECT_EQ(verdict(node), Verdict::unknown);
  EXPECT_FALSE(node.run([](Instant /*now*/, node::NodeCore& core) { return core.has_public_roles(); }));
  EXPECT_THAT(own_addresses(record(bootstrap)), ::testing::IsEmpty());
}

TEST_F(ReachabilityScenarios, APrivateAddressIsTakenBackWhenTheNodeIsPublishedOnTheInternetToo) {
  Host& neighbour = make_bootstrap("neighbour", "192.168.1.9:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent, true);
  use(node, neighbour);
  publish(node);
  ASSERT_EQ(wait(node), Verdict::reachable);
  Host& peer = make_bootstrap("peer", "9.9.9.2:4001");
  static_cast<void>(node.connect(peer.peer_id(), {peer.address()}));
  scenario.world.run_for(1min);
  const Multiaddr outside = Multiaddr::tcp({k_home_outside, 4001});
  ASSERT_EQ(told(node)->addresses.size(), 2U);
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  ASSERT_TRUE(bootstrap.run([](Instant now, node::NodeCore& core) {
    core.set_autonat_server(now, false);
    return true;
  }));
  use(node, bootstrap);
  scenario.world.run_for(30s);
  EXPECT_EQ(told(node)->addresses, std::vector{outside.to_string()});
  EXPECT_EQ(own_addresses(record(bootstrap)), std::vector{outside});
}

// All clients of a server behind a proxy seem to be the proxy. One that is not announced dials
// (InAPrivateNetworkPrivateAddressesAreProven).
TEST_F(ReachabilityScenarios, AServerThatIsAnnouncedDialsNobodyInItsOwnNetwork) {
  Host& bootstrap = make_bootstrap("bootstrap", "192.168.9.1:4001");
  bootstrap.run([&](Instant now, node::NodeCore& core) {
    core.set_addresses(now, {bootstrap.address()}, {Multiaddr::parse("/dns4/bootstrap.example/tcp/4001").value()});
    return 0;
  });
  Host& node = make_node("192.168.9.2:4001");
  use(node, bootstrap);
  publish(node);
  scenario.world.run_for(1min);
  EXPECT_EQ(verdict(node), Verdict::unknown);
  EXPECT_EQ(dialled(bootstrap), 0U);
}

// The next round is minutes or hours away.
TEST_F(ReachabilityScenarios, ANodeInAnotherNetworkIsProbedAtOnceAndPublishesWhereItIs) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_node("8.8.8.8:4001");
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  scenario.world.run_for(1h);
  const Multiaddr before = node.address();
  node.move_to(endpoint("8.8.4.7:4001"));
  scenario.world.network().cut(before.tcp_endpoint()->address, bootstrap.endpoint().address);
  const auto* told_addresses = std::get_if<dignet::ListenAddressesChanged>(&node.events().back());
  ASSERT_NE(told_addresses, nullptr);
  EXPECT_EQ(std::ranges::count(told_addresses->addresses, node.address().to_string()), 1);

  scenario.world.run_for(1min);
  EXPECT_EQ(verdict(node), Verdict::reachable);
  EXPECT_EQ(told(node)->addresses, std::vector{node.address().to_string()});
  EXPECT_EQ(own_addresses(record(bootstrap)), std::vector{node.address()});
}

TEST_F(ReachabilityScenarios, WhatWasProvenInAnotherNetworkIsAskedAgainAtOnce) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_node("8.8.8.8:4001");
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  scenario.world.run_for(30s);
  const std::uint64_t before = dialled(bootstrap);
  const auto told_before = node.events().size();
  node.run([&](Instant now, node::NodeCore& core) {
    core.handle_network_changed(now, {node.address()});
    return 0;
  });
  EXPECT_EQ(node.events().size(), told_before) << "its addresses are the same";
  scenario.world.run_for(30s);
  EXPECT_EQ(dialled(bootstrap), before + 1);
  EXPECT_EQ(verdict(node), Verdict::reachable);
}

// A private network without the Internet: its addresses are all there are, and they are probed by those in it.
TEST_F(ReachabilityScenarios, InAPrivateNetworkPrivateAddressesAreProven) {
  Host& bootstrap = make_bootstrap("bootstrap", "192.168.9.1:4001");
  Host& node = make_node("192.168.9.2:4001");
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::reachable);
  EXPECT_EQ(own_addresses(record(bootstrap)), std::vector{node.address()});
}

// What the owner announces is published at once, and taken back from nobody.
TEST_F(ReachabilityScenarios, AnAnnouncedAddressNeedsNoProof) {
  Host& bootstrap = make_bootstrap("bootstrap", "9.9.9.1:4001");
  Host& node = make_home_node(Dependence::address_and_port_dependent);
  const Multiaddr announced = Multiaddr::tcp({k_home_outside, 4001});
  node.run([&](Instant now, node::NodeCore& core) {
    core.set_addresses(now, {node.address()}, {announced});
    return core.has_public_roles();
  });
  use(node, bootstrap);
  publish(node);
  EXPECT_EQ(wait(node), Verdict::unreachable) << "the owner was wrong";
  EXPECT_EQ(record(bootstrap).addresses.front(), announced);
}

}  // namespace
}  // namespace dig::sim::testing
