// SPDX-License-Identifier: Apache-2.0
// Data through the server: what passes, in which form, and what does not.
#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "proto/turn_server/testing/turn_world.hpp"

namespace dig::turn {
namespace {

using namespace testing;

const Endpoint k_peer = at("192.0.2.99:7000");

struct TurnRelay : ::testing::Test {
  void SetUp() override { ASSERT_TRUE(client.allocate().is_success()); }
  [[nodiscard]] RelayId relay() const { return world.relay_of(client.relayed); }
  [[nodiscard]] std::uint64_t dropped(Drop why) const { return world.server.counters().dropped(why); }

  World world;
  TestClient client{world};
};

TEST_F(TurnRelay, ChannelDataGoesBothWaysWithoutACopyOfItsHeader) {
  ASSERT_TRUE(client.bind(0x4000, k_peer).is_success());
  client.send_channel_data(0x4000, "hello");
  ASSERT_EQ(world.sink.peers.size(), 1u);
  EXPECT_EQ(world.sink.peers[0].peer, k_peer);
  EXPECT_EQ(world.sink.peers[0].relay, relay());
  EXPECT_EQ(as_text(world.sink.peers[0].payload), "hello");
  world.sink.clients.clear();
  world.send_from_peer(relay(), k_peer, as_bytes("answer"));
  ASSERT_EQ(world.sink.clients.size(), 1u);
  EXPECT_EQ(to_hex(world.sink.clients[0].bytes), "40000006" + to_hex(as_bytes("answer")));
  EXPECT_EQ(world.sink.clients[0].padding, 0u);
  EXPECT_EQ(world.sink.clients[0].client, client.path);
}

TEST_F(TurnRelay, WithoutAChannelDataTravelsInIndications) {
  ASSERT_TRUE(client.permit({"192.0.2.99:1"}).is_success());  // of the address; the port does not matter
  client.send_indication(k_peer, as_bytes("hello"), true);
  ASSERT_EQ(world.sink.peers.size(), 1u);
  EXPECT_EQ(world.sink.peers[0].peer, k_peer);
  EXPECT_TRUE(world.sink.peers[0].dont_fragment);
  for (std::size_t size = 0; size < 6; ++size) {
    world.sink.clients.clear();
    world.send_from_peer(relay(), k_peer, Bytes(size, std::byte{'x'}));
    ASSERT_EQ(world.sink.clients.size(), 1u);
    Bytes whole = world.sink.clients[0].bytes;
    whole.resize(whole.size() + world.sink.clients[0].padding);
    const auto message = stun::Message::parse(whole);
    ASSERT_TRUE(message) << size;
    EXPECT_TRUE(message->is(Method::data, Class::indication));
    EXPECT_EQ(stun::xor_address(*message, Attribute::xor_peer_address), k_peer);
    EXPECT_EQ(message->find(Attribute::data)->size(), size);
  }
}

TEST_F(TurnRelay, ABatchOfSegmentsIsTakenApartInOrder) {
  ASSERT_TRUE(client.bind(0x4001, k_peer).is_success());
  Bytes batch;
  for (char c = 'a'; c < 'f'; ++c) append(batch, from_hex("40010003").value()), append(batch, Bytes(3, std::byte(c)));
  append(batch, from_hex("4001000178").value());  // the last may be shorter
  world.send_raw(client.path, batch, 7);
  ASSERT_EQ(world.sink.peers.size(), 6u);
  EXPECT_EQ(as_text(world.sink.peers[4].payload), "eee");
  EXPECT_EQ(as_text(world.sink.peers[5].payload), "x");
  world.sink.clients.clear();
  world.send_from_peer(relay(), k_peer, as_bytes("aaabbbc"), 3);
  ASSERT_EQ(world.sink.clients.size(), 3u);
  EXPECT_EQ(to_hex(world.sink.clients[2].bytes), "4001000163");
}

TEST_F(TurnRelay, OnAStreamChannelDataIsPadded) {
  TestClient stream(world, "192.0.2.11:6000", StunTransport::tls);
  ASSERT_TRUE(stream.allocate().is_success());
  ASSERT_TRUE(stream.bind(0x4000, k_peer).is_success());
  for (std::size_t size = 0; size < 5; ++size) {
    world.sink.clients.clear();
    world.send_from_peer(world.relay_of(stream.relayed), k_peer, Bytes(size));
    EXPECT_EQ((world.sink.clients.at(0).bytes.size() + world.sink.clients[0].padding) % 4, 0u);
  }
}

TEST_F(TurnRelay, TwoAllocationsOfOneServerTalkInMemory) {
  TestClient other(world, "192.0.2.11:6000");
  ASSERT_TRUE(other.allocate().is_success());
  ASSERT_TRUE(client.bind(0x4000, other.relayed).is_success());
  client.send_channel_data(0x4000, "knock");  // the other has not permitted it yet
  EXPECT_EQ(dropped(Drop::no_permission), 1u);
  ASSERT_TRUE(other.bind(0x4ABC, client.relayed).is_success());
  world.sink.clients.clear();
  client.send_channel_data(0x4000, "hello");
  EXPECT_TRUE(world.sink.peers.empty());  // nothing through the kernel
  ASSERT_EQ(world.sink.clients.size(), 1u);
  EXPECT_EQ(world.sink.clients[0].client, other.path);
  EXPECT_EQ(to_hex(world.sink.clients[0].bytes), "4abc0005" + to_hex(as_bytes("hello")));
  // Its own relayed address is no way to make packets run in circles.
  ASSERT_TRUE(client.bind(0x4001, client.relayed).is_success());
  world.sink.clients.clear();
  client.send_channel_data(0x4001, "echo");
  EXPECT_EQ(world.sink.clients.size(), 1u);
  EXPECT_TRUE(world.sink.peers.empty());
}

TEST_F(TurnRelay, PortsOfThisHostThatNoAllocationHasAreNobodysPeer) {
  ASSERT_TRUE(client.permit({"203.0.113.1:1"}).is_success());  // where the other allocations are
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{22, 3478, 50000}) {
    client.send_indication({ip("203.0.113.1"), port}, as_bytes("x"));
  }
  EXPECT_EQ(dropped(Drop::own_address), 3u);
  EXPECT_EQ(client.permit({"203.0.113.2:1"}).error(), 403);  // another address of this host
  EXPECT_EQ(client.bind(0x4100, {ip("203.0.113.1"), 3478}).error(), 403);
  EXPECT_TRUE(client.bind(0x4100, {ip("203.0.113.1"), 50000}).is_success());  // an allocation may have it later
  EXPECT_TRUE(world.sink.peers.empty());
}

TEST_F(TurnRelay, AnAddressThatThisHostGetsLaterIsNobodysPeer) {
  const Endpoint late{ip("8.8.4.4"), 4001};
  ASSERT_TRUE(client.bind(0x4000, late).is_success());
  client.send_channel_data(0x4000, "before");
  EXPECT_EQ(world.sink.peers.size(), 1u);
  world.server.set_own_addresses({late.address});
  client.send_channel_data(0x4000, "after");
  EXPECT_EQ(world.sink.peers.size(), 1u);
  EXPECT_EQ(dropped(Drop::peer_forbidden), 1u);
  EXPECT_EQ(client.permit({"8.8.4.4:1"}).error(), 403);
  EXPECT_TRUE(client.permit({"203.0.113.1:1"}).is_success());
  client.send_indication({ip("203.0.113.1"), 3478}, as_bytes("x"));  // the relayed address stays one of this host
  EXPECT_EQ(dropped(Drop::own_address), 1u);
}

TEST_F(TurnRelay, NothingPassesWithoutAPermissionOrAfterIt) {
  client.send_indication(k_peer, as_bytes("x"));
  world.sink.clients.clear();
  world.send_from_peer(relay(), k_peer, as_bytes("x"));
  EXPECT_EQ(dropped(Drop::no_permission), 2u);
  EXPECT_TRUE(world.sink.peers.empty() && world.sink.clients.empty());

  ASSERT_TRUE(client.permit({"192.0.2.99:1"}).is_success());
  world.advance(299s);
  world.send_from_peer(relay(), k_peer, as_bytes("x"));
  EXPECT_EQ(world.sink.clients.size(), 1u);
  world.advance(2s);
  world.sink.clients.clear();
  world.send_from_peer(relay(), k_peer, as_bytes("x"));
  EXPECT_TRUE(world.sink.clients.empty());
}

TEST_F(TurnRelay, AChannelRefreshesItsPermissionAndOutlivesIt) {
  ASSERT_TRUE(client.bind(0x4000, k_peer).is_success());
  world.advance(301s);
  client.send_channel_data(0x4000, "x");
  EXPECT_EQ(dropped(Drop::no_permission), 1u);  // RFC 8656 §12: a channel does not keep a permission alive
  ASSERT_TRUE(client.bind(0x4000, k_peer).is_success());
  client.send_channel_data(0x4000, "x");
  EXPECT_EQ(world.sink.peers.size(), 1u);
}

TEST_F(TurnRelay, NumbersAndPeersStayTogetherUntilFiveMinutesAfterTheirEnd) {
  const Endpoint other = at("192.0.2.98:7000");
  ASSERT_TRUE(client.bind(0x4000, k_peer).is_success());
  EXPECT_EQ(client.bind(0x4000, other).error(), 400);
  EXPECT_EQ(client.bind(0x4001, k_peer).error(), 400);
  ASSERT_TRUE(client.refresh(3600).is_success());
  const auto renew = [&] {
    client.nonce.clear();  // the old one is stale by now
    client.learn();
  };
  world.advance(601s);
  renew();
  client.send_channel_data(0x4000, "x");
  EXPECT_EQ(dropped(Drop::no_channel), 1u);
  EXPECT_EQ(client.bind(0x4001, k_peer).error(), 400);
  world.advance(300s);
  renew();
  EXPECT_TRUE(client.bind(0x4001, k_peer).is_success());
  EXPECT_TRUE(client.bind(0x4000, other).is_success());
}

TEST_F(TurnRelay, WrongChannelBindsAreBad) {
  for (const std::uint16_t number : std::initializer_list<std::uint16_t>{0x3FFF, 0x8000, 0x0000, 0xFFFF}) {
    EXPECT_EQ(client.bind(number, k_peer).error(), 400) << number;
  }
  EXPECT_EQ(client.request(Method::channel_bind).error(), 400);
  EXPECT_EQ(client.request(Method::channel_bind, [](stun::Writer& w) { stun::add_channel_number(w, 0x4000); }).error(),
            400);
  EXPECT_EQ(client.request(Method::create_permission).error(), 400);
  EXPECT_EQ(client.bind(0x4000, at("[2001:db8::9]:1")).error(), 443);
  EXPECT_TRUE(client.bind(0x4FFF, k_peer).is_success());
  EXPECT_TRUE(client.bind(0x7FFF, at("192.0.2.98:1")).is_success());  // a client of RFC 5766
  ServerConfig config = World::default_config();
  config.limits.max_channel_number = k_max_channel;
  World shared(std::move(config));
  TestClient other(shared);
  ASSERT_TRUE(other.allocate().is_success());
  EXPECT_EQ(other.bind(0x5000, k_peer).error(), 400);
}

TEST_F(TurnRelay, PermissionsAreGivenAllOrNone) {
  EXPECT_EQ(client.permit({"192.0.2.1:1", "192.168.1.1:1", "192.0.2.2:1"}).error(), 403);
  client.send_indication(at("192.0.2.1:1"), as_bytes("x"));
  EXPECT_EQ(dropped(Drop::no_permission), 1u);
  EXPECT_TRUE(client.permit({"192.0.2.1:1", "192.0.2.2:1"}).is_success());
  client.send_indication(at("192.0.2.2:1"), as_bytes("x"));
  EXPECT_EQ(world.sink.peers.size(), 1u);
}

TEST_F(TurnRelay, PermissionsForWhichThereIsNoRoomAreNotGivenInPart) {
  ServerConfig config = World::default_config();
  config.limits.max_permissions = 3;
  World small(std::move(config));
  TestClient owner(small);
  ASSERT_TRUE(owner.allocate().is_success());
  ASSERT_TRUE(owner.permit({"192.0.2.1:1", "192.0.2.2:1"}).is_success());
  EXPECT_EQ(owner.permit({"192.0.2.3:1", "192.0.2.4:1"}).error(), 508);
  owner.send_indication(at("192.0.2.3:1"), as_bytes("x"));
  EXPECT_TRUE(small.sink.peers.empty());
  EXPECT_TRUE(owner.permit({"192.0.2.3:1", "192.0.2.1:1", "192.0.2.3:2"}).is_success());  // one of them is new
}

TEST_F(TurnRelay, PermissionsChannelsAndNewPeersAreBounded) {
  const auto peer = [](int i) { return Endpoint{IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(i)}), 1}; };
  for (int i = 0; i < 64; ++i) ASSERT_TRUE(client.bind(static_cast<std::uint16_t>(0x4000 + i), peer(i)).is_success());
  EXPECT_EQ(client.bind(0x4100, peer(200)).error(), 508);
  EXPECT_EQ(client.permit({"192.0.2.201:1"}).error(), 508);
  EXPECT_TRUE(client.permit({"192.0.2.1:1"}).is_success());  // one that is there

  // No faster than a few new addresses a second: a relay is no port scanner.
  ServerConfig config = World::default_config();
  config.limits.new_peers = {.per_second = 5, .burst = 5};
  World slow(std::move(config));
  TestClient scanner(slow);
  ASSERT_TRUE(scanner.allocate().is_success());
  int permitted = 0;
  for (int i = 0; i < 20; ++i) permitted += scanner.permit({peer(i).to_string()}).is_success() ? 1 : 0;
  EXPECT_EQ(permitted, 5);
  slow.advance(1s);
  for (int i = 20; i < 40; ++i) permitted += scanner.permit({peer(i).to_string()}).is_success() ? 1 : 0;
  EXPECT_EQ(permitted, 10);
}

TEST(TurnLimits, BandwidthAndVolumeHoldInBothDirections) {
  ServerConfig config = World::default_config();
  config.limits.allocation_bandwidth = {.per_second = 1000, .burst = 1000};
  config.limits.allocation_volume = 3000;
  World world(std::move(config));
  TestClient client(world);
  ASSERT_TRUE(client.allocate().is_success());
  ASSERT_TRUE(client.bind(0x4000, k_peer).is_success());
  const RelayId relay = world.relay_of(client.relayed);
  const std::string payload(400, 'x');
  client.send_channel_data(0x4000, payload);
  world.send_from_peer(relay, k_peer, as_bytes(payload));
  client.send_channel_data(0x4000, payload);
  EXPECT_EQ(world.sink.peers.size(), 1u);
  EXPECT_EQ(world.server.counters().dropped(Drop::bandwidth), 1u);
  for (int i = 0; i < 20; ++i) {
    world.advance(1s);
    client.send_channel_data(0x4000, payload);
  }
  EXPECT_EQ(world.sink.peers.size(), 6u);  // 7 x 400 bytes in all
  EXPECT_EQ(world.server.counters().dropped(Drop::volume), 15u);
}

TEST(TurnLimits, TheVolumeOfTheServerIsThatOfAllAllocations) {
  ServerConfig config = World::default_config();
  config.limits.server_volume = 1000;
  World world(std::move(config));
  const std::string payload(400, 'x');
  TestClient one(world);
  ASSERT_TRUE(one.allocate().is_success());
  ASSERT_TRUE(one.bind(0x4000, k_peer).is_success());
  one.send_channel_data(0x4000, payload);
  world.send_from_peer(world.relay_of(one.relayed), k_peer, as_bytes(payload));
  EXPECT_EQ(world.sink.peers.size(), 1u);
  one.send_channel_data(0x4000, payload);
  one.send_channel_data(0x4000, std::string(200, 'x'));  // up to the last byte
  one.send_channel_data(0x4000, "x");
  EXPECT_EQ(world.sink.peers.size(), 2u);
  EXPECT_EQ(world.server.counters().dropped(Drop::volume), 2u);
}

TEST_F(TurnRelay, BrokenDataOfClientsIsDroppedAndCounted) {
  ASSERT_TRUE(client.bind(0x4000, k_peer).is_success());
  const std::pair<std::string_view, Drop> cases[] = {
      {"40000005616263", Drop::malformed},      // shorter than it says
      {"400000016100000000", Drop::malformed},  // more than padding behind it
      {"4001000161", Drop::no_channel},         // not bound
      {"50000000", Drop::no_channel},
      {"", Drop::malformed},
      {"00", Drop::malformed},
      {"000100002112a44200000000000000000000000000", Drop::malformed},
      {"010100002112a442000000000000000000000000", Drop::unexpected_class},  // a response
      {"001700002112a442000000000000000000000000", Drop::unexpected_class},  // a Data indication
      {"001600002112a442000000000000000000000000", Drop::malformed},         // Send without anything in it
  };
  for (const auto& [hex, why] : cases) {
    const std::uint64_t before = dropped(why);
    world.sink.clients.clear();
    world.send_raw(client.path, from_hex(hex).value());
    EXPECT_EQ(dropped(why), before + 1) << hex;
    EXPECT_TRUE(world.sink.clients.empty() && world.sink.peers.empty()) << hex;
  }
  TestClient stranger(world, "192.0.2.50:1");
  stranger.send_channel_data(0x4000, "x");
  stranger.send_indication(k_peer, as_bytes("x"));
  EXPECT_EQ(dropped(Drop::no_allocation), 2u);
  world.send_from_peer(RelayId{999}, k_peer, as_bytes("x"));
  EXPECT_EQ(dropped(Drop::unknown_relay), 1u);
}

// --- what becomes of datagrams to peers (RFC 8656 §11.5) -----------------------------------------------------------

TEST_F(TurnRelay, AnIcmpErrorAboutAPeerIsToldInADataIndication) {
  ASSERT_TRUE(client.permit({"192.0.2.99:1"}).is_success());
  world.sink.clients.clear();
  const stun::IcmpError too_big{.type = 3, .code = 4, .data = 1280};
  world.server.handle_peer_error({world.now, relay(), k_peer, too_big}, world.sink);
  ASSERT_EQ(world.sink.clients.size(), 1u);
  EXPECT_EQ(world.sink.clients[0].client, client.path);
  const auto message = stun::Message::parse(world.sink.clients[0].bytes);
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->is(Method::data, Class::indication));
  EXPECT_EQ(stun::xor_address(*message, Attribute::xor_peer_address), k_peer);
  EXPECT_FALSE(message->has(Attribute::data));
  const BytesView value = *message->find(Attribute::icmp);
  EXPECT_EQ(to_hex(value), "0000030400000500");
  EXPECT_EQ(stun::decode_icmp(value), too_big);
  EXPECT_EQ(world.server.counters().peer_errors, 1u);
}

TEST_F(TurnRelay, IcmpErrorsPassWhereDataWouldAndOnlySomeKindsAndNotTooMany) {
  ASSERT_TRUE(client.permit({"192.0.2.99:1"}).is_success());
  world.sink.clients.clear();
  const auto tell = [&](RelayId id, const Endpoint& peer, std::uint8_t type) {
    world.server.handle_peer_error({world.now, id, peer, {.type = type, .code = 1, .data = 0}}, world.sink);
  };
  tell(RelayId{999}, k_peer, 3);
  EXPECT_EQ(dropped(Drop::unknown_relay), 1u);
  tell(relay(), at("192.0.2.98:7000"), 3);
  EXPECT_EQ(dropped(Drop::no_permission), 1u);
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{0, 1, 2, 4, 5, 8, 12}) tell(relay(), k_peer, type);
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{0, 4, 128}) {
    tell(relay(), at("[2001:db8::9]:1"), type);
  }
  EXPECT_EQ(dropped(Drop::peer_error), 10u);
  EXPECT_TRUE(world.sink.clients.empty());
  for (int i = 0; i < 20; ++i) tell(relay(), k_peer, i % 2 == 0 ? 3 : 11);
  EXPECT_EQ(world.sink.clients.size(), 10u);
  EXPECT_EQ(dropped(Drop::peer_error), 20u);
  world.advance(1s);
  tell(relay(), k_peer, 3);
  EXPECT_EQ(world.sink.clients.size(), 11u);
}

TEST_F(TurnRelay, TheFirstOfTwoPeersInASendCounts) {
  ASSERT_TRUE(client.permit({"192.0.2.99:1"}).is_success());
  std::array<std::byte, 256> buffer;
  stun::Writer writer(buffer, {Method::send, Class::indication, client.next_transaction()});
  for (const std::string_view peer : {"192.0.2.99:7000", "127.0.0.1:22"}) {
    stun::add_xor_address(writer, Attribute::xor_peer_address, at(peer), writer.transaction());
  }
  writer.add_text(Attribute::data, "x");
  world.send_raw(client.path, writer.written());
  ASSERT_EQ(world.sink.peers.size(), 1u);
  EXPECT_EQ(world.sink.peers[0].peer, k_peer);
}

// --- whom nobody reaches through this server -----------------------------------------------------------------------

// Every spelling of an IPv4 address.
std::vector<IpAddress> spellings(const std::array<std::uint8_t, 4>& v4) {
  const auto& [a, b, c, d] = v4;
  const auto inverted = [](std::uint8_t octet) { return static_cast<std::uint8_t>(~octet); };
  return {
      IpAddress::v4(v4),
      IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d}),
      IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d}),
      IpAddress::v6({0x20, 0x02, a, b, c, d}),
      IpAddress::v6({0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d}),
      IpAddress::v6({0, 0x64, 0xFF, 0x9B, 0, 1, 0, 0, 0, 0, 0, 0, a, b, c, d}),
      IpAddress::v6({0x20, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, inverted(a), inverted(b), inverted(c), inverted(d)})};
}

TEST(TurnPeerPolicy, NoSpecialAddressIsReachedByAnyEntryPointInAnySpelling) {
  ServerConfig config = World::default_config();
  config.peers = PeerPolicy();  // as shipped
  World world(std::move(config));
  TestClient client(world);
  ASSERT_TRUE(client
                  .allocate([](stun::Writer& writer) {
                    stun::add_address_family(writer, Attribute::additional_address_family, stun::AddressFamily::ipv6);
                  })
                  .is_success());
  std::vector<IpAddress> forbidden;
  for (const std::array<std::uint8_t, 4> v4 : std::initializer_list<std::array<std::uint8_t, 4>>{
           {0, 0, 0, 0},      {0, 1, 2, 3},         {10, 0, 0, 1},        {100, 64, 0, 1},     {127, 0, 0, 1},
           {127, 1, 2, 3},    {169, 254, 169, 254}, {172, 16, 0, 1},      {172, 31, 255, 255}, {192, 0, 0, 1},
           {192, 0, 2, 1},    {192, 88, 99, 1},     {192, 168, 0, 1},     {198, 18, 0, 1},     {198, 51, 100, 1},
           {203, 0, 113, 77}, {224, 0, 0, 1},       {239, 255, 255, 255}, {240, 0, 0, 1},      {255, 255, 255, 255}}) {
    for (const IpAddress& spelling : spellings(v4)) forbidden.push_back(spelling);
  }
  // A public IPv4 address inside IPv6 is refused too: there is a relay of its own family for it.
  const auto hidden = spellings({8, 8, 8, 8});
  forbidden.insert(forbidden.end(), hidden.begin() + 1, hidden.end());
  for (const std::string_view text : {"::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "ff0e::1",
                                      "100::1", "2001:2::1", "2001:10::1", "3fff::1", "5f00::1"}) {
    forbidden.push_back(ip(text));
  }
  for (const IpAddress& address : forbidden) {
    const Endpoint peer{address, 80};
    EXPECT_EQ(client.permit({peer.to_string()}).error(), 403) << peer.to_string();
    EXPECT_EQ(client.bind(0x4000, peer).error(), 403) << peer.to_string();
    client.send_indication(peer, as_bytes("x"));
    client.send_channel_data(0x4000, "x");
  }
  EXPECT_TRUE(world.sink.peers.empty());
  EXPECT_TRUE(client.permit({"8.8.8.8:53", "1.1.1.1:53"}).is_success());
  EXPECT_TRUE(client.permit({"[2606:4700:4700::1111]:53"}).is_success());
}

TEST(TurnPeerPolicy, WhatItsOwnerAllowsIsAllowedAndNothingBesides) {
  const PeerPolicy policy({Cidr::parse("127.0.0.0/8").value(), Cidr::parse("fd00::/8").value()});
  EXPECT_TRUE(policy.permits(ip("127.0.0.1")));
  EXPECT_TRUE(policy.permits(ip("fd00::1")));
  EXPECT_FALSE(policy.permits(ip("::ffff:127.0.0.1")));
  EXPECT_FALSE(policy.permits(ip("::1")));
  EXPECT_FALSE(policy.permits(ip("10.0.0.1")));
  EXPECT_FALSE(policy.permits(ip("fc00::1")));
}

}  // namespace
}  // namespace dig::turn
