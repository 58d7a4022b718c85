// SPDX-License-Identifier: Apache-2.0
// A node whose owner wants it to be an open TURN relay is one while datagrams of others reach its relay ports, and says
// why when it is not; and what the nodes that send these datagrams do for whom.
#include <gtest/gtest.h>

#include "base/frame_reader.hpp"
#include "tests/sim/scenario.hpp"

namespace dig::sim::testing {
namespace {

using udp_probe::Status;

IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }
Endpoint endpoint(const std::string& text) { return Endpoint::parse(text).value(); }

constexpr node::TurnWish k_open{.kind = TurnRelayKind::open, .has_tls = false, .needs_probe = true};
constexpr node::TurnWish k_paused{
    .kind = TurnRelayKind::open, .has_tls = false, .needs_probe = true, .is_paused = true};
constexpr std::uint16_t k_relay_port = 50000;
constexpr Duration k_way = 20ms;

const std::string k_is_reached = "a datagram from outside has reached a relay port";
const std::string k_is_closed = "no datagram from outside has reached a relay port";
const std::string k_is_used_up = "this month's volume is used up";
const std::string k_nobody = "no peer is connected that can try its relay ports";

class OpenRelay : public ::testing::Test {
 protected:
  OpenRelay() {
    for (Host* host : {&bootstrap, &node, &alice, &bob}) join(*host);
  }
  Host& add(const std::string& name, const std::string& at) {
    return world.add_host({.name = name,
                           .endpoint = endpoint(at),
                           .is_bootstrap = name == "bootstrap",
                           .wants_roles = name == "node" || name == "bob"});
  }
  // The UDP of the world, as far as probes use it.
  void join(Host& host) {
    host.on_output([this, &host](const node::NodeOutput& output) {
      if (const auto* opened = std::get_if<node::OpenUdpProbe>(&output)) {
        open(host, *opened);
      } else if (const auto* closed = std::get_if<node::CloseUdpProbe>(&output)) {
        std::erase_if(ports, [&](const auto& port) { return port.second == std::pair(&host, closed->id); });
      } else if (const auto* datagram = std::get_if<node::SendUdpProbe>(&output)) {
        send(host, *datagram);
      } else if (const auto* served = std::get_if<node::ServeTurn>(&output)) {
        serving = *served;
        ++serves;
      } else if (const auto* stream = std::get_if<node::AppStreamOpened>(&output)) {
        opened_streams[&host] = stream->result;
      } else if (const auto* read = std::get_if<node::AppRead>(&output)) {
        answers[&host] = read->bytes;
      }
    });
  }
  void open(Host& host, const node::OpenUdpProbe& wanted) {
    const Endpoint relay{relay_ip.value_or(wanted.reached), k_relay_port};
    ports[relay] = {&host, wanted.id};
    world.events().after(Duration{0}, [&host, id = wanted.id, relay] {
      host.run([&](Instant now, node::NodeCore& core) {
        core.handle_udp_probe_listening(now, id, relay);
        return 0;
      });
    });
  }
  void send(Host& host, const node::SendUdpProbe& sending) {
    if (can_send) {
      sent.push_back({&host, sending.to, sending.datagram.size()});
      world.events().after(k_way, [this, sending] { deliver(sending); });
    }
    world.events().after(Duration{0}, [&host, id = sending.id, is_sent = can_send] {
      host.run([&](Instant now, node::NodeCore& core) {
        core.handle_udp_probe_sent(now, id, is_sent);
        return 0;
      });
    });
  }
  void deliver(const node::SendUdpProbe& sending) {
    const auto port = ports.find(sending.to);
    if (has_firewall || port == ports.end()) return;
    const auto [host, id] = port->second;
    host->run([&](Instant now, node::NodeCore& core) {
      core.handle_udp_probe_datagram(now, id, sending.datagram);
      return 0;
    });
  }
  void wish(node::TurnWish wanted, const std::string& why = "") {
    node.run([&](Instant now, node::NodeCore& core) {
      core.set_turn_wish(now, wanted, why);
      return 0;
    });
  }
  void announce(const std::vector<Multiaddr>& listening, const std::vector<Multiaddr>& announced) {
    node.run([&](Instant now, node::NodeCore& core) {
      core.set_addresses(now, listening, announced);
      return 0;
    });
  }
  void use_bootstrap() {
    ASSERT_TRUE(node.run([&](Instant now, node::NodeCore& core) {
      return core.add_bootstrap(now, bootstrap.peer_id(), {bootstrap.address()});
    }));
    node.run([](Instant now, node::NodeCore& core) {
      core.start_publishing(now, 0);
      return 0;
    });
  }
  node::ConnectionId connect(Host& from, const Host& to) {
    const auto operation = from.connect(to.peer_id(), {to.address()});
    EXPECT_TRUE(world.run_until([&] { return from.connected(operation) != nullptr; }, 1min));
    const auto& result = from.connected(operation)->result;
    EXPECT_TRUE(result);
    return result ? result->connection : node::ConnectionId{};
  }
  Result<TurnCredentials> ask_credentials() {
    const node::ConnectionId connection = connect(alice, node);
    const auto operation = alice.run(
        [&](Instant now, node::NodeCore& core) { return core.ask_turn_credentials(now, connection, bob.peer_id()); });
    EXPECT_TRUE(world.run_until([&] { return alice.turn_credentials(operation) != nullptr; }, 1min));
    return alice.turn_credentials(operation)->result;
  }
  // What was told of the role, the latest last.
  [[nodiscard]] std::vector<dignet::TurnRoleChanged> told() const {
    std::vector<dignet::TurnRoleChanged> found;
    for (const dignet::NodeEvent& event : node.events()) {
      if (const auto* role = std::get_if<dignet::TurnRoleChanged>(&event)) found.push_back(*role);
    }
    return found;
  }
  bool wait_until_told(const std::string& why, Duration limit = 2min) {
    return world.run_until([&] { return !told().empty() && told().back().why == why; }, limit);
  }
  [[nodiscard]] bool is_on() const {
    return node.snapshot().roles.has_all({static_cast<std::uint32_t>(NodeRole::turn_open_relay)});
  }
  // What the bootstrap server says to a request on a stream of its own; nothing when it does not speak of it.
  std::optional<Status> probe(Host& from, node::ConnectionId connection, const std::string& to) {
    opened_streams.erase(&from);
    answers.erase(&from);
    from.run([&](Instant now, node::NodeCore& core) {
      return core.open_app_stream(now, connection, std::string(udp_probe::k_protocol));
    });
    EXPECT_TRUE(world.run_until([&] { return opened_streams.contains(&from); }, 1min));
    const Result<StreamId> stream = opened_streams.at(&from);
    if (!stream) return std::nullopt;
    from.run([&](Instant now, node::NodeCore& core) {
      Bytes framed;
      append_frame(framed, udp_probe::Request{endpoint(to), {}}.encode());
      core.write_app_stream(now, connection, *stream, std::move(framed));
      core.read_app_stream(now, connection, *stream, 64);
      return 0;
    });
    EXPECT_TRUE(world.run_until([&] { return answers.contains(&from); }, 1min));
    const auto response = udp_probe::Response::decode(BytesView(answers[&from]).subspan(1));
    world.run_for(1s);
    EXPECT_TRUE(response);
    return response ? std::optional(response->status) : std::nullopt;
  }

  struct Sent {
    const Host* by = nullptr;
    Endpoint to;
    std::size_t size = 0;
    friend bool operator==(const Sent&, const Sent&) = default;
  };
  World world{91};
  Host& bootstrap = add("bootstrap", "9.9.9.1:4001");
  Host& node = add("node", "8.8.8.8:4001");
  Host& alice = add("alice", "5.5.5.1:4001");
  Host& bob = add("bob", "6.6.6.1:4001");
  std::map<Endpoint, std::pair<Host*, node::UdpProbeId>> ports;
  std::vector<Sent> sent;
  std::map<const Host*, Result<StreamId>> opened_streams;
  std::map<const Host*, Bytes> answers;
  std::optional<IpAddress> relay_ip;
  bool has_firewall = false;
  bool can_send = true;
  std::optional<node::ServeTurn> serving;
  std::size_t serves = 0;
};

TEST_F(OpenRelay, IsOfferedOnceADatagramFromOutsideHasCome) {
  wish(k_open);
  ASSERT_EQ(told().size(), 1U);
  EXPECT_FALSE(told()[0].is_on);
  EXPECT_EQ(told()[0].kind, "open");
  EXPECT_EQ(told()[0].why, "it is not known to be reached");
  use_bootstrap();
  ASSERT_TRUE(wait_until_told(k_is_reached));
  EXPECT_TRUE(told().back().is_on);
  EXPECT_EQ(told().back().kind, "open");
  EXPECT_EQ(told().back().servers.front(), "turn:8.8.8.8:4001");
  EXPECT_TRUE(is_on());
  EXPECT_EQ(sent, (std::vector<Sent>{{&bootstrap, endpoint("8.8.8.8:50000"), 22}}));
  EXPECT_TRUE(ports.empty()) << "the port is not kept";
  ASSERT_TRUE(serving);
  EXPECT_EQ(*serving, (node::ServeTurn{ip("8.8.8.8"), std::nullopt}));
  EXPECT_EQ(ask_credentials()->kind, TurnRelayKind::open);
}

TEST_F(OpenRelay, IsNotOfferedWhileItsPortsAreClosed) {
  has_firewall = true;
  wish(k_open);
  use_bootstrap();
  ASSERT_TRUE(wait_until_told(k_is_closed));
  EXPECT_FALSE(told().back().is_on);
  EXPECT_FALSE(is_on());
  EXPECT_FALSE(serving);
  const auto refused = ask_credentials();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::turn_not_offered);
  const std::size_t events = told().size();
  world.run_for(30min);
  EXPECT_EQ(told().size(), events) << "one reason is told once";
  EXPECT_GE(sent.size(), 5U) << "it is tried again";
  has_firewall = false;
  EXPECT_TRUE(wait_until_told(k_is_reached, 6min));
  EXPECT_TRUE(is_on());
}

TEST_F(OpenRelay, EndsWhenItsPortsAreClosedAfterwards) {
  wish(k_open);
  use_bootstrap();
  ASSERT_TRUE(wait_until_told(k_is_reached));
  has_firewall = true;
  ASSERT_TRUE(wait_until_told(k_is_closed, 11min));
  EXPECT_FALSE(told().back().is_on);
  EXPECT_FALSE(is_on());
  EXPECT_EQ(ask_credentials().error().code(), Errc::turn_not_offered);
}

TEST_F(OpenRelay, SaysThatNobodyCanTryIt) {
  node.run([&](Instant now, node::NodeCore& core) {
    core.set_addresses(now, {node.address()}, {node.address()});
    return 0;
  });
  wish(k_open);
  ASSERT_EQ(told().size(), 1U);
  EXPECT_EQ(told().back().why, k_nobody);
  (void)connect(alice, node);  // who is no server
  world.run_for(1h);
  EXPECT_EQ(told().size(), 1U);
  EXPECT_TRUE(sent.empty());
  (void)connect(node, bootstrap);  // any peer will do that offers it
  EXPECT_TRUE(wait_until_told(k_is_reached));
}

TEST_F(OpenRelay, OfAnotherAddressOfItsOwn) {
  relay_ip = ip("8.8.9.9");
  wish(k_open);
  use_bootstrap();
  ASSERT_TRUE(wait_until_told(k_is_reached));
  EXPECT_EQ(sent, (std::vector<Sent>{{&bootstrap, endpoint("8.8.9.9:50000"), 22}}));
}

TEST_F(OpenRelay, OfTwoFamiliesServesTheOneThatIsReached) {
  node.run([&](Instant now, node::NodeCore& core) {
    core.set_addresses(now, {node.address()}, {node.address(), Multiaddr::parse("/ip6/2600::1/tcp/4001").value()});
    return 0;
  });
  wish(k_open);
  use_bootstrap();  // which has no IPv6
  ASSERT_TRUE(wait_until_told(k_is_reached));
  world.run_for(1min);
  EXPECT_EQ(*serving, (node::ServeTurn{ip("8.8.8.8"), std::nullopt}));
  EXPECT_EQ(sent.size(), 1U);
}

TEST_F(OpenRelay, WhatItsOwnerNoLongerWantsIsNotTried) {
  wish(k_open);
  use_bootstrap();
  ASSERT_TRUE(wait_until_told(k_is_reached));
  wish(k_paused, k_is_used_up);
  EXPECT_EQ(told().back().why, k_is_used_up);
  EXPECT_FALSE(is_on());
  world.run_for(2h);
  EXPECT_EQ(sent.size(), 1U);
  wish(k_open);
  EXPECT_TRUE(wait_until_told(k_is_reached));
  EXPECT_EQ(sent.size(), 2U);
}

TEST_F(OpenRelay, SaysWhyFromTheStart) {
  wish(k_paused, k_is_used_up);
  ASSERT_EQ(told().size(), 1U);
  EXPECT_FALSE(told().back().is_on);
  EXPECT_EQ(told().back().why, k_is_used_up);
  use_bootstrap();
  world.run_for(1h);
  EXPECT_EQ(told().size(), 1U) << "where it is reached is no reason";
  EXPECT_TRUE(sent.empty());
}

TEST_F(OpenRelay, OfferedAgainItSaysWhyItIsStillOff) {
  wish(k_paused, k_is_used_up);
  wish(k_open, "a new month has begun");
  EXPECT_EQ(told().back().why, "it is not known to be reached");
}

TEST_F(OpenRelay, AnnouncedByNameOnlyItNeedsAnAddress) {
  const Multiaddr name = Multiaddr::parse("/dns4/relay.example/tcp/4001").value();
  announce({Multiaddr::parse("/ip4/192.168.1.2/tcp/4001").value()}, {name});
  wish(k_open);
  ASSERT_EQ(told().size(), 1U);
  EXPECT_EQ(told().back().why, "it is announced by name only: an address is needed to relay from");
  announce({node.address()}, {name});  // its own, which datagrams of others must reach as well
  (void)connect(node, bootstrap);
  ASSERT_TRUE(wait_until_told(k_is_reached));
  EXPECT_EQ(told().back().servers.front(), "turn:relay.example:4001");
  EXPECT_EQ(*serving, (node::ServeTurn{ip("8.8.8.8"), std::nullopt}));
}

TEST_F(OpenRelay, WithAnotherOwnAddressItIsServedAndTriedAnew) {
  announce({Multiaddr::parse("/ip4/192.168.1.2/tcp/4001").value()}, {node.address()});
  wish(k_open);
  use_bootstrap();
  ASSERT_TRUE(wait_until_told(k_is_reached));
  world.run_for(1min);
  ASSERT_EQ(serves, 1U);
  ASSERT_EQ(sent.size(), 1U);
  node.run([&](Instant now, node::NodeCore& core) {
    core.handle_network_changed(now, {Multiaddr::parse("/ip4/192.168.1.3/tcp/4001").value()}, {node.address()});
    return 0;
  });
  world.run_for(30s);
  EXPECT_EQ(serves, 2U) << "relay ports are at its own address, which has changed";
  EXPECT_EQ(sent.size(), 2U);
  EXPECT_TRUE(is_on());
}

TEST_F(OpenRelay, WhoStopsTriesNothingMore) {
  wish(k_open);
  use_bootstrap();
  ASSERT_TRUE(wait_until_told(k_is_reached));
  node.close_all();
  world.run_for(24h);
  EXPECT_EQ(sent.size(), 1U);
}

TEST_F(OpenRelay, AServerSendsToTheAskerAndToTheInternet) {
  const node::ConnectionId connection = connect(alice, bootstrap);
  EXPECT_EQ(probe(alice, connection, "5.5.5.1:50000"), Status::sent);
  EXPECT_EQ(probe(alice, connection, "7.7.7.7:1024"), Status::sent);
  EXPECT_EQ(probe(alice, connection, "10.0.0.1:50000"), Status::refused);
  EXPECT_EQ(probe(alice, connection, "[2600::1]:50000"), Status::refused) << "it has no IPv6";
  EXPECT_EQ(sent, (std::vector<Sent>{{&bootstrap, endpoint("5.5.5.1:50000"), 22},
                                     {&bootstrap, endpoint("7.7.7.7:1024"), 22}}));
}

TEST_F(OpenRelay, AServerSendsIntoAPrivateNetworkOnlyToWhoIsSeenThere) {
  Host& inside = add("inside", "10.0.0.2:4001");
  join(inside);
  const node::ConnectionId connection = connect(inside, bootstrap);
  EXPECT_EQ(probe(inside, connection, "10.0.0.2:50000"), Status::sent);
  EXPECT_EQ(probe(inside, connection, "10.0.0.3:50000"), Status::refused);
  EXPECT_EQ(sent.size(), 1U);
}

TEST_F(OpenRelay, WhatHasNotLeftIsNoVerdict) {
  can_send = false;
  EXPECT_EQ(probe(alice, connect(alice, bootstrap), "5.5.5.1:50000"), Status::busy);
}

TEST_F(OpenRelay, APeerAsksSoOftenAndThenAgainLater) {
  const node::ConnectionId connection = connect(alice, bootstrap);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(probe(alice, connection, "10.0.0.1:50000"), Status::refused) << i;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(probe(alice, connection, "5.5.5.1:50000"), Status::sent) << i;
  EXPECT_EQ(probe(alice, connection, "5.5.5.1:50000"), Status::busy);
  EXPECT_EQ(probe(bob, connect(bob, bootstrap), "6.6.6.1:50000"), Status::sent);
  world.run_for(1min);
  EXPECT_EQ(probe(alice, connection, "5.5.5.1:50000"), Status::sent);
  EXPECT_EQ(sent.size(), 8U);
}

TEST_F(OpenRelay, ThirdPartiesAreHitLessOften) {
  Host& carol = add("carol", "7.7.7.1:4001");
  join(carol);
  for (Host* asker : {&alice, &bob}) {
    const node::ConnectionId connection = connect(*asker, bootstrap);
    for (int i = 0; i < 6; ++i) EXPECT_EQ(probe(*asker, connection, "3.3.3.3:50000"), Status::sent) << i;
  }
  const node::ConnectionId connection = connect(carol, bootstrap);
  EXPECT_EQ(probe(carol, connection, "3.3.3.3:50000"), Status::busy);
  EXPECT_EQ(probe(carol, connection, "7.7.7.1:50000"), Status::sent);
}

TEST_F(OpenRelay, ABootstrapServerOfManyHitsThirdPartiesMoreOften) {
  Host& carol = add("carol", "7.7.7.1:4001");
  Host& server = world.add_host({.name = "server",
                                 .endpoint = endpoint("9.9.8.1:4001"),
                                 .limits = node::NodeCore::Limits::of_bootstrap(),
                                 .is_bootstrap = true});
  for (Host* host : {&carol, &server}) join(*host);
  for (Host* asker : {&alice, &bob, &carol}) {
    const node::ConnectionId connection = connect(*asker, server);
    for (int i = 0; i < 6; ++i) EXPECT_EQ(probe(*asker, connection, "3.3.3.3:50000"), Status::sent) << i;
    EXPECT_EQ(probe(*asker, connection, "3.3.3.3:50000"), Status::busy);
  }
}

TEST_F(OpenRelay, NodesThatAreNotReachedAnswerNobody) {
  const node::ConnectionId connection = connect(alice, bob);
  EXPECT_EQ(probe(alice, connection, "5.5.5.1:50000"), std::nullopt);
  EXPECT_TRUE(sent.empty());
  bob.run([](Instant now, node::NodeCore& core) {
    core.force_roles(now, true);
    return 0;
  });
  EXPECT_EQ(probe(alice, connection, "5.5.5.1:50000"), Status::sent) << "reached, it does";
}

TEST_F(OpenRelay, NobodyIsAnsweredThroughACircuit) {
  use_bootstrap();  // where it keeps a reservation until a stranger has reached it
  ASSERT_TRUE(world.run_until([&] { return node.snapshot().reachability.v4 == autonat::Verdict::reachable; }, 2min));
  world.run_for(10s);
  const std::string circuit =
      bootstrap.address().to_string() + "/p2p/" + bootstrap.peer_id().to_string() + "/p2p-circuit";
  const auto operation = alice.connect(node.peer_id(), {Multiaddr::parse(circuit).value()});
  ASSERT_TRUE(world.run_until([&] { return alice.connected(operation) != nullptr; }, 1min));
  ASSERT_TRUE(alice.connected(operation)->result);
  EXPECT_EQ(probe(alice, alice.connected(operation)->result->connection, "5.5.5.1:50000"), std::nullopt);
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(probe(bob, connect(bob, node), "6.6.6.1:50000"), Status::sent) << "it does answer";
}

}  // namespace
}  // namespace dig::sim::testing
