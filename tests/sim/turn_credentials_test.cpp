// SPDX-License-Identifier: Apache-2.0
// A peer that can be reached is a pair relay: two peers without a route to each other ask it for credentials over their
// connections, and its TURN server lets each reach the other with them and nobody else.
#include <gtest/gtest.h>

#include "base/frame_reader.hpp"
#include "proto/turn_credentials/requester.hpp"
#include "proto/turn_server/testing/turn_world.hpp"
#include "tests/sim/scenario.hpp"
#include "wire/turn_credential_message.hpp"

namespace dig::sim::testing {
namespace {

using turn::testing::TestClient;

class TurnRole : public ::testing::Test {
 protected:
  TurnRole() {
    world.network().silence(alice.endpoint().address, bob.endpoint().address);
    offer();
  }
  void offer(node::TurnWish wish = {}) {
    relay.run([&](Instant now, node::NodeCore& core) {
      core.set_turn_wish(now, wish, "");
      core.force_roles(now, true);
      return 0;
    });
  }
  node::ConnectionId connect(Host& peer, std::vector<Multiaddr> addresses) {
    const auto operation = peer.connect(relay.peer_id(), std::move(addresses));
    EXPECT_TRUE(world.run_until([&] { return peer.connected(operation) != nullptr; }, 1min));
    const auto& result = peer.connected(operation)->result;
    return result ? result->connection : node::ConnectionId{};
  }
  Result<TurnCredentials> ask(Host& peer, node::ConnectionId connection, const Host& target) {
    const auto operation = peer.run([&](Instant now, node::NodeCore& core) {
      return core.ask_turn_credentials(now, connection, target.peer_id());
    });
    EXPECT_TRUE(world.run_until([&] { return peer.turn_credentials(operation) != nullptr; }, 1min));
    const auto* const ended = peer.turn_credentials(operation);
    return ended == nullptr ? fail(Errc::internal) : ended->result;
  }
  Result<TurnCredentials> ask(Host& peer, const Host& target) {
    return ask(peer, connect(peer, {relay.address()}), target);
  }
  // The TURN server beside the relay's core, as its shell has it.
  turn::testing::World& server() {
    if (!server_) {
      turn::ServerConfig config = turn::testing::World::default_config();
      config.is_pair_relay = true;
      const auto* const source = relay.run([](Instant, node::NodeCore& core) { return &core.turn_credentials(); });
      server_.emplace(std::move(config), turn::QuotaBook::Limits{}, source);
    }
    server_->wall = {1'800'000'000 +
                     std::chrono::duration_cast<std::chrono::seconds>(world.now().since_origin).count()};
    return *server_;
  }
  TestClient client(const Result<TurnCredentials>& credentials, std::string_view from) {
    TestClient made(server(), from);
    made.username = credentials->username;
    made.password = credentials->password;
    return made;
  }
  [[nodiscard]] std::vector<dignet::TurnRoleChanged> role_events() const {
    std::vector<dignet::TurnRoleChanged> found;
    for (const dignet::NodeEvent& event : relay.events()) {
      if (const auto* role = std::get_if<dignet::TurnRoleChanged>(&event)) found.push_back(*role);
    }
    return found;
  }

  World world{90};
  Host& relay = world.add_host("relay");
  Host& alice = world.add_host("alice");
  Host& bob = world.add_host("bob");
  Host& carol = world.add_host("carol");

 private:
  std::optional<turn::testing::World> server_;
};

TEST_F(TurnRole, TwoPeersWithoutARouteReachEachOtherAndNobodyElse) {
  const auto for_bob = ask(alice, bob);
  const auto for_alice = ask(bob, alice);
  const auto third = ask(carol, alice);
  ASSERT_TRUE(for_bob && for_alice && third);
  EXPECT_EQ(for_bob->kind, TurnRelayKind::pair);
  EXPECT_EQ(for_bob->servers.front().to_string(), "turn:198.51.100.1:4001");
  TestClient a = client(for_bob, "192.0.2.10:5000");
  TestClient b = client(for_alice, "192.0.2.11:5000");
  TestClient c = client(third, "192.0.2.12:5000");
  ASSERT_TRUE(a.allocate().is_success() && b.allocate().is_success() && c.allocate().is_success());
  EXPECT_TRUE(a.bind(0x4000, b.relayed).is_success());
  EXPECT_TRUE(b.bind(0x4001, a.relayed).is_success());
  EXPECT_EQ(c.bind(0x4000, a.relayed).error(), 403);
  EXPECT_EQ(a.bind(0x4002, c.relayed).error(), 403);
  server().sink.clients.clear();
  a.send_channel_data(0x4000, "to Bob");
  ASSERT_EQ(server().sink.clients.size(), 1U);
  EXPECT_EQ(server().sink.clients.front().client, b.path);
}

// Who has his answer and does not end the stream holds no place for long.
TEST_F(TurnRole, WhoDoesNotFinishLosesHisPlace) {
  const node::ConnectionId connection = connect(alice, {relay.address()});
  std::vector<StreamId> opened;
  alice.on_output([&](const node::NodeOutput& output) {
    const auto* const stream = std::get_if<node::AppStreamOpened>(&output);
    if (stream != nullptr && stream->result) opened.push_back(*stream->result);
  });
  const node::TurnCredentialService::Limits limits;
  for (std::size_t i = 0; i < limits.max_streams_per_peer; ++i) {
    alice.run([&](Instant now, node::NodeCore& core) {
      return core.open_app_stream(now, connection, std::string(turn_credentials::k_protocol));
    });
  }
  ASSERT_TRUE(world.run_until([&] { return opened.size() == limits.max_streams_per_peer; }, 1min));
  for (const StreamId stream : opened) {
    alice.run([&](Instant now, node::NodeCore& core) {
      Bytes request;
      append_frame(request, TurnCredentialRequest{bob.peer_id()}.encode());
      core.write_app_stream(now, connection, stream, std::move(request));
      return 0;
    });
  }
  world.run_for(1s);
  EXPECT_FALSE(ask(alice, connection, bob));
  world.run_for(10s);
  EXPECT_TRUE(ask(alice, connection, bob));
}

TEST_F(TurnRole, ACredentialExpires) {
  const auto credentials = ask(alice, bob);
  ASSERT_TRUE(credentials);
  TestClient a = client(credentials, "192.0.2.10:5000");
  world.run_for(credentials->expires_in - 1s);
  std::ignore = server();  // the time of the day goes on
  EXPECT_TRUE(a.allocate().is_success());
  TestClient late = client(credentials, "192.0.2.11:5000");
  world.run_for(2s);
  std::ignore = server();
  EXPECT_EQ(late.allocate().error(), 401);
}

TEST_F(TurnRole, IsToldWhileItIsOn) {
  const auto on = role_events();
  ASSERT_EQ(on.size(), 1U);
  EXPECT_TRUE(on[0].is_on);
  EXPECT_EQ(on[0].kind, "pair");
  EXPECT_EQ(on[0].servers,
            (std::vector<std::string>{"turn:198.51.100.1:4001", "turn:198.51.100.1:4001?transport=tcp"}));
  offer();
  EXPECT_EQ(role_events().size(), 1U) << "nothing has changed";
  const node::ConnectionId connection = connect(alice, {relay.address()});
  ASSERT_TRUE(ask(alice, connection, bob));
  relay.run([](Instant now, node::NodeCore& core) {
    core.force_roles(now, false);
    return 0;
  });
  const auto off = role_events();
  ASSERT_EQ(off.size(), 2U);
  EXPECT_FALSE(off[1].is_on);
  EXPECT_EQ(off[1].why, "it is not known to be reached");
  const auto refused = ask(alice, connection, bob);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::turn_not_offered);
}

TEST_F(TurnRole, NobodyIsAskedWhoIsNoTurnServer) {
  const auto operation = alice.connect(carol.peer_id(), {carol.address()});
  ASSERT_TRUE(world.run_until([&] { return alice.connected(operation) != nullptr; }, 1min));
  const auto refused = ask(alice, alice.connected(operation)->result->connection, bob);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::turn_not_offered);
  EXPECT_EQ(ask(alice, node::ConnectionId{9999}, bob).error().code(), Errc::connection_closed);
}

TEST_F(TurnRole, TheRecordInTheDirectoryHasTheRole) {
  Host& bootstrap = world.add_host(HostSpec{.name = "bootstrap", .is_bootstrap = true});
  const StoreId store = alice.disk().add(world.random_bytes(1000), alice.identity()).id;
  for (Host* peer : {&relay, &alice}) {
    ASSERT_TRUE(peer->run([&](Instant now, node::NodeCore& core) {
      return core.add_bootstrap(now, bootstrap.peer_id(), {bootstrap.address()});
    }));
  }
  relay.run([&](Instant now, node::NodeCore& core) {
    core.start_publishing(now, 0);
    core.set_stores(now, {store});
    return 0;
  });
  const auto roles = [&]() -> NodeRoles {
    const auto search = alice.run([&](Instant now, node::NodeCore& core) { return core.find_holders(now, store); });
    EXPECT_TRUE(world.run_until([&] { return alice.searched(search).is_over; }, 1min));
    const auto& records = alice.searched(search).records;
    EXPECT_EQ(records.size(), 1U);
    return records.empty() ? NodeRoles{} : records.front().record.roles;
  };
  world.run_for(10s);
  NodeRoles expected;
  expected.add(NodeRole::turn_pair_relay);
  EXPECT_EQ(roles(), expected);
  offer({.kind = TurnRelayKind::open, .has_tls = false});
  world.run_for(10s);
  NodeRoles open;
  open.add(NodeRole::turn_open_relay);
  EXPECT_EQ(roles(), open);
  relay.run([](Instant now, node::NodeCore& core) {
    core.set_turn_wish(now, std::nullopt, "its owner does not want it");
    return 0;
  });
  world.run_for(10s);
  EXPECT_EQ(roles(), NodeRoles{});
}

TEST_F(TurnRole, ThroughACircuitThereAreNone) {
  Host& between = world.add_host(HostSpec{.name = "between", .is_bootstrap = true});
  ASSERT_TRUE(relay.run(
      [&](Instant now, node::NodeCore& core) { return core.add_relay(now, between.peer_id(), {between.address()}); }));
  world.run_for(10s);
  const Multiaddr circuit =
      Multiaddr::parse(between.address().to_string() + "/p2p/" + between.peer_id().to_string() + "/p2p-circuit")
          .value();
  const node::ConnectionId connection = connect(alice, {circuit});
  ASSERT_NE(connection, node::ConnectionId{});
  const auto refused = ask(alice, connection, bob);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::turn_credentials_refused);
}

TEST_F(TurnRole, APeerAsksSoOftenAndThenAgainLater) {
  const node::ConnectionId connection = connect(alice, {relay.address()});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(ask(alice, connection, bob)) << i;
  EXPECT_EQ(ask(alice, connection, bob).error().code(), Errc::limit_reached);
  EXPECT_EQ(ask(alice, connection, relay).error().code(), Errc::limit_reached);
  EXPECT_TRUE(ask(bob, alice));
  world.run_for(1min);
  EXPECT_TRUE(ask(alice, connection, bob));
  EXPECT_EQ(ask(alice, connection, alice).error().code(), Errc::turn_credentials_refused);
}

}  // namespace
}  // namespace dig::sim::testing
