// SPDX-License-Identifier: Apache-2.0
// Bad input as a table: what it is, where it has hurt a server before, and what comes of it here. What the codec alone
// decides is in wire/stun_*_test.cpp, forbidden peers in every spelling are in server_relay_test.cpp, the door of DTLS
// is in crypto/dtls_listener_test.cpp.
#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "proto/turn_server/testing/turn_world.hpp"

namespace dig::turn {
namespace {

using namespace testing;

constexpr int k_success = 0;
constexpr int k_silence = -1;  // no answer, and nothing relayed

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}
// A message with these attributes, its length right.
std::string message(std::string_view type, const std::string& attributes) {
  const auto size = static_cast<std::uint16_t>(attributes.size() / 2);
  const std::array length{static_cast<std::byte>(size >> 8U), static_cast<std::byte>(size)};
  return std::string(type) + to_hex(length) + "2112a442" + repeated("00", 12) + attributes;
}

struct RawRow {
  std::string_view name;
  std::string_view origin;
  std::string hex;
  int outcome = k_silence;
  std::optional<Drop> cause{};
};

std::vector<RawRow> raw_rows() {
  const std::string udp = "0019000411000000";
  const std::string mac = "00080014" + repeated("aa", 20);
  const std::string realm_and_nonce = "00140001720000000015000161000000";
  const std::string hex_a = repeated("61", 512);
  return {
      {"nothing", "", "", k_silence, Drop::malformed},
      {"one byte", "", "00", k_silence, Drop::malformed},
      {"first bits 10", "RFC 8489 5", "8001" + message("0001", "").substr(4), k_silence, Drop::malformed},
      {"first bits 11", "RFC 8489 5", "c001" + message("0001", "").substr(4), k_silence, Drop::malformed},
      {"all zero", "", repeated("00", 20), k_silence, Drop::malformed},
      {"all ones", "", repeated("ff", 20), k_silence, Drop::malformed},
      {"length 1", "", "000100012112a442" + repeated("00", 13), k_silence, Drop::malformed},
      {"length beyond the datagram", "", "000100042112a442" + repeated("00", 12), k_silence, Drop::malformed},
      {"length below the datagram", "", message("0001", "") + "00000000", k_silence, Drop::malformed},
      {"length 65532", "", "0001fffc2112a442" + repeated("00", 12), k_silence, Drop::malformed},
      {"no magic cookie", "RFC 3489", "0001000000000000" + repeated("00", 12), k_silence, Drop::malformed},
      {"an indication of no method", "", message("3eff", ""), k_silence, Drop::unexpected_class},
      {"a success", "", message("0101", ""), k_silence, Drop::unexpected_class},
      {"an error", "", message("0113", ""), k_silence, Drop::unexpected_class},
      {"a Data indication", "", message("0017", ""), k_silence, Drop::unexpected_class},
      {"a Send indication of a stranger", "", message("0016", ""), k_silence, Drop::no_allocation},
      {"ChannelData of a stranger", "", "4000000161000000", k_silence, Drop::no_allocation},
      {"a bare request of 20 bytes", "coturn 4.17: answered 3.6 times as large", message("0001", ""), k_success},
      {"an Allocate without anything", "coturn #1999, #2024, #2036: state before credentials", message("0003", ""),
       401},
      {"a Refresh of a stranger", "coturn #2036", message("0004", ""), 401},
      {"a ConnectionBind of a stranger", "RFC 6062; coturn #2024", message("000b", "002a000400000001"), 401},
      {"a request of no method", "", message("0e0f", ""), 401},
      {"an attribute beyond the end", "", message("0003", "0019000811000000"), k_silence, Drop::malformed},
      {"an attribute of 65535 bytes", "", message("0003", "0019ffff11000000"), k_silence, Drop::malformed},
      {"half an attribute header", "", "000300022112a442" + repeated("00", 12) + "0019", k_silence, Drop::malformed},
      {"padding that is not zero", "must be ignored", message("0001", "8022000161ffffff"), k_success},
      {"65 attributes", "unbounded lists", message("0003", repeated("80220000", 65)), k_silence, Drop::malformed},
      {"a SOFTWARE of 1 KiB", "", message("0001", "80220400" + repeated("61", 1024)), k_success},
      {"UNKNOWN-ATTRIBUTES of odd size", "", message("0001", "000a000300010200"), k_success},
      {"an ERROR-CODE in a request", "", message("0001", "00090004000007ff"), k_success},
      {"an unknown attribute in a Binding", "", message("0001", "7ff00000"), 420},
      {"sixty unknown attributes", "the list is bounded", message("0001", repeated("7ff00000", 60)), 420},
      {"an ACCESS-TOKEN of 1 KiB", "CVE-2026-43994: stack overflow before credentials",
       message("0003", udp + "001b0400" + repeated("41", 1024)), 401},
      {"a MESSAGE-INTEGRITY of 19 bytes", "", message("0003", "00080013" + repeated("aa", 20)), k_silence,
       Drop::malformed},
      {"a MESSAGE-INTEGRITY of 21 bytes", "", message("0003", "00080015" + repeated("aa", 24)), k_silence,
       Drop::malformed},
      {"a MESSAGE-INTEGRITY of nobody", "", message("0003", udp + mac), 400},
      {"two of them", "", message("0003", udp + mac + mac), 400},
      {"a MESSAGE-INTEGRITY-SHA256 of 4 bytes", "RFC 8489 14.6", message("0003", "001c0004aaaaaaaa"), k_silence,
       Drop::malformed},
      {"a MESSAGE-INTEGRITY-SHA256 of 12 bytes", "RFC 8489 14.6", message("0003", "001c000c" + repeated("aa", 12)),
       k_silence, Drop::malformed},
      {"a MESSAGE-INTEGRITY-SHA256 of 15 bytes", "RFC 8489 14.6", message("0003", "001c000f" + repeated("aa", 16)),
       k_silence, Drop::malformed},
      {"a MESSAGE-INTEGRITY-SHA256 of 36 bytes", "", message("0003", "001c0024" + repeated("aa", 36)), k_silence,
       Drop::malformed},
      {"a wrong FINGERPRINT", "", message("0001", "8028000400000000"), k_silence, Drop::bad_fingerprint},
      {"something behind FINGERPRINT", "", message("0001", "802800040000000080220000"), k_silence, Drop::malformed},
      {"a USERNAME without a byte", "", message("0003", "00060000" + mac), 400},
      {"a USERNAME of 512 bytes", "RFC 8489 14.3", message("0003", "00060200" + hex_a + realm_and_nonce + mac), 400},
      {"a USERNAME for printf", "coturn GHSA-4g7c-p5wg-j4hp",
       message("0003", "00060008256e2573256e2573" + realm_and_nonce + mac), 438},
  };
}

TEST(TurnHostile, StrangersGetWhatTheTableSaysAndChangeNothing) {
  for (const RawRow& row : raw_rows()) {
    SCOPED_TRACE(std::string(row.name) + ", " + std::string(row.origin));
    for (const std::size_t offset : {0U, 1U}) {  // an odd address: coturn eaa9e792, #1994 read misaligned
      World world;
      TestClient client(world);
      Bytes buffer(offset);
      append(buffer, from_hex(row.hex).value());
      const auto answer = client.exchange(BytesView(buffer).subspan(offset));
      EXPECT_EQ(answer ? answer->error() : k_silence, row.outcome);
      if (row.cause) {
        EXPECT_EQ(world.server.counters().dropped(*row.cause), 1u);
      }
      EXPECT_EQ(world.server.allocations(), 0u);
      EXPECT_EQ(world.server.next_timeout(), std::nullopt);
      EXPECT_TRUE(world.facts.empty() && world.sink.peers.empty());
    }
  }
}

TEST(TurnHostile, OtherProtocolsEndTheirStreamOrSayNothing) {
  for (const std::string_view first : {std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),  // TLS
                                       std::string_view("\0\1\0\0SSH-2.0-OpenSSH_9.2\r\n", 24)}) {
    World world;
    TestClient client(world, "192.0.2.10:5000", StunTransport::tcp);
    EXPECT_FALSE(client.exchange(as_bytes(first)));
    EXPECT_EQ(world.count<CloseClient>(), 1u);
  }
  // "GET " and "SSH-" are ChannelData in their form: of no allocation here, and in the framer never whole.
  for (const std::string_view first : {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"}) {
    World world;
    TestClient client(world, "192.0.2.10:5000", StunTransport::tcp);
    EXPECT_FALSE(client.exchange(as_bytes(first)));
    EXPECT_EQ(world.server.counters().dropped(Drop::no_allocation), 1u);
  }
}

struct RequestRow {
  std::string_view name;
  std::string_view origin;
  Method method;
  Fill fill;
  int outcome = 400;
};

Fill value(Attribute type, std::string_view hex) {
  return [=, bytes = from_hex(hex).value()](stun::Writer& writer) { writer.add(type, bytes); };
}
Fill all(std::vector<Fill> fills) {
  return [=](stun::Writer& writer) {
    for (const Fill& fill : fills) fill(writer);
  };
}

std::vector<RequestRow> request_rows() {
  const Fill number = value(Attribute::channel_number, "40000000");
  const Fill peer = [](stun::Writer& writer) {
    stun::add_xor_address(writer, Attribute::xor_peer_address, at("192.0.2.99:7000"), writer.transaction());
  };
  const auto permit = [](std::string_view hex) { return value(Attribute::xor_peer_address, hex); };
  return {
      {"a second Allocate", "", Method::allocate, value(Attribute::requested_transport, "11000000"), 437},
      {"a peer of family 0", "", Method::create_permission, permit("0000000000000000")},
      {"a peer of family 3", "", Method::create_permission, permit("0003000000000000")},
      {"IPv4 in 20 bytes", "", Method::create_permission, permit("00010000" + repeated("00", 16))},
      {"IPv6 in 8 bytes", "", Method::create_permission, permit("0002000000000000")},
      {"a peer of no byte", "", Method::create_permission, permit("")},
      {"no peer", "", Method::create_permission, {}},
      {"a good peer before a broken one", "all or none", Method::create_permission,
       all({peer, permit("0003000000000000")})},
      {"a peer without a port", "permissions are of addresses", Method::create_permission,
       [](stun::Writer& w) {
         stun::add_xor_address(w, Attribute::xor_peer_address, at("192.0.2.99:0"), w.transaction());
       },
       k_success},
      {"a channel without a peer", "", Method::channel_bind, number},
      {"a peer without a channel", "", Method::channel_bind, peer},
      {"channel 0x3FFF", "", Method::channel_bind, all({value(Attribute::channel_number, "3fff0000"), peer})},
      {"channel 0x8000", "", Method::channel_bind, all({value(Attribute::channel_number, "80000000"), peer})},
      {"channel 0xFFFF", "", Method::channel_bind, all({value(Attribute::channel_number, "ffff0000"), peer})},
      {"a channel of two bytes", "", Method::channel_bind, all({value(Attribute::channel_number, "4000"), peer})},
      {"a LIFETIME of two bytes", "", Method::refresh, value(Attribute::lifetime, "0258")},
      {"the longest LIFETIME", "", Method::refresh, value(Attribute::lifetime, "ffffffff"), k_success},
      {"a family of no relay", "", Method::refresh, value(Attribute::requested_address_family, "02000000"), 443},
      {"family 255", "", Method::refresh, value(Attribute::requested_address_family, "ff000000"), 440},
      {"an ICMP attribute", "of servers only; may be ignored", Method::refresh, value(Attribute{0x8004}, "00000000"),
       k_success},
      {"a MOBILITY-TICKET", "coturn GHSA-f6hc-79w3-p8pq, a97f1924: quotas by resuming", Method::refresh,
       value(Attribute{0x8030}, repeated("00", 32)), k_success},
      {"an ACCESS-TOKEN", "CVE-2026-43994", Method::refresh, value(Attribute{0x001B}, repeated("41", 256)), 420},
      {"a Connect", "RFC 6062; CVE-2026-73212: the peer policy was not asked", Method{0x00A}, peer},
      {"a ConnectionBind", "RFC 6062", Method{0x00B}, {}, 400},
      {"half of the algorithms", "RFC 8489 9.2.4", Method::refresh, value(Attribute::password_algorithm, "00020000")},
      {"the other half", "RFC 8489 9.2.4", Method::refresh, value(Attribute::password_algorithms, "0002000000010000")},
  };
}

TEST(TurnHostile, UsersGetWhatTheTableSays) {
  for (const RequestRow& row : request_rows()) {
    SCOPED_TRACE(std::string(row.name) + ", " + std::string(row.origin));
    World world;
    TestClient client(world);
    ASSERT_TRUE(client.allocate().is_success());
    const std::size_t ports = world.server.free_ports();
    EXPECT_EQ(client.request(row.method, row.fill).error(), row.outcome);
    EXPECT_EQ(world.server.allocations(), 1u);
    EXPECT_EQ(world.server.free_ports(), ports);
    client.send_indication(at("192.0.2.99:7000"), as_bytes("x"));
    EXPECT_EQ(world.sink.peers.size(), row.method == Method::create_permission && row.outcome == k_success ? 1u : 0u);
  }
}

// coturn ab762f33: somebody on the path adds attributes behind the integrity attribute, which covers only what is
// before.
TEST(TurnHostile, WhatStandsBehindTheIntegrityIsNotHeard) {
  World world;
  TestClient client(world);
  ASSERT_TRUE(client.allocate().is_success());
  const auto with_tail = [&](Method method, std::string_view tail) {
    Bytes bytes = client.build(method);
    append(bytes, from_hex(tail).value());
    bytes[2] = static_cast<std::byte>((bytes.size() - stun::k_header_size) >> 8U);
    bytes[3] = static_cast<std::byte>(bytes.size() - stun::k_header_size);
    return client.exchange(bytes);
  };
  const auto refreshed = with_tail(Method::refresh, "000d000400000000");  // LIFETIME 0
  ASSERT_TRUE(refreshed && refreshed->is_success());
  EXPECT_EQ(refreshed->lifetime(), 600u);
  EXPECT_EQ(world.server.allocations(), 1u);
  EXPECT_EQ(with_tail(Method::create_permission, "001200080001000000000000")->error(), 400);  // XOR-PEER-ADDRESS
}

TEST(TurnHostile, NoncesThatWereTouchedAreWorthNothing) {
  World world;
  TestClient client(world);
  client.learn();
  const std::string given = client.nonce;
  std::string upper = given;
  std::ranges::transform(upper, upper.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
  for (const std::string& nonce : {upper, given + "A", given.substr(1), given.substr(0, given.size() - 1),
                                   std::string(128, 'n'), std::string(763, 'n'), std::string("obMatJos2gAAA")}) {
    client.nonce = nonce;
    EXPECT_EQ(client.allocate().error(), 438) << nonce;
  }
  client.nonce = given;
  client.uses_userhash = true;
  client.username = "nobody";
  EXPECT_EQ(client.allocate().error(), 401);
}

// coturn 4adbd82e: each EVEN-PORT with R=0 cost a port for good.
TEST(TurnHostile, TwentyThousandEvenPortsLeakNone) {
  World world;
  TestClient client(world);
  const std::size_t ports = world.server.free_ports();
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(client.allocate([&](stun::Writer& w) { stun::add_even_port(w, i % 100 == 0); }).is_success()) << i;
    ASSERT_TRUE(client.refresh(0).is_success());
  }
  world.advance(31s);  // the reservations of R=1
  EXPECT_EQ(world.server.free_ports(), ports);
}

// turn-rs #175 sent the padding on; coturn #1984, pjproject #4841 and CVE-2020-4067 sent memory in it.
TEST(TurnHostile, PaddingIsNotDataAndNotMemory) {
  World world;
  TestClient client(world);
  const Endpoint peer = at("192.0.2.99:7000");
  ASSERT_TRUE(client.allocate().is_success());
  ASSERT_TRUE(client.bind(0x4000, peer).is_success());
  world.send_raw(client.path, from_hex("4000000161ffffff").value());
  world.send_raw(client.path, from_hex("40000000").value());  // a datagram without a byte is one
  ASSERT_EQ(world.sink.peers.size(), 2u);
  EXPECT_EQ(as_text(world.sink.peers[0].payload), "a");
  EXPECT_TRUE(world.sink.peers[1].payload.empty());
}

// A channel number, a port and a token that nobody can foretell (coturn 11fc465f, CVE-2025-69217).
TEST(TurnHostile, PortsAndNoncesAreDrawn) {
  World world;
  std::set<std::uint16_t> distances;
  std::uint16_t last = 0;
  for (int i = 0; i < 20; ++i) {
    TestClient client(world, "192.0.2.10:" + std::to_string(6000 + i));
    ASSERT_TRUE(client.allocate().is_success());
    distances.insert(static_cast<std::uint16_t>(client.relayed.port - std::exchange(last, client.relayed.port)));
    world.advance(1s);
  }
  EXPECT_GT(distances.size(), 15u);
  SeededRng first(1);
  SeededRng second(2);
  const Endpoint address = at("192.0.2.10:5000");
  EXPECT_NE(NonceMaker(first, 10min).make(world.now, address), NonceMaker(second, 10min).make(world.now, address));
}

}  // namespace
}  // namespace dig::turn
