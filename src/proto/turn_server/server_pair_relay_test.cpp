// SPDX-License-Identifier: Apache-2.0
// A pair relay: who reaches whom, and that nothing ever leaves it in another way.
#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "proto/turn_server/testing/pair_world.hpp"

namespace dig::turn {
namespace {

using namespace testing;

const PeerId k_alice = test_peer(1);
const PeerId k_bob = test_peer(2);
const PeerId k_carol = test_peer(3);

class PairRelay : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(pair.leaks(), 0U); }

  void meet() {
    pair.give(alice, k_alice, k_bob);
    pair.give(bob, k_bob, k_alice);
    ASSERT_TRUE(alice.allocate().is_success());
    ASSERT_TRUE(bob.allocate().is_success());
  }
  // As stock clients do it: a permission, then a channel.
  static void bind(TestClient& from, const TestClient& to, std::uint16_t channel) {
    ASSERT_TRUE(from.permit({to.relayed.to_string()}).is_success());
    ASSERT_TRUE(from.bind(channel, to.relayed).is_success());
  }
  void talk() {
    meet();
    bind(alice, bob, 0x4000);
    bind(bob, alice, 0x4001);
    world.sink.clients.clear();
  }
  [[nodiscard]] std::size_t delivered(const TestClient& client) const {
    return static_cast<std::size_t>(std::ranges::count(world.sink.clients, client.path, &Recorder::ToClient::client));
  }

  PairWorld pair;
  World& world = pair.world;
  TestClient alice{world, "192.0.2.10:5000"};
  TestClient bob{world, "192.0.2.11:5000"};
  TestClient carol{world, "192.0.2.12:5000"};
};

TEST_F(PairRelay, TwoPeersTalkInMemoryAndNoPortIsOpened) {
  talk();
  EXPECT_EQ(alice.relayed.address, ip("203.0.113.1"));
  EXPECT_NE(alice.relayed, bob.relayed);
  alice.send_channel_data(0x4000, "hello");
  ASSERT_EQ(world.sink.clients.size(), 1U);
  EXPECT_EQ(world.sink.clients[0].client, bob.path);
  EXPECT_EQ(to_hex(world.sink.clients[0].bytes), "40010005" + to_hex(as_bytes("hello")));
  world.sink.clients.clear();
  bob.send_indication(alice.relayed, as_bytes("hi"));
  ASSERT_EQ(world.sink.clients.size(), 1U);
  EXPECT_EQ(world.sink.clients[0].client, alice.path);
  EXPECT_EQ(to_hex(world.sink.clients[0].bytes), "40000002" + to_hex(as_bytes("hi")));
}

TEST_F(PairRelay, WithoutAChannelDataComesFromTheRelayedAddressOfTheOther) {
  meet();
  ASSERT_TRUE(alice.permit({bob.relayed.to_string()}).is_success());
  ASSERT_TRUE(bob.permit({alice.relayed.to_string()}).is_success());
  world.sink.clients.clear();
  alice.send_indication(bob.relayed, as_bytes("four"));
  ASSERT_EQ(world.sink.clients.size(), 1U);
  const auto message = stun::Message::parse(world.sink.clients[0].bytes);
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->is(Method::data, Class::indication));
  EXPECT_EQ(stun::xor_address(*message, Attribute::xor_peer_address), alice.relayed);
}

TEST_F(PairRelay, EachComesOverTheTransportThatItHas) {
  TestClient stream(world, "192.0.2.13:6000", StunTransport::tls);
  stream.uses_sha256 = true;
  pair.give(stream, k_bob, k_alice);
  pair.give(alice, k_alice, k_bob);
  ASSERT_TRUE(alice.allocate().is_success());
  ASSERT_TRUE(stream.allocate().is_success());
  bind(alice, stream, 0x4000);
  bind(stream, alice, 0x4000);
  world.sink.clients.clear();
  alice.send_channel_data(0x4000, "hello");
  stream.send_channel_data(0x4000, "abc");
  ASSERT_EQ(world.sink.clients.size(), 2U);
  EXPECT_EQ(world.sink.clients[0].client, stream.path);
  EXPECT_EQ(world.sink.clients[0].padding, 3U);
  EXPECT_EQ(world.sink.clients[1].client, alice.path);
  EXPECT_EQ(world.sink.clients[1].padding, 0U);
}

TEST_F(PairRelay, PortsAreReservedAsOnAnyServer) {
  pair.give(alice, k_alice, k_bob);
  const Answer even = alice.allocate([](stun::Writer& writer) { stun::add_even_port(writer, true); });
  ASSERT_TRUE(even.is_success());
  const auto token = stun::decode_u64(*even.message().find(Attribute::reservation_token));
  TestClient next(world, "192.0.2.10:5001");
  pair.give(next, k_alice, k_bob);
  ASSERT_TRUE(
      next.allocate([&](stun::Writer& writer) { writer.add_u64(Attribute::reservation_token, *token); }).is_success());
  EXPECT_EQ(alice.relayed.port % 2, 0);
  EXPECT_EQ(next.relayed.port, alice.relayed.port + 1);
}

TEST_F(PairRelay, BothMustHavePermittedTheOther) {
  meet();
  bind(alice, bob, 0x4000);
  world.sink.clients.clear();
  alice.send_channel_data(0x4000, "knock");
  EXPECT_TRUE(world.sink.clients.empty());
  EXPECT_EQ(pair.dropped(Drop::no_permission), 1U);
}

TEST_F(PairRelay, OnlyTheMirroredCredentialIsAPeer) {
  talk();
  // Carol for Bob, who has a credential for Alice; and Carol for Alice.
  for (const PeerId& target : {k_bob, k_alice}) {
    const TestClient& other = target == k_bob ? bob : alice;
    pair.give(carol, k_carol, target);
    ASSERT_TRUE(carol.allocate().is_success());
    EXPECT_EQ(carol.permit({other.relayed.to_string()}).error(), 403);
    EXPECT_EQ(carol.bind(0x4000, other.relayed).error(), 403);
    carol.send_indication(other.relayed, as_bytes("x"));
    ASSERT_TRUE(carol.refresh(0).is_success());
  }
  EXPECT_EQ(pair.dropped(Drop::peer_forbidden), 4U);
  EXPECT_EQ(pair.dropped(Drop::no_permission), 2U);
  // Another allocation of Alice for Bob is not Alice's peer: only what is Bob's is.
  pair.give(carol, k_alice, k_bob);
  ASSERT_TRUE(carol.allocate().is_success());
  EXPECT_EQ(alice.bind(0x4003, carol.relayed).error(), 403);
  EXPECT_EQ(alice.bind(0x4004, alice.relayed).error(), 403);
  EXPECT_TRUE(carol.bind(0x4005, bob.relayed).is_success());
}

TEST_F(PairRelay, APermissionOpensNoWayToThirdParties) {
  talk();
  pair.give(carol, k_carol, k_alice);
  ASSERT_TRUE(carol.allocate().is_success());
  world.sink.clients.clear();
  // All relayed addresses share the IP address for which Alice has a permission.
  alice.send_indication(carol.relayed, as_bytes("x"));
  alice.send_indication({alice.relayed.address, 22}, as_bytes("x"));
  alice.send_indication({alice.relayed.address, 3478}, as_bytes("x"));
  alice.send_indication(alice.relayed, as_bytes("x"));
  EXPECT_EQ(pair.dropped(Drop::peer_forbidden), 4U);
  EXPECT_TRUE(world.sink.clients.empty());
  EXPECT_EQ(alice.bind(0x4100, carol.relayed).error(), 403);
  EXPECT_EQ(alice.bind(0x4100, {alice.relayed.address, 3478}).error(), 403);
}

TEST_F(PairRelay, NothingElseOnTheInternetOrHereIsAnybodysPeer) {
  talk();
  for (const std::string_view peer : {"192.0.2.99:7000", "198.51.100.1:53", "203.0.113.2:22", "127.0.0.1:22",
                                      "8.8.8.8:53", "10.0.0.1:80", "169.254.169.254:80"}) {
    EXPECT_EQ(alice.permit({peer}).error(), 403) << peer;
    EXPECT_EQ(alice.permit({bob.relayed.to_string(), peer}).error(), 403) << peer;
    EXPECT_EQ(alice.bind(0x4200, at(peer)).error(), 403) << peer;
    alice.send_indication(at(peer), as_bytes("x"));
  }
  EXPECT_EQ(alice.permit({"[2001:db8::9]:1"}).error(), 443);
  EXPECT_EQ(pair.dropped(Drop::no_permission), 7U);
}

TEST_F(PairRelay, APermissionBeforeThePeerIsThereIsRefusedAndThenGiven) {
  pair.give(alice, k_alice, k_bob);
  pair.give(bob, k_bob, k_alice);
  ASSERT_TRUE(alice.allocate().is_success());
  const std::string somewhere = Endpoint{alice.relayed.address, 1}.to_string();
  EXPECT_EQ(alice.permit({somewhere}).error(), 403);
  ASSERT_TRUE(bob.allocate().is_success());
  EXPECT_TRUE(alice.permit({somewhere}).is_success());  // of the address; the port does not matter
  EXPECT_EQ(alice.bind(0x4000, at(somewhere)).error(), 403);
  EXPECT_TRUE(alice.bind(0x4000, bob.relayed).is_success());
}

TEST_F(PairRelay, WhenThePeerLeavesItsPortIsNobodysAndThenSomebodyElses) {
  ServerConfig config = PairWorld::default_config();
  config.relay_v6.reset();
  config.ports = {.first = 50000, .last = 50001};  // so that the port is used again
  PairWorld small(std::move(config));
  TestClient a(small.world, "192.0.2.10:5000");
  TestClient b(small.world, "192.0.2.11:5000");
  TestClient c(small.world, "192.0.2.12:5000");
  small.give(a, k_alice, k_bob);
  small.give(b, k_bob, k_alice);
  small.give(c, k_carol, k_alice);
  ASSERT_TRUE(a.allocate().is_success() && b.allocate().is_success());
  bind(a, b, 0x4000);
  bind(b, a, 0x4000);
  ASSERT_TRUE(b.refresh(0).is_success());
  small.world.sink.clients.clear();
  a.send_channel_data(0x4000, "x");
  EXPECT_EQ(small.dropped(Drop::peer_forbidden), 1U);
  ASSERT_TRUE(c.allocate().is_success());
  ASSERT_EQ(c.relayed, b.relayed);
  small.world.sink.clients.clear();
  a.send_channel_data(0x4000, "x");
  a.send_indication(c.relayed, as_bytes("x"));
  EXPECT_EQ(small.dropped(Drop::peer_forbidden), 3U);
  EXPECT_TRUE(small.world.sink.clients.empty());
  EXPECT_EQ(a.permit({c.relayed.to_string()}).error(), 403);
  EXPECT_EQ(small.leaks(), 0U);
  EXPECT_EQ(small.world.count<AllocationEnded>(), 1U);
}

TEST_F(PairRelay, APeerThatComesAgainIsReachedAtItsNewAddress) {
  talk();
  world.server.handle_client_closed(world.now, bob.path);
  EXPECT_EQ(alice.permit({bob.relayed.to_string()}).error(), 403);
  const Endpoint old = bob.relayed;
  ASSERT_TRUE(bob.allocate().is_success());
  ASSERT_NE(bob.relayed, old);
  ASSERT_TRUE(alice.bind(0x4010, bob.relayed).is_success());
  ASSERT_TRUE(bob.bind(0x4011, alice.relayed).is_success());
  world.sink.clients.clear();
  alice.send_channel_data(0x4000, "to where it was");
  EXPECT_TRUE(world.sink.clients.empty());
  alice.send_channel_data(0x4010, "x");
  EXPECT_EQ(delivered(bob), 1U);
}

TEST_F(PairRelay, BothFamiliesAndOneOfThemGivenUp) {
  pair.give(alice, k_alice, k_bob);
  pair.give(bob, k_bob, k_alice);
  const auto both = [](stun::Writer& writer) {
    stun::add_address_family(writer, Attribute::additional_address_family, stun::AddressFamily::ipv6);
  };
  ASSERT_TRUE(alice.allocate(both).is_success());
  ASSERT_TRUE(bob.allocate(both).is_success());
  EXPECT_TRUE(alice.permit({"[2001:db8:1::1]:1"}).is_success());
  EXPECT_EQ(alice.permit({"[2001:db8:1::2]:1"}).error(), 403);
  ASSERT_TRUE(bob.request(Method::refresh,
                          [](stun::Writer& writer) {
                            writer.add_u32(Attribute::lifetime, 0);
                            stun::add_address_family(writer, Attribute::requested_address_family,
                                                     stun::AddressFamily::ipv6);
                          })
                  .is_success());
  EXPECT_EQ(alice.permit({"[2001:db8:1::1]:1"}).error(), 403);
  EXPECT_TRUE(alice.permit({bob.relayed.to_string()}).is_success());
}

TEST_F(PairRelay, WithoutAPairThereIsNoAllocation) {
  CredentialSources sources;
  auto users = std::make_unique<StaticUsers>("example.org");
  users->add("user", "pass");
  sources.add(std::move(users));
  World server(PairWorld::default_config(), {}, &sources);
  TestClient client(server);
  const Answer answer = client.allocate();
  EXPECT_EQ(answer.error(), 403);
  EXPECT_TRUE(client.is_signed(answer));
  EXPECT_EQ(server.server.allocations(), 0U);
  EXPECT_EQ(server.quotas.taken(), 0U);
}

TEST_F(PairRelay, AnExpiredOrAlteredOrForeignCredentialIsNobodys) {
  pair.give(alice, k_alice, k_bob);
  const std::string name = alice.username;
  alice.learn();
  alice.username.back() = alice.username.back() == 'A' ? 'Q' : 'A';
  EXPECT_EQ(alice.allocate().error(), 401);
  alice.username = name;
  alice.password.back() ^= 1;
  EXPECT_EQ(alice.allocate().error(), 401);
  alice.password.back() ^= 1;
  ASSERT_TRUE(alice.allocate().is_success());
  // It does not become another's by a valid name with the password of one's own.
  pair.give(bob, k_bob, k_alice);
  bob.username = name;
  EXPECT_EQ(bob.allocate().error(), 401);
  PairCredentials foreign(test_peer(101));
  const auto minted = foreign.mint(world.wall, {k_bob, k_alice}, pair.rng);
  bob.username = minted->username;
  bob.password = minted->password;
  EXPECT_EQ(bob.allocate().error(), 401);
}

TEST_F(PairRelay, NothingPassesFiveMinutesAfterACredentialHasExpired) {
  talk();
  ASSERT_TRUE(alice.refresh(3600).is_success() && bob.refresh(3600).is_success());
  world.advance(3400s);
  for (TestClient* client : {&alice, &bob}) client->nonce.clear();
  bind(alice, bob, 0x4000);
  bind(bob, alice, 0x4001);
  ASSERT_TRUE(alice.refresh(3600).is_success() && bob.refresh(3600).is_success());
  world.advance(250s);
  for (TestClient* client : {&alice, &bob}) client->nonce.clear();
  EXPECT_EQ(alice.permit({bob.relayed.to_string()}).error(), 401);
  EXPECT_EQ(alice.refresh(3600).error(), 401);
  world.sink.clients.clear();
  alice.send_channel_data(0x4000, "still");
  EXPECT_EQ(delivered(bob), 1U);
  world.advance(51s);
  alice.send_channel_data(0x4000, "no longer");
  EXPECT_EQ(delivered(bob), 1U);
}

TEST_F(PairRelay, OnePeerHasSoManyAllocationsWhomeverTheyAreFor) {
  ServerConfig config = PairWorld::default_config();
  config.limits.max_pair_allocations = 3;
  PairWorld small(std::move(config));
  std::deque<TestClient> clients;
  const auto allocate = [&](const PeerId& self, const PeerId& peer) {
    TestClient& client = clients.emplace_back(small.world, "192.0.2." + std::to_string(clients.size() + 10) + ":5000");
    small.give(client, self, peer);
    return client.allocate().error();
  };
  EXPECT_EQ(allocate(k_alice, k_bob), 0);
  EXPECT_EQ(allocate(k_alice, k_bob), 0);
  EXPECT_EQ(allocate(k_alice, k_carol), 0);
  EXPECT_EQ(allocate(k_alice, k_carol), 486);
  EXPECT_EQ(allocate(k_bob, k_alice), 0);  // what others have for her is not hers
  const std::size_t ports = small.world.server.free_ports();
  EXPECT_EQ(allocate(k_alice, k_bob), 486);
  EXPECT_EQ(small.world.server.free_ports(), ports);
  EXPECT_EQ(clients[0].refresh(0).error(), 0);
  EXPECT_EQ(allocate(k_alice, k_carol), 0);
  EXPECT_EQ(small.leaks(), 0U);
}

TEST_F(PairRelay, WhenAllHaveLeftEverythingIsGivenBack) {
  const std::size_t ports = world.server.free_ports();
  talk();
  EXPECT_EQ(world.server.free_ports(), ports - 2);
  EXPECT_EQ(world.count<AllocationMade>(), 2U);
  ASSERT_TRUE(alice.refresh(0).is_success());
  world.advance(601s);
  EXPECT_EQ(world.server.allocations(), 0U);
  EXPECT_EQ(world.server.free_ports(), ports);
  EXPECT_EQ(world.quotas.taken(), 0U);
  EXPECT_EQ(world.count<AllocationEnded>(), 2U);
}

TEST_F(PairRelay, TheShellIsAskedForNothing) {
  meet();
  world.server.handle_client_closed(world.now, alice.path);
  const auto event = world.server.poll_event();
  ASSERT_TRUE(event);
  EXPECT_TRUE(std::holds_alternative<AllocationEnded>(*event));
  EXPECT_FALSE(world.server.poll_event());
}

TEST_F(PairRelay, ThePortsOfTheHostAreNoWayIn) {
  talk();
  for (std::uint64_t id = 0; id < 10; ++id) world.send_from_peer(RelayId{id}, alice.relayed, as_bytes("x"));
  EXPECT_EQ(pair.dropped(Drop::unknown_relay), 10U);
  EXPECT_TRUE(world.sink.clients.empty());
}

TEST_F(PairRelay, ARepeatedAllocateHasTheSameAnswer) {
  pair.give(alice, k_alice, k_bob);
  alice.learn();
  const Bytes request = alice.build(
      Method::allocate, [](stun::Writer& writer) { stun::add_requested_transport(writer, stun::k_transport_udp); });
  const auto first = alice.exchange(request);
  const auto second = alice.exchange(request);
  ASSERT_TRUE(first && second && second->is_success());
  EXPECT_EQ(first->address(Attribute::xor_relayed_address), second->address(Attribute::xor_relayed_address));
  EXPECT_EQ(world.server.allocations(), 1U);
  EXPECT_EQ(alice.allocate().error(), 437);
}

// --- what the owner gives away -------------------------------------------------------------------------------------

class PairBudget : public PairRelay {
 protected:
  void exhaust(PairWorld& relay) {
    TestClient a(relay.world, "192.0.2.10:5000");
    TestClient b(relay.world, "192.0.2.11:5000");
    relay.give(a, k_alice, k_bob);
    relay.give(b, k_bob, k_alice);
    ASSERT_TRUE(a.allocate().is_success() && b.allocate().is_success());
    bind(a, b, 0x4000);
    bind(b, a, 0x4000);
    relay.world.sink.clients.clear();
    for (int i = 0; i < 10; ++i) {
      a.send_channel_data(0x4000, std::string(50, 'x'));
      b.send_channel_data(0x4000, std::string(50, 'x'));
    }
  }
};

TEST_F(PairBudget, EachByteCountsOnceForItsOwner) {
  ServerConfig config = PairWorld::default_config();
  config.limits.server_volume = 600;
  PairWorld relay(std::move(config));
  exhaust(relay);
  EXPECT_EQ(relay.world.sink.clients.size(), 12U);
  EXPECT_EQ(relay.dropped(Drop::volume), 8U);
  EXPECT_EQ(relay.world.server.bytes_relayed(), 600U);
  EXPECT_EQ(relay.world.server.counters().bytes_to_clients, 600U);
  EXPECT_EQ(relay.world.server.counters().bytes_to_peers, 600U);
}

TEST_F(PairBudget, TheRateIsThatOfAllTogether) {
  ServerConfig config = PairWorld::default_config();
  config.limits.server_bandwidth = {.per_second = 100, .burst = 400};
  PairWorld relay(std::move(config));
  exhaust(relay);
  EXPECT_EQ(relay.world.sink.clients.size(), 8U);
  EXPECT_EQ(relay.dropped(Drop::bandwidth), 12U);
}

TEST_F(PairBudget, AnAllocationCountsBothDirections) {
  ServerConfig config = PairWorld::default_config();
  config.limits.allocation_volume = 600;
  PairWorld relay(std::move(config));
  exhaust(relay);
  EXPECT_EQ(relay.world.sink.clients.size(), 12U);
}

TEST_F(PairBudget, TheVolumeIsSetAnewWhileItRuns) {
  talk();
  const auto passes = [&](std::size_t size) {
    world.sink.clients.clear();
    alice.send_channel_data(0x4000, std::string(size, 'x'));
    return delivered(bob) == 1;
  };
  EXPECT_TRUE(passes(1000));
  world.server.set_volume_left(100);
  EXPECT_FALSE(passes(101));
  EXPECT_TRUE(passes(60));
  EXPECT_FALSE(passes(41));
  EXPECT_TRUE(passes(40));
  EXPECT_FALSE(passes(1));
  EXPECT_EQ(world.server.bytes_relayed(), 1100U);
  world.server.set_volume_left(1);  // the next month
  EXPECT_TRUE(passes(1));
  EXPECT_FALSE(passes(1));
  world.server.set_volume_left(std::nullopt);
  EXPECT_TRUE(passes(1000));
}

TEST_F(PairBudget, WithoutVolumeThereAreNoNewAllocations) {
  talk();
  TestClient late(world, "192.0.2.12:5000");
  pair.give(late, k_carol, k_alice);
  world.server.set_volume_left(10);
  EXPECT_FALSE(world.server.is_volume_used_up());
  alice.send_channel_data(0x4000, std::string(11, 'x'));
  EXPECT_TRUE(world.server.is_volume_used_up());
  EXPECT_EQ(late.allocate().error(), 508);
  EXPECT_TRUE(alice.refresh().is_success());  // nobody is thrown out
  world.server.set_volume_left(1000);
  EXPECT_TRUE(late.allocate().is_success());
}

TEST_F(PairRelay, ItsAddressIsLearntWhileItRuns) {
  ServerConfig config = PairWorld::default_config();
  config.relay_v4.reset();
  config.relay_v6.reset();
  PairWorld learning(std::move(config));
  TestClient a(learning.world, "192.0.2.10:5000");
  TestClient b(learning.world, "192.0.2.11:5000");
  learning.give(a, k_alice, k_bob);
  learning.give(b, k_bob, k_alice);
  EXPECT_EQ(a.allocate().error(), 440);
  learning.world.server.set_relay_addresses(ip("198.51.100.1"), std::nullopt);
  ASSERT_TRUE(a.allocate().is_success());
  EXPECT_EQ(a.relayed.address, ip("198.51.100.1"));
  learning.world.server.set_relay_addresses(ip("198.51.100.2"), std::nullopt);
  ASSERT_TRUE(b.allocate().is_success());
  EXPECT_EQ(b.relayed.address, ip("198.51.100.2"));
  EXPECT_TRUE(a.bind(0x4000, b.relayed).is_success());  // what stands keeps its name
  EXPECT_TRUE(b.bind(0x4000, a.relayed).is_success());
}

}  // namespace
}  // namespace dig::turn
