// SPDX-License-Identifier: Apache-2.0
#include "proto/one_port/datagram_router.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "base/base_encoding.hpp"
#include "base/byte_writer.hpp"
#include "base/rng.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::one_port {
namespace {

using Tuple = DatagramState::Tuple;
using enum Destination;

constexpr Instant k_start{1000s};
const Endpoint k_local{IpAddress::v4({192, 0, 2, 1}), 443};
Endpoint remote(std::uint16_t port) { return {IpAddress::v4({198, 51, 100, 7}), port}; }

// What other machines would know.
class World final : public DatagramState {
 public:
  static constexpr std::size_t connection_id_size = 8;

  [[nodiscard]] Tuple find(const Endpoint& local, const Endpoint& from) const override {
    const auto found = tuples.find(from);
    return local == k_local && found != tuples.end() ? found->second : Tuple{};
  }
  [[nodiscard]] bool is_channel_bound(Instant now, const Endpoint& local, const Endpoint& from,
                                      std::uint16_t channel) const override {
    return now == k_start && local == k_local && channels.contains({from, channel});
  }
  [[nodiscard]] bool begins_with_connection_id(BytesView bytes) const override {
    return bytes.size() >= connection_id_size && connection_ids.contains(to_bytes(bytes.first(connection_id_size)));
  }
  [[nodiscard]] bool is_ice_fragment(std::string_view fragment) const override {
    return ice_fragments.contains(std::string(fragment));
  }
  [[nodiscard]] bool is_ice_transaction(const stun::TransactionId& transaction) const override {
    return ice_transactions.contains(transaction);
  }

  std::map<Endpoint, Tuple> tuples;
  std::set<std::pair<Endpoint, std::uint16_t>> channels;
  std::set<Bytes> connection_ids;
  std::set<std::string> ice_fragments;
  std::set<stun::TransactionId> ice_transactions;
};

Destination routed(const World& world, const Endpoint& from, BytesView datagram) {
  DatagramRouter router(world);
  Destination destination = refused;
  router.route({.now = k_start, .local = k_local, .remote = from, .bytes = datagram},
               [&](Destination to, const Received& part) {
                 EXPECT_EQ(destination, refused) << "delivered twice";
                 EXPECT_TRUE(equal(part.bytes, datagram));
                 destination = to;
               });
  return destination;
}

Bytes unhex(std::string_view digits) { return from_hex(digits).value(); }
Bytes data_on(std::uint16_t channel, BytesView data, std::size_t padding = 0) {
  Bytes out(turn::k_channel_header_size);
  turn::encode_channel_header(channel, data.size(), std::span(out).first<turn::k_channel_header_size>());
  append(out, data);
  out.resize(out.size() + padding);
  return out;
}
Bytes stun_message(const stun::Header& header, std::string_view username = {}) {
  Bytes out(200);
  stun::Writer writer(out, header);
  if (!username.empty()) writer.add_text(stun::Attribute::username, username);
  out.resize(writer.finish().value());
  return out;
}

// --- by the first byte ----------------------------------------------------------------------------------------------

// What a datagram with this first byte and nothing else of a meaning is, on a 5-tuple of which so much is known.
Destination of_first_byte(unsigned first, const Tuple& tuple) {
  if (first < 20 || (first >= 128 && first < 192)) return refused;
  if (first < 64) return tuple.is_ice_validated ? webrtc : turn_dtls;
  if (first < 80) return tuple.has_allocation && !tuple.has_quic_connection ? channel_data : quic;
  return quic;
}

TEST(DatagramRouter, EveryFirstByteHasItsPlace) {
  World world;
  for (unsigned known = 0; known < 8; ++known) {
    const Tuple tuple{(known & 1U) != 0, (known & 2U) != 0, (known & 4U) != 0};
    world.tuples[remote(1)] = tuple;
    for (unsigned first = 0; first < 256; ++first) {
      const Bytes datagram = Bytes{static_cast<std::byte>(first)};
      Bytes longer(100, std::byte{0x55});
      longer[0] = static_cast<std::byte>(first);
      EXPECT_EQ(routed(world, remote(1), datagram), of_first_byte(first, tuple)) << first << " " << known;
      EXPECT_EQ(routed(world, remote(1), longer), of_first_byte(first, tuple)) << first << " " << known;
    }
  }
}

TEST(DatagramRouter, WhatIsRefusedIsCountedByName) {
  const World world;
  DatagramRouter router(world);
  for (const char* datagram :
       {"", "00010000", "0001000011111111222222222222222222222222", "05", "80c8", "bf00000000"}) {
    router.route({.now = k_start, .local = k_local, .remote = remote(1), .bytes = unhex(datagram)},
                 [](Destination, const Received&) { ADD_FAILURE(); });
  }
  const auto& refusals = router.snapshot().refused;
  EXPECT_EQ(refusals[static_cast<std::size_t>(Refusal::empty)], 1u);
  EXPECT_EQ(refusals[static_cast<std::size_t>(Refusal::not_stun)], 2u) << "STUN of RFC 3489 among them";
  EXPECT_EQ(refusals[static_cast<std::size_t>(Refusal::reserved)], 1u);
  EXPECT_EQ(refusals[static_cast<std::size_t>(Refusal::rtp)], 2u);
  EXPECT_EQ(router.snapshot().datagrams[static_cast<std::size_t>(refused)], 6u);
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < k_refusals; ++i) names.insert(to_text(static_cast<Refusal>(i)));
  EXPECT_EQ(names.size(), k_refusals);
}

TEST(DatagramRouter, VersionNegotiationReachesWhoDials) {
  World world;
  const Bytes packet = unhex("8000000000080102030405060708000000000001");
  EXPECT_EQ(routed(world, remote(1), packet), refused);
  world.tuples[remote(1)] = {.has_quic_connection = true};
  EXPECT_EQ(routed(world, remote(1), packet), quic);
  EXPECT_EQ(routed(world, remote(1), unhex("8000000001080102")), refused) << "of a version: the fixed bit must be set";
  EXPECT_EQ(routed(world, remote(1), unhex("80000000")), refused);
}

// --- STUN -----------------------------------------------------------------------------------------------------------

TEST(DatagramRouter, RequestsOfIceAreToldByTheirUsername) {
  World world;
  world.ice_fragments.insert("ours");
  const auto request = [&](stun::Method method, std::string_view username) {
    return routed(world, remote(1), stun_message({.method = method}, username));
  };
  EXPECT_EQ(request(stun::Method::binding, ""), stun_server);
  EXPECT_EQ(request(stun::Method::binding, "ours:theirs"), ice);
  EXPECT_EQ(request(stun::Method::binding, "ours:"), ice);
  for (const char* username : {"theirs:ours", "ours", "our:s", ":ours", "oursx:y", "1700000000:ours"}) {
    EXPECT_EQ(request(stun::Method::binding, username), stun_server) << username;
  }
  EXPECT_EQ(request(stun::Method::allocate, "ours:theirs"), stun_server) << "ICE knows no other method";
  Bytes cut = stun_message({}, "ours:theirs");
  cut.resize(cut.size() - 4);
  EXPECT_EQ(routed(world, remote(1), cut), stun_server) << "which drops it as malformed";
}

TEST(DatagramRouter, AnswersGoToWhoAsked) {
  World world;
  stun::Header header{.method = stun::Method::binding, .transaction = {std::byte{1}}};
  world.ice_transactions.insert(header.transaction);
  for (const stun::Class answer : {stun::Class::success, stun::Class::error}) {
    header.message_class = answer;
    header.transaction = {std::byte{1}};
    header.method = stun::Method::binding;
    EXPECT_EQ(routed(world, remote(1), stun_message(header)), ice);
    header.transaction = {std::byte{2}};
    EXPECT_EQ(routed(world, remote(1), stun_message(header)), stun_client);
    header = {.method = stun::Method::allocate, .message_class = answer, .transaction = {std::byte{1}}};
    EXPECT_EQ(routed(world, remote(1), stun_message(header)), stun_client);
  }
}

TEST(DatagramRouter, IndicationsHaveTheirDirection) {
  World world;
  const auto indication = [&](stun::Method method) {
    return routed(world, remote(1), stun_message({.method = method, .message_class = stun::Class::indication}));
  };
  EXPECT_EQ(indication(stun::Method::send), stun_server);
  EXPECT_EQ(indication(stun::Method::data), stun_client);
  EXPECT_EQ(indication(stun::Method::binding), stun_server);
  world.tuples[remote(1)] = {.is_ice_validated = true};
  EXPECT_EQ(indication(stun::Method::binding), ice);
  EXPECT_EQ(indication(stun::Method::send), stun_server);
}

// --- ChannelData and QUIC -------------------------------------------------------------------------------------------

class OneTuple : public ::testing::Test {
 protected:
  Destination of(BytesView datagram) const { return routed(world, remote(1), datagram); }
  void know(const Tuple& tuple) { world.tuples[remote(1)] = tuple; }
  OneTuple() {
    world.channels = {{remote(1), 0x4000}, {remote(1), 0x4FFF}, {remote(2), 0x4001}};
    world.connection_ids.insert(id);
  }
  World world;
  const Bytes id = unhex("1122334455667788");
};

TEST_F(OneTuple, WithoutAnAllocationThereIsNoChannelData) {
  EXPECT_EQ(of(data_on(0x4000, as_bytes("data"))), quic);
  know({.has_quic_connection = true});
  EXPECT_EQ(of(data_on(0x4000, as_bytes("data"))), quic);
}

TEST_F(OneTuple, WithAnAllocationAloneItIsChannelData) {
  know({.has_allocation = true});
  EXPECT_EQ(of(data_on(0x4000, as_bytes("data"))), channel_data);
  EXPECT_EQ(of(data_on(0x4002, as_bytes("data"))), channel_data) << "not bound: dropped there by name";
  EXPECT_EQ(of(unhex("4000ffff")), channel_data);
}

TEST_F(OneTuple, AQuicConnectionMayMoveToATupleWithAnAllocation) {
  know({.has_allocation = true});
  Bytes packet{std::byte{0x41}};
  append(packet, id);
  packet.resize(100);
  EXPECT_EQ(of(packet), quic);
  EXPECT_EQ(of(BytesView(packet).first(8)), channel_data) << "too short for a connection id";
  packet[1] ^= std::byte{1};
  EXPECT_EQ(of(packet), channel_data);
}

TEST_F(OneTuple, WithBothChannelDataMustBeBoundAndFit) {
  know({.has_allocation = true, .has_quic_connection = true});
  for (const std::uint16_t channel : {std::uint16_t{0x4000}, std::uint16_t{0x4FFF}}) {
    for (std::size_t padding = 0; padding <= 3; ++padding) {
      EXPECT_EQ(of(data_on(channel, as_bytes("data"), padding)), channel_data) << padding;
      EXPECT_EQ(of(data_on(channel, {}, padding)), channel_data) << padding;
    }
    EXPECT_EQ(of(data_on(channel, as_bytes("data"), 4)), quic);
    Bytes cut = data_on(channel, as_bytes("data"));
    cut.pop_back();
    EXPECT_EQ(of(cut), quic) << "shorter than its length";
    EXPECT_EQ(of(BytesView(cut).first(3)), quic);
  }
  EXPECT_EQ(of(data_on(0x4001, as_bytes("data"))), quic) << "bound by somebody else";
  EXPECT_EQ(of(data_on(0x5000, as_bytes("data"))), quic) << "no channel of RFC 8656";
}

// The worst case: a connection id that reads as a bound channel with a length that fits.
TEST_F(OneTuple, AConnectionIdOfOursWinsOverABoundChannelThatFits) {
  know({.has_allocation = true, .has_quic_connection = true});
  Bytes packet = data_on(0x4000, Bytes(60, std::byte{0xaa}));
  EXPECT_EQ(of(packet), channel_data);
  const Bytes looks_like_it = to_bytes(BytesView(packet).subspan(1, 8));
  world.connection_ids.insert(looks_like_it);
  EXPECT_EQ(of(packet), quic);
  packet[8] ^= std::byte{1};
  EXPECT_EQ(of(packet), channel_data);
}

// --- batches --------------------------------------------------------------------------------------------------------

std::vector<std::pair<Destination, std::string>> routed_batch(World& world, DatagramRouter& router,
                                                              std::string_view text, std::uint16_t segment) {
  std::vector<std::pair<Destination, std::string>> parts;
  router.route(
      {.now = k_start, .local = k_local, .remote = remote(1), .bytes = as_bytes(text), .segment_size = segment},
      [&](Destination to, const Received& part) {
        EXPECT_EQ(part.segment_size, part.bytes.size() > segment ? segment : 0);
        parts.emplace_back(to, as_text(part.bytes));
        if (to == stun_server) world.tuples[remote(1)].has_allocation = true;
      });
  return parts;
}

TEST(DatagramRouter, SegmentsThatGoTheSameWayStayTogether) {
  World world;
  DatagramRouter router(world);
  const auto parts = routed_batch(world, router,
                                  std::string("P111P222\x16"
                                              "333\x16"
                                              "444\x05"
                                              "xxxP5",
                                              22),
                                  4);
  using Parts = std::vector<std::pair<Destination, std::string>>;
  EXPECT_EQ(parts, (Parts{{quic, "P111P222"},
                          {turn_dtls,
                           "\x16"
                           "333\x16"
                           "444"},
                          {quic, "P5"}}));
  EXPECT_EQ(router.snapshot().datagrams[static_cast<std::size_t>(quic)], 3u);
}

TEST(DatagramRouter, AStunMessageMayChangeWhatFollowsInTheSameBatch) {
  World world;
  world.channels.insert({remote(1), 0x4000});
  DatagramRouter router(world);
  const Bytes data = data_on(0x4000, Bytes(16));
  const Bytes allocate = stun_message({.method = stun::Method::allocate});
  ASSERT_EQ(data.size(), allocate.size());
  std::string text;
  for (const Bytes& datagram : {data, allocate, allocate, data, data}) text += as_text(datagram);
  const auto parts = routed_batch(world, router, text, 20);
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[0].first, quic);
  EXPECT_EQ(parts[1].first, stun_server);
  EXPECT_EQ(parts[2].first, stun_server);
  EXPECT_EQ(parts[3].first, channel_data);
  EXPECT_EQ(parts[3].second.size(), 40u);
}

// --- traffic --------------------------------------------------------------------------------------------------------

// Everything at once, from several 5-tuples, with who sent it known.
class Traffic {
 public:
  explicit Traffic(std::uint64_t seed) : rng_(seed) {
    world_.tuples = {{remote(1), {.has_allocation = true}},
                     {remote(2), {.has_quic_connection = true}},
                     {remote(3), {.has_allocation = true, .has_quic_connection = true}},
                     {remote(4), {.is_ice_validated = true}},
                     {remote(5), {true, true, true}}};
    world_.ice_fragments.insert("frag");
    for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{3}, std::uint16_t{5}}) {
      for (int i = 0; i < 64; ++i) bind(port, static_cast<std::uint16_t>(0x4000 + rng_.below(0x1000)));
    }
    for (int i = 0; i < 500; ++i) add_connection_id();
  }

  struct Sent {
    Endpoint from;
    Bytes datagram;
    Destination expected;
  };
  Sent next() {
    const auto port = static_cast<std::uint16_t>(rng_.below(6));  // 0: a stranger
    const Tuple tuple = world_.find(k_local, remote(port));
    switch (rng_.below(8)) {
      case 0:
      case 1:
        if (tuple.has_allocation) return {remote(port), channel(port), channel_data};
        [[fallthrough]];
      case 2:
      case 3:
        return {remote(port), short_header(), quic};
      case 4:
        // A stateless reset (RFC 9000 §10.3), or a packet for a connection that is gone.
        if (!tuple.has_quic_connection) return {remote(port), short_header(), quic};
        return {remote(port), quic_packet(0x40, random(8)), quic};
      case 5:
        return {remote(port), long_header(), quic};
      case 6:
        return {remote(port), dtls(), tuple.is_ice_validated ? webrtc : turn_dtls};
      default:
        return stun(remote(port));
    }
  }
  [[nodiscard]] const World& world() const { return world_; }

 private:
  Bytes random(std::size_t size) {
    Bytes bytes(size);
    rng_.fill(bytes);
    return bytes;
  }
  void bind(std::uint16_t port, std::uint16_t channel) {
    world_.channels.insert({remote(port), channel});
    bound_[port].push_back(channel);
  }
  // Random ones, and every other such that a packet with it reads as ChannelData of a bound channel, as far as the
  // length goes to which it may be extended.
  void add_connection_id() {
    Bytes id = random(World::connection_id_size);
    if (ids_.size() % 2 == 0) {
      id[0] = static_cast<std::byte>(bound_[3][rng_.below(bound_[3].size())]);
      id[1] = static_cast<std::byte>(rng_.below(5));
    }
    world_.connection_ids.insert(id);
    ids_.push_back(id);
  }
  Bytes channel(std::uint16_t port) {
    const auto& bound = bound_[port];
    const Bytes data = random(rng_.below(1200));
    return data_on(bound[rng_.below(bound.size())], data, rng_.below(4));
  }
  // The first byte has 01, the spin bit, and five bits that header protection makes random (RFC 9001 §5.4).
  Bytes quic_packet(unsigned form, const Bytes& id) {
    Bytes packet{static_cast<std::byte>(form | rng_.below(64))};
    append(packet, id);
    append(packet, random(20 + rng_.below(1200)));
    return packet;
  }
  Bytes short_header() {
    const Bytes& id = ids_[rng_.below(ids_.size())];
    Bytes packet = quic_packet(0x40, id);
    if (rng_.below(4) != 0) return packet;
    // As long as the length says that it reads as.
    const std::size_t length = std::to_integer<std::size_t>(packet[2]) << 8U | std::to_integer<std::size_t>(packet[3]);
    if (length < 20 || length > 1400) return packet;
    packet[0] = std::byte{0x40} | (packet[0] & std::byte{0x0F});
    const std::size_t size = 4 + length + rng_.below(4);
    while (packet.size() < size) append(packet, random(64));
    packet.resize(size);
    return packet;
  }
  Bytes long_header() {
    Bytes packet{static_cast<std::byte>(0xC0 | rng_.below(64))};
    ByteWriter writer(packet);
    writer.u32(1);
    writer.u8(8);
    writer.bytes(random(8));
    writer.u8(0);
    writer.bytes(random(1200));
    return packet;
  }
  Bytes dtls() {
    Bytes record;
    ByteWriter writer(record);
    const bool is_version_13 = rng_.below(4) == 0;  // the unified header of RFC 9147 §4: 001CSLEE
    writer.u8(static_cast<std::uint8_t>(is_version_13 ? 0x20 | rng_.below(32) : 20 + rng_.below(6)));
    if (!is_version_13) writer.u16(0xFEFD);
    writer.bytes(random(11 + rng_.below(1200)));
    return record;
  }
  Sent stun(const Endpoint& from) {
    const stun::Header header{.method = stun::Method::binding, .transaction = rng_.array<12>()};
    switch (rng_.below(5)) {
      case 0:
        return {from, stun_message(header), stun_server};
      case 1:
        return {from, stun_message(header, "frag:other"), ice};
      case 2:
        return {from, stun_message(header, "other:frag"), stun_server};
      case 3:
        return {from, stun_message({.method = stun::Method::allocate, .transaction = header.transaction}, "frag:other"),
                stun_server};
      default: {
        const bool is_check = rng_.below(2) == 0;
        if (is_check) world_.ice_transactions = {header.transaction};
        return {from, stun_message({.message_class = stun::Class::success, .transaction = header.transaction}),
                is_check ? ice : stun_client};
      }
    }
  }

  SeededRng rng_;
  World world_;
  std::map<std::uint16_t, std::vector<std::uint16_t>> bound_;
  std::vector<Bytes> ids_;
};

TEST(DatagramRouter, RoutesAMillionDatagramsAndNoneAstray) {
  const std::uint64_t seeds = std::getenv("DIGNET_FULL") != nullptr ? 100 : 10;
  std::map<Destination, std::size_t> counts;
  std::size_t ambiguous = 0;  // QUIC that reads as ChannelData of a bound channel
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Traffic traffic(seed);
    DatagramRouter router(traffic.world());
    for (int i = 0; i < 100'000; ++i) {
      const auto sent = traffic.next();
      Destination destination = refused;
      router.route({.now = k_start, .local = k_local, .remote = sent.from, .bytes = sent.datagram},
                   [&](Destination to, const Received&) { destination = to; });
      ASSERT_EQ(destination, sent.expected) << seed << " " << i << " " << to_hex(BytesView(sent.datagram).first(12));
      ++counts[destination];
      const auto data = turn::decode_channel_data(sent.datagram);
      if (destination == quic && data && traffic.world().channels.contains({sent.from, data->channel})) ++ambiguous;
    }
    std::uint64_t counted = 0;
    for (const std::uint64_t count : router.snapshot().datagrams) counted += count;
    EXPECT_EQ(counted, 100'000u);
  }
  EXPECT_EQ(counts.size(), k_destinations - 1) << "every destination but `refused`";
  for (const auto& [destination, count] : counts) EXPECT_GT(count, seeds * 1000) << static_cast<int>(destination);
  EXPECT_GT(ambiguous, seeds * 20) << "the hard case must be among them";
}

}  // namespace
}  // namespace dig::one_port
