// SPDX-License-Identifier: Apache-2.0
// Data to and from peers, over datagrams and streams.
#include <gtest/gtest.h>

#include "base/testing/allocation_counter_operators.hpp"
#include "proto/turn_client/testing/allocation_pair.hpp"

namespace dig::turn {
namespace {

using namespace testing;

using Received = std::vector<std::pair<Endpoint, Bytes>>;

AllocationConfig without_channels(StunTransport transport = StunTransport::udp) {
  AllocationConfig config = config_with(transport);
  config.binds_channels = false;
  return config;
}

TEST(AllocationData, SendAsksForThePermissionAndKeepsNothing) {
  AllocationPair pair;
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("a")), SendResult::refused);
  pair.drain();
  pair.take_events();
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("a")), SendResult::no_permission);
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("a")), SendResult::no_permission);
  EXPECT_EQ(pair.client->send(pair.now, k_peer_v6, as_bytes("a")), SendResult::refused);
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"permission 40.0.0.9"});
  EXPECT_EQ(pair.server.count(Method::create_permission), 1u);
  EXPECT_TRUE(pair.server.relayed_out.empty());
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("a")), SendResult::taken);
}

TEST(AllocationData, TheFirstPacketIsAnIndicationAndTheNextUseAChannel) {
  AllocationPair pair;
  pair.open();
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("first")), SendResult::taken);
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"channel 40.0.0.9:7000"});
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("second")), SendResult::taken);
  pair.drain();
  EXPECT_EQ(pair.server.relayed_out, (Received{{k_peer, to_bytes("first")}, {k_peer, to_bytes("second")}}));
  EXPECT_EQ(pair.server.send_indications, 1u);
  EXPECT_EQ(pair.server.channel_messages, 1u);
  const auto status = pair.client->snapshot(pair.now);
  EXPECT_EQ(status.packets_sent, 2u);
  EXPECT_EQ(status.bytes_sent, 11u);
  EXPECT_EQ(status.channel_packets_sent, 1u);
  EXPECT_EQ(status.channels, 1u);
  EXPECT_EQ(status.permissions, 1u);
  EXPECT_EQ(status.rtt, Duration(0));
}

TEST(AllocationData, OfEverySizeArrivesAsItWas) {
  for (const StunTransport transport : {StunTransport::udp, StunTransport::tcp}) {
    for (const bool uses_channel : {false, true}) {
      AllocationPair pair({}, uses_channel ? config_with(transport) : without_channels(transport));
      pair.open();
      if (uses_channel) {
        ASSERT_TRUE(pair.client->bind_channel(pair.now, k_peer));
        pair.drain();
      }
      for (const std::size_t size : {0u, 1u, 2u, 3u, 4u, 5u, 1200u, 1201u, 65'000u}) {
        Bytes data(size);
        pair.rng.fill(data);
        EXPECT_EQ(pair.client->send(pair.now, k_peer, data), SendResult::taken);
        pair.drain();
        ASSERT_FALSE(pair.server.relayed_out.empty());
        EXPECT_EQ(pair.server.relayed_out.back(), std::pair(k_peer, data));
        pair.receive(pair.server.data_from(k_peer, data, pair.is_stream));
        ASSERT_FALSE(pair.received.empty());
        EXPECT_EQ(pair.received.back(), std::pair(k_peer, data));
      }
      EXPECT_EQ(pair.client->send(pair.now, k_peer, Bytes(65'001)), SendResult::refused);
      EXPECT_EQ(pair.server.garbage + pair.server.unbound, 0u);
      EXPECT_EQ(pair.client->snapshot(pair.now).packets_received, 9u);
    }
  }
}

TEST(AllocationData, IsFramedInTheBufferOfTheCaller) {
  AllocationPair pair;
  pair.open();
  Bytes out(1300);
  const auto first = pair.client->write_datagram(pair.now, k_peer, as_bytes("abc"), out);
  ASSERT_EQ(first.result, SendResult::taken);
  EXPECT_EQ(first.size, 20u + 12u + 8u);
  pair.server.handle(BytesView(out).first(first.size));
  pair.drain();  // a channel is bound
  const auto second = pair.client->write_datagram(pair.now, k_peer, as_bytes("abc"), out);
  EXPECT_EQ(second.size, 7u);
  pair.server.handle(BytesView(out).first(second.size));
  EXPECT_EQ(pair.server.relayed_out, (Received{{k_peer, to_bytes("abc")}, {k_peer, to_bytes("abc")}}));
  EXPECT_EQ(pair.client->write_datagram(pair.now, k_peer, as_bytes("abc"), MutableBytes(out).first(6)).size, 0u);
  EXPECT_EQ(pair.client->write_datagram(pair.now, {IpAddress::v4({40, 0, 0, 8}), 1}, as_bytes("abc"), out).result,
            SendResult::no_permission);

  AllocationPair stream({}, config_with(StunTransport::tcp));
  stream.open();
  EXPECT_EQ(stream.client->write_datagram(stream.now, k_peer, as_bytes("abc"), out).result, SendResult::refused);
}

TEST(AllocationData, DontFragmentIsSaidWithEveryIndication) {
  AllocationConfig config = without_channels();
  config.dont_fragment = true;
  AllocationPair pair({}, config);
  pair.open();
  Bytes out(200);
  const auto framed = pair.client->write_datagram(pair.now, k_peer, as_bytes("abcd"), out);
  const auto message = stun::Message::parse(BytesView(out).first(framed.size));
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->has(Attribute::dont_fragment));
}

TEST(AllocationData, OfPeersThatWereNotAskedForIsDroppedAndCounted) {
  AllocationPair pair;
  pair.open();
  const Endpoint stranger{IpAddress::v4({40, 0, 0, 10}), 7000};
  pair.receive(FakeServer::data_indication(stranger, as_bytes("boo")));
  EXPECT_TRUE(pair.received.empty());
  EXPECT_EQ(pair.client->snapshot(pair.now).without_permission, 1u);
  // Permissions are for addresses (RFC 8656 §9): another port of the same host is heard.
  pair.receive(FakeServer::data_indication({k_peer.address, 9}, as_bytes("yes")));
  EXPECT_EQ(pair.received, (Received{{Endpoint{k_peer.address, 9}, to_bytes("yes")}}));
  pair.client->revoke(pair.now, k_peer.address);
  pair.receive(FakeServer::data_indication(k_peer, as_bytes("late")));
  EXPECT_EQ(pair.received.size(), 1u);
}

TEST(AllocationData, MayOvertakeTheAnswerThatAllowsIt) {
  AllocationPair pair;
  pair.drain();
  pair.loses_response = [](BytesView) { return true; };
  ASSERT_TRUE(pair.client->bind_channel(pair.now, k_peer));
  pair.drain();
  pair.receive(FakeServer::data_indication(k_peer, as_bytes("a")));
  pair.receive(pair.server.data_from(k_peer, as_bytes("b")));
  EXPECT_EQ(pair.received, (Received{{k_peer, to_bytes("a")}, {k_peer, to_bytes("b")}}));
}

TEST(AllocationData, OfUnboundChannelsIsDroppedAndCounted) {
  AllocationPair pair;
  pair.open();
  ASSERT_TRUE(pair.client->bind_channel(pair.now, k_peer));
  pair.drain();
  for (const std::uint16_t number : {std::uint16_t{0x4001}, std::uint16_t{0x4FFF}}) {
    Bytes message(4);
    encode_channel_header(number, 1, std::span<std::byte, 4>(message.data(), 4));
    message.push_back(std::byte{1});
    pair.receive(message);
  }
  EXPECT_EQ(pair.client->snapshot(pair.now).unknown_channel, 2u);
  pair.client->revoke(pair.now, k_peer.address);
  pair.receive(pair.server.data_from(k_peer, as_bytes("b")));
  EXPECT_EQ(pair.client->snapshot(pair.now).without_permission, 1u);
  EXPECT_TRUE(pair.received.empty());
}

TEST(AllocationData, AViewOfADatagramIsOfTheDatagram) {
  AllocationPair pair;
  pair.open();
  const Bytes message = FakeServer::data_indication(k_peer, as_bytes("abcd"));
  const auto data = pair.client->handle_message(pair.now, message);
  ASSERT_TRUE(data);
  EXPECT_GE(data->data.data(), message.data());
  EXPECT_LE(data->data.data() + data->data.size(), message.data() + message.size());
}

TEST(AllocationData, NothingIsDeliveredBeforeOrAfter) {
  AllocationPair pair;
  pair.receive(FakeServer::data_indication(k_peer, as_bytes("early")));
  pair.open();
  pair.client->release(pair.now);
  pair.receive(FakeServer::data_indication(k_peer, as_bytes("late")));
  pair.drain();
  pair.receive(FakeServer::data_indication(k_peer, as_bytes("later")));
  EXPECT_TRUE(pair.received.empty());
}

TEST(AllocationData, AFullOutputBlocksAndSaysWhenItIsWritable) {
  for (const StunTransport transport : {StunTransport::udp, StunTransport::tls}) {
    AllocationPair pair({}, without_channels(transport), {.max_output = 10'000});
    pair.open();
    std::size_t taken = 0;
    while (pair.client->send(pair.now, k_peer, Bytes(1000)) == SendResult::taken) ++taken;
    EXPECT_EQ(taken, 9u);
    EXPECT_EQ(pair.client->send(pair.now, k_peer, Bytes(1000)), SendResult::would_block);
    EXPECT_EQ(pair.client->snapshot(pair.now).packets_sent, 9u);
    EXPECT_FALSE(pair.client->poll_event());
    pair.drain();
    EXPECT_EQ(pair.take_events(), Lines{"writable"});
    EXPECT_EQ(pair.server.relayed_out.size(), 9u);  // nothing was dropped
    EXPECT_EQ(pair.client->send(pair.now, k_peer, Bytes(1000)), SendResult::taken);
    pair.drain();
    EXPECT_EQ(pair.take_events(), Lines{});
  }
}

TEST(AllocationData, AStandingStreamDoesNotKeepRequestsFromBeingQueued) {
  AllocationPair pair({}, without_channels(StunTransport::tcp), {.max_output = 2000});
  pair.open();
  for (const std::size_t size : {100u, 1u}) {
    while (pair.client->send(pair.now, k_peer, Bytes(size)) == SendResult::taken) {
    }
  }
  Bytes small(1);
  const std::size_t full = pair.client->snapshot(pair.now).waiting;
  pair.now = pair.now + 240s;  // the permission is to be renewed
  pair.client->handle_timeout(pair.now);
  EXPECT_EQ(pair.client->poll_transmit(pair.now, {}), 0u);
  EXPECT_GT(pair.client->snapshot(pair.now).waiting, full + 20);
  for (int i = 0; i < 60; ++i) {  // the leg takes a byte in ten seconds
    pair.now = pair.now + 10s;
    pair.client->handle_timeout(pair.now);
    static_cast<void>(pair.client->poll_transmit(pair.now, small));
    ASSERT_LT(pair.client->snapshot(pair.now).waiting, 60'000u);
  }
  EXPECT_EQ(pair.client->phase(), AllocationPhase::ended);
}

TEST(AllocationData, OnAChannelCostsNoMemoryPerPacket) {
  for (const StunTransport transport : {StunTransport::udp, StunTransport::tcp}) {
    AllocationPair pair({}, config_with(transport));
    pair.open();
    ASSERT_TRUE(pair.client->bind_channel(pair.now, k_peer));
    pair.drain();
    const Bytes data(1200);
    const Bytes incoming = pair.server.data_from(k_peer, data, pair.is_stream);
    Bytes out(ClientAllocation::k_max_datagram);
    std::uint64_t allocations = 0;
    for (int round = 0; round < 3; ++round) {  // the first makes the output as large as it needs to be
      const dig::testing::AllocationCounter counter;
      for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(pair.client->send(pair.now, k_peer, data), SendResult::taken);
        ASSERT_EQ(pair.client->send(pair.now, k_peer, data), SendResult::taken);
        while (pair.client->poll_transmit(pair.now, out) > 0) {
        }
        BytesView bytes(incoming);
        const auto received =
            pair.is_stream ? pair.client->handle_bytes(pair.now, bytes) : pair.client->handle_message(pair.now, bytes);
        ASSERT_TRUE(received);
      }
      allocations = counter.count();
    }
    EXPECT_EQ(allocations, 0u);
  }
}

// A leg that is cut after every single byte, in both directions.
TEST(AllocationData, AStreamMayBeCutAnywhere) {
  AllocationPair pair({.features = stun::SecurityFeatures{true, true}}, config_with(StunTransport::tcp));
  stun::Framer framer;
  std::size_t requests = 0;
  const auto drain = [&] {
    std::array<std::byte, 1> one;
    while (pair.client->poll_transmit(pair.now, one) == 1) {
      BytesView piece(one);
      const auto frame = framer.next(piece);
      ASSERT_TRUE(frame);
      if (!*frame) continue;
      ++requests;
      const auto response = pair.server.handle(**frame);
      if (!response) continue;
      for (const std::byte b : *response) pair.receive(BytesView(&b, 1));
    }
    while (const auto event = pair.client->poll_event()) pair.events.push_back(line_of(*event));
  };
  drain();
  EXPECT_TRUE(pair.client->permit(pair.now, k_peer.address));
  drain();
  for (const char* text : {"one", "four", "fives"}) {
    EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes(text)), SendResult::taken);
    drain();
    const Bytes back = pair.server.data_from(k_peer, as_bytes(text), true);
    for (const std::byte b : back) pair.receive(BytesView(&b, 1));
  }
  const Received expected{{k_peer, to_bytes("one")}, {k_peer, to_bytes("four")}, {k_peer, to_bytes("fives")}};
  EXPECT_EQ(pair.server.relayed_out, expected);
  EXPECT_EQ(pair.received, expected);
  EXPECT_EQ(pair.take_events(), (Lines{"allocated 20.0.0.1:50000", "permission 40.0.0.9", "channel 40.0.0.9:7000"}));
  EXPECT_EQ(requests, 7u);  // two Allocates, a permission, a channel, an indication, two on the channel
}

// What a server says in one go, cut into two pieces at every place and into pieces of every size.
TEST(AllocationData, TheSameBytesMeanTheSameHoweverTheyAreCut) {
  const auto run = [](std::size_t step, std::size_t first) {
    AllocationPair pair({}, config_with(StunTransport::tcp));
    pair.open();
    EXPECT_TRUE(pair.client->bind_channel(pair.now, k_peer));
    pair.drain();
    Bytes all = FakeServer::data_indication(k_peer, as_bytes("indication"));
    for (const char* text : {"", "x", "channel data"}) append(all, pair.server.data_from(k_peer, as_bytes(text), true));
    append(all, FakeServer::data_indication({k_peer.address, 1}, as_bytes("z")));
    BytesView rest(all);
    pair.receive(rest.first(std::min(first, rest.size())));
    rest = rest.subspan(std::min(first, rest.size()));
    while (!rest.empty()) {
      const std::size_t size = std::min(step, rest.size());
      pair.receive(rest.first(size));
      rest = rest.subspan(size);
    }
    return pair.received;
  };
  const Received whole = run(10'000, 0);
  ASSERT_EQ(whole.size(), 5u);
  for (std::size_t first = 1; first < 150; ++first) EXPECT_EQ(run(10'000, first), whole) << first;
  for (std::size_t step = 1; step < 40; ++step) EXPECT_EQ(run(step, 0), whole) << step;
}

}  // namespace
}  // namespace dig::turn
