// SPDX-License-Identifier: Apache-2.0
// Binding requests, RFC 5780, and what strangers can make the server do.
#include <gtest/gtest.h>

#include "proto/turn_server/testing/turn_world.hpp"

namespace dig::turn {
namespace {

using namespace testing;

Bytes binding(const Fill& fill = {}) {
  Bytes buffer(2048);
  stun::Writer writer(buffer, {Method::binding, Class::request, {std::byte{1}}});
  if (fill) fill(writer);
  return to_bytes(writer.written());
}

TEST(StunServer, ABindingIsAnsweredWithTheAddressAndNothingElse) {
  for (const std::string_view from : {"192.0.2.10:5000", "[2001:db8::5]:5000"}) {
    World world;
    TestClient client(world, from);
    const auto answer = client.exchange(binding());
    ASSERT_TRUE(answer && answer->is_success());
    EXPECT_EQ(answer->address(Attribute::xor_mapped_address), at(from));
    EXPECT_EQ(answer->message().attributes().size(), 1u);
    EXPECT_FALSE(answer->message().fingerprint());
  }
}

TEST(StunServer, AFingerprintIsCheckedAndAnsweredWithOne) {
  World world;
  TestClient client(world);
  Bytes request = binding([](stun::Writer& writer) { stun::add_fingerprint(writer); });
  const auto answer = client.exchange(request);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(stun::has_valid_fingerprint(answer->message()));
  request.back() ^= std::byte{1};
  EXPECT_FALSE(client.exchange(request));
  EXPECT_EQ(world.server.counters().dropped(Drop::bad_fingerprint), 1u);
}

TEST(StunServer, WhatMustBeUnderstoodAndIsNotIsNamed) {
  World world;
  TestClient client(world);
  const auto answer = client.exchange(binding([](stun::Writer& writer) {
    writer.add_flag(Attribute{0x7FF0});
    writer.add_flag(Attribute{0xC0DE});            // may be ignored
    writer.add_u32(Attribute::change_request, 6);  // this server has one address
  }));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error(), 420);
  std::array<std::uint16_t, 8> types{};
  EXPECT_EQ(stun::decode_unknown_attributes(*answer->message().find(Attribute::unknown_attributes), types), 2u);
  EXPECT_EQ(types[0], 0x7FF0);
  EXPECT_EQ(types[1], 0x0003);
}

TEST(StunServer, AnAgentsChecksAreBindingsToo) {
  World world;
  TestClient client(world);
  EXPECT_TRUE(client
                  .exchange(binding([](stun::Writer& writer) {
                    writer.add_text(Attribute::username, "a:b");
                    writer.add_u32(Attribute::priority, 1);
                    writer.add_u64(Attribute::ice_controlling, 1);
                    writer.add_flag(Attribute::use_candidate);
                  }))
                  ->is_success());
}

ServerConfig two_addresses() {
  ServerConfig config = World::default_config();
  config.discovery = {at("203.0.113.1:3478"), at("203.0.113.2:3479")};
  return config;
}

TEST(StunDiscovery, AnswersComeFromTheAddressThatWasAskedFor) {
  const struct {
    std::uint32_t flags;
    std::string_view origin;
  } cases[] = {{0, "203.0.113.1:3478"}, {2, "203.0.113.1:3479"}, {4, "203.0.113.2:3478"}, {6, "203.0.113.2:3479"}};
  for (const auto& test : cases) {
    World world(two_addresses());
    TestClient client(world);
    world.send_raw(client.path, binding([&](stun::Writer& w) { w.add_u32(Attribute::change_request, test.flags); }));
    ASSERT_EQ(world.sink.clients.size(), 1u);
    EXPECT_EQ(world.sink.clients[0].client.local, at(test.origin));
    const auto answer = world.take_answer();
    EXPECT_EQ(stun::decode_address(*answer->message().find(Attribute::response_origin)), at(test.origin));
    EXPECT_EQ(stun::decode_address(*answer->message().find(Attribute::other_address)), at("203.0.113.2:3479"));
    EXPECT_EQ(stun::decode_address(*answer->message().find(Attribute::mapped_address)), client.path.remote);
  }
}

TEST(StunDiscovery, ResponsePortAndPaddingAndTheirBounds) {
  World world(two_addresses());
  TestClient client(world);
  const auto port = [](std::uint16_t number) {
    return [=](stun::Writer& w) { w.add_u32(Attribute::response_port, static_cast<std::uint32_t>(number) << 16U); };
  };
  world.send_raw(client.path, binding(port(4242)));
  ASSERT_EQ(world.sink.clients.size(), 1u);
  EXPECT_EQ(world.sink.clients[0].client.remote, at("192.0.2.10:4242"));
  EXPECT_EQ(client.exchange(binding(port(0)))->error(), 400);
  EXPECT_EQ(client
                .exchange(binding([&](stun::Writer& w) {
                  port(4242)(w);
                  w.add(Attribute::padding, Bytes(8));
                }))
                ->error(),
            400);
  const auto padded = client.exchange(binding([](stun::Writer& w) { w.add(Attribute::padding, Bytes(1200)); }));
  EXPECT_EQ(padded->message().find(Attribute::padding)->size(), 1200u);
}

// --- what strangers can make it do ---------------------------------------------------------------------------------

TEST(TurnStrangers, TwoHundredThousandRequestsFromSixtyThousandSourcesLeaveNothing) {
  World world;
  std::size_t in = 0;
  std::size_t out = 0;
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    const std::uint32_t source = i % 60'000;
    ClientPath path{StunTransport::udp, at("203.0.113.1:3478"), {}, 0};
    path.remote = {IpAddress::v4({127, static_cast<std::uint8_t>(source >> 16U),
                                  static_cast<std::uint8_t>(source >> 8U), static_cast<std::uint8_t>(source)}),
                   static_cast<std::uint16_t>(1024 + i % 60'000)};
    std::array<std::byte, 64> buffer;
    stun::Writer writer(buffer, {Method::allocate, Class::request, world.rng.array<12>()});
    stun::add_requested_transport(writer, stun::k_transport_udp);
    in += writer.written().size();
    world.send_raw(path, writer.written());
    for (const auto& answer : world.sink.clients) out += answer.bytes.size();
    world.sink.clients.clear();
    world.now = world.now + 5us;
  }
  EXPECT_EQ(world.server.allocations(), 0u);
  EXPECT_TRUE(world.facts.empty());
  EXPECT_EQ(world.server.next_timeout(), std::nullopt);
  // One second: 4096 places of ten replies each, whatever the number of sources.
  EXPECT_LE(out, 4096u * 10u * 130u * 2u);
  EXPECT_GT(in, 0u);
  TestClient honest(world, "192.0.2.10:5000", StunTransport::tcp);
  EXPECT_TRUE(honest.allocate().is_success());
}

TEST(TurnStrangers, AfterTenRepliesASecondNoneIsLargerThanItsRequest) {
  World world;
  TestClient client(world);
  std::array<std::byte, 64> buffer;
  stun::Writer writer(buffer, {Method::allocate, Class::request, {}});
  const auto answers = [&](BytesView request, int times) {
    int count = 0;
    for (int i = 0; i < times; ++i) count += client.exchange(request).has_value() ? 1 : 0;
    return count;
  };
  EXPECT_EQ(answers(writer.written(), 100), 10);
  // Another port is the same source; a request that is large enough is answered all the same.
  client.path.remote.port = 9;
  EXPECT_EQ(answers(binding(), 10), 0);
  EXPECT_EQ(answers(binding([](stun::Writer& w) { w.add(Attribute::software, Bytes(12)); }), 10), 10);
  world.now = world.now + 1s;
  EXPECT_EQ(answers(binding(), 100), 10);
  // A stream has shown its address.
  TestClient stream(world, "192.0.2.10:5000", StunTransport::tcp);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(stream.exchange(writer.written()));
}

// Behind a carrier's NAT stand many clients: after one has authenticated itself, the others are not held back.
TEST(TurnStrangers, AnAddressThatAClientHasProvenHasALargerShareAndAForgedOneCannotEarnIt) {
  World world;
  TestClient forger(world);  // knows user, password and realm, but never sees a nonce that is sent to this address
  TestClient elsewhere(world, "192.0.2.77:5000");
  ASSERT_TRUE(elsewhere.allocate().is_success());
  forger.realm = elsewhere.realm;
  forger.nonce = elsewhere.nonce;
  const auto challenges = [&] {
    int count = 0;
    for (std::uint16_t port = 1; port <= 300; ++port) {
      TestClient neighbour(world, "192.0.2.10:" + std::to_string(port));
      std::array<std::byte, 64> buffer;
      const stun::Writer writer(buffer, {Method::allocate, Class::request, neighbour.next_transaction()});
      count += neighbour.exchange(writer.written()).has_value() ? 1 : 0;
    }
    world.now = world.now + 1s;
    return count;
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(forger.allocate().error(), 438);
  EXPECT_EQ(challenges(), 10);
  TestClient honest(world);
  ASSERT_TRUE(honest.allocate().is_success());
  EXPECT_EQ(challenges(), 300);
  // What authenticates itself is not limited, and does not count.
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(honest.refresh().is_success());
  EXPECT_EQ(challenges(), 300);
  world.now = world.now + 10min;
  EXPECT_EQ(challenges(), 10);
}

}  // namespace
}  // namespace dig::turn
