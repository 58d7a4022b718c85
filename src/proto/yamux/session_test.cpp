// SPDX-License-Identifier: Apache-2.0
// What a session promises to an honest peer; the stream rules themselves are in the conformance suite.
#include "proto/yamux/session.hpp"

#include <gtest/gtest.h>

#include <map>

#include "proto/yamux/testing/raw_peer.hpp"

namespace dig::yamux {
namespace {

using testing::count;
using testing::RawPeer;

// A reader that takes everything at once, `time` after it came: one window per round.
std::uint64_t window_after(RawPeer& peer, int rounds, Duration time) {
  std::uint64_t window = k_initial_window;
  Bytes out(1U << 20U);
  for (int i = 0; i < rounds; ++i) {
    for (std::uint64_t left = window; left > 0;) {
      const std::size_t size = std::min<std::uint64_t>(left, 256 * 1024);
      peer.data(1, 0, size);
      left -= size;
    }
    peer.now = peer.now + time;
    for (auto read = peer.session.read(peer.now, StreamId{1}, out); read && read->size > 0;) {
      read = peer.session.read(peer.now, StreamId{1}, out);
    }
    for (const auto& frame : peer.receive_no_pings()) {
      if (frame.header.type == YamuxType::window_update) window = peer.session.snapshot().receive_windows;
    }
  }
  return peer.session.snapshot().receive_windows;
}

void answer_ping(RawPeer& peer, Duration rtt) {
  (void)peer.receive();
  peer.now = peer.now + rtt;
  peer.ping(k_yamux_ack, 0);
  ASSERT_EQ(peer.session.snapshot().rtt, rtt);
}

TEST(YamuxSession, TheWindowGrowsWhileTheReaderIsFasterThanThePath) {
  RawPeer peer;
  answer_ping(peer, 50ms);
  peer.update(1, k_yamux_syn, 0);
  EXPECT_EQ(window_after(peer, 1, 10ms), 2U * k_initial_window);
  EXPECT_EQ(window_after(peer, 8, 10ms), 16U << 20U);
  EXPECT_EQ(peer.closed_code(), std::nullopt);
}

TEST(YamuxSession, TheWindowStaysWhereTheReaderIsTheLimit) {
  RawPeer peer;
  answer_ping(peer, 50ms);
  peer.update(1, k_yamux_syn, 0);
  EXPECT_EQ(window_after(peer, 6, 201ms), k_initial_window);
}

TEST(YamuxSession, TheWindowDoesNotGrowBeforeTheRttIsKnown) {
  RawPeer peer;
  peer.update(1, k_yamux_syn, 0);
  EXPECT_EQ(window_after(peer, 4, 1ms), k_initial_window);
}

TEST(YamuxSession, WindowsGrowWithinTheMemoryOfTheConnection) {
  RawPeer peer(Role::server, {.max_receive_memory = 1U << 20U});
  answer_ping(peer, 50ms);
  peer.update(1, k_yamux_syn, 0);
  EXPECT_EQ(window_after(peer, 8, 1ms), 1U << 20U);
}

TEST(YamuxSession, CreditComesBackWhenHalfOfTheWindowWasRead) {
  RawPeer peer;
  peer.data(1, k_yamux_syn, k_initial_window);
  (void)peer.receive();
  Bytes out(k_initial_window / 2 - 1);
  ASSERT_TRUE(peer.session.read(peer.now, StreamId{1}, out));
  EXPECT_TRUE(peer.receive().empty());
  ASSERT_TRUE(peer.session.read(peer.now, StreamId{1}, MutableBytes(out).first(1)));
  const auto frames = peer.receive();
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].header,
            (YamuxHeader{.type = YamuxType::window_update, .flags = 0, .stream = 1, .length = k_initial_window / 2}));
}

TEST(YamuxSession, NeverSendsMoreThanThePeersWindow) {
  RawPeer peer(Role::client);
  const auto stream = peer.session.open_stream(peer.now);
  ASSERT_TRUE(stream);
  std::size_t sent = 0;
  const auto pump = [&] {
    for (const auto& frame : peer.receive(70'000)) sent += frame.payload.size();
  };
  const Bytes bulk(300'000);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(peer.session.write(*stream, bulk));
    pump();
  }
  EXPECT_EQ(sent, k_initial_window);
  peer.update(1, k_yamux_ack, 1000);
  pump();
  EXPECT_EQ(sent, k_initial_window + 1000);
}

TEST(YamuxSession, StreamsTakeTurnsFrameByFrame) {
  RawPeer peer(Role::client);
  for (int i = 0; i < 3; ++i) {
    const auto stream = peer.session.open_stream(peer.now);
    ASSERT_TRUE(stream && peer.session.write(*stream, Bytes(200'000)));
  }
  std::vector<std::uint32_t> order;
  for (const auto& frame : peer.receive(65519)) {
    if (frame.header.type != YamuxType::data) continue;
    EXPECT_LE(frame.payload.size(), 65507U);
    order.push_back(frame.header.stream);
  }
  ASSERT_GE(order.size(), 9U);
  for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(order[i], 1 + 2 * (i % 3)) << i;
}

TEST(YamuxSession, TheFirstFrameOfAStreamCarriesSynAndTheAnswerCarriesAck) {
  RawPeer client(Role::client);
  const auto stream = client.session.open_stream(client.now);
  ASSERT_TRUE(stream && client.session.write(*stream, as_bytes("hi")));
  auto frames = client.receive_no_pings();
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].header, (YamuxHeader{.type = YamuxType::data, .flags = k_yamux_syn, .stream = 1, .length = 2}));
  RawPeer server;
  server.update(1, k_yamux_syn, 0);
  frames = server.receive_no_pings();
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].header,
            (YamuxHeader{.type = YamuxType::window_update, .flags = k_yamux_ack, .stream = 1, .length = 0}));
}

TEST(YamuxSession, FinTravelsInAFrameOfItsOwn) {
  RawPeer peer(Role::client);
  const auto stream = peer.session.open_stream(peer.now);
  ASSERT_TRUE(stream && peer.session.write(*stream, as_bytes("bye")));
  peer.session.finish(*stream);
  const auto frames = peer.receive_no_pings();
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_FALSE(frames[0].header.has(k_yamux_fin));
  EXPECT_EQ(frames[1].header, (YamuxHeader{.type = YamuxType::data, .flags = k_yamux_fin, .stream = 1, .length = 0}));
}

TEST(YamuxSession, AtMost256OpensAreUnacknowledged) {
  RawPeer peer(Role::client);
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(peer.session.open_stream(peer.now));
  EXPECT_EQ(peer.receive_no_pings().size(), 256U);
  EXPECT_EQ(peer.session.snapshot().streams_waiting, 44U);
  peer.update(1, k_yamux_ack, 0);
  peer.update(3, k_yamux_rst, 0);
  EXPECT_EQ(count<StreamOpened>(peer.events()), 2U);
  EXPECT_EQ(peer.receive_no_pings().size(), 2U);
}

TEST(YamuxSession, KeepalivePingsEveryHalfMinuteAndSmoothsTheRtt) {
  RawPeer peer;
  answer_ping(peer, 80ms);
  const auto next = peer.session.next_timeout();
  ASSERT_EQ(next, Instant{1030s});
  peer.now = *next;
  peer.session.handle_timeout(peer.now);
  const auto frames = peer.receive();
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].header, (YamuxHeader{.type = YamuxType::ping, .flags = k_yamux_syn, .stream = 0, .length = 1}));
  peer.now = peer.now + 160ms;
  peer.ping(k_yamux_ack, 1);
  EXPECT_EQ(peer.session.snapshot().rtt, Duration(90ms));
}

TEST(YamuxSession, BytesFromThePeerExtendThePingDeadline) {
  RawPeer peer;
  (void)peer.receive();
  for (int i = 0; i < 10; ++i) {
    peer.now = peer.now + 9s;
    peer.data(1, i == 0 ? k_yamux_syn : std::uint16_t{0}, 10);
    peer.session.handle_timeout(peer.now);
  }
  EXPECT_EQ(peer.closed_code(), std::nullopt);
}

TEST(YamuxSession, CloseSendsWhatFitsAndSaysGoodbyeLast) {
  RawPeer peer(Role::client);
  const auto stream = peer.session.open_stream(peer.now);
  ASSERT_TRUE(stream && peer.session.write(*stream, Bytes(1000)));
  peer.session.close(peer.now, Error(Errc::cancelled));
  const auto frames = peer.receive();
  ASSERT_GE(frames.size(), 2U);
  EXPECT_EQ(frames[frames.size() - 2].payload.size(), 1000U);
  EXPECT_EQ(frames.back().header, (YamuxHeader{.type = YamuxType::go_away, .flags = 0, .stream = 0, .length = 0}));
  EXPECT_TRUE(peer.receive().empty());
  EXPECT_EQ(peer.session.next_timeout(), std::nullopt);
}

TEST(YamuxSession, OpensBeyondTheLimitFailAndIdsAreNotUsedAgain) {
  RawPeer peer(Role::client, {.max_outbound_streams = 2});
  ASSERT_TRUE(peer.session.open_stream(peer.now));
  ASSERT_TRUE(peer.session.open_stream(peer.now));
  EXPECT_EQ(peer.session.open_stream(peer.now).error().code(), Errc::limit_reached);
  peer.session.reset(StreamId{1}, 0);
  EXPECT_EQ(peer.session.open_stream(peer.now), StreamId{5});
}

TEST(YamuxSession, AStoppedStreamDiscardsUpToTheLimitAndIsThenReset) {
  RawPeer peer(Role::server, {.max_discarded = 300'000});
  peer.update(1, k_yamux_syn, 0);
  peer.session.stop_sending(StreamId{1}, 0);
  peer.data(1, 0, 200'000);
  (void)peer.receive();
  EXPECT_EQ(count<StreamReset>(peer.events()), 0U);
  peer.data(1, 0, 100'001);
  EXPECT_EQ(count<StreamReset>(peer.events()), 1U);
  const auto frames = peer.receive();
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_TRUE(frames[0].header.has(k_yamux_rst));
  EXPECT_EQ(peer.session.snapshot().receive_buffered, 0U);
}

TEST(YamuxSession, SendMemoryIsSharedButEveryStreamMayHoldSome) {
  RawPeer peer(Role::client, {.max_send_memory = 300'000});
  std::map<std::uint64_t, std::size_t> taken;
  for (int i = 0; i < 4; ++i) {
    const auto stream = peer.session.open_stream(peer.now);
    ASSERT_TRUE(stream);
    taken[stream->value] = peer.session.write(*stream, Bytes(400'000)).value_or(0);
  }
  EXPECT_EQ(taken[1], 256U << 10U);
  EXPECT_EQ(taken[3], 256U << 10U);
  EXPECT_EQ(taken[5], 16U << 10U);
  EXPECT_EQ(taken[7], 16U << 10U);
}

TEST(YamuxSession, BlocksThatFillAPayloadAreTakenOver) {
  RawPeer peer;
  BlockPtr block = peer.session.take_block(65519);
  const YamuxHeader header{.type = YamuxType::data, .flags = k_yamux_syn, .stream = 1, .length = 60'000};
  header.encode(std::span(block->bytes.get(), block->capacity).first<YamuxHeader::size>());
  std::fill_n(block->bytes.get() + YamuxHeader::size, 60'000, std::byte{'b'});
  block->end = YamuxHeader::size + 60'000;
  peer.session.handle_block(peer.now, block);
  EXPECT_EQ(block, nullptr);
  Bytes out(70'000);
  const auto read = peer.session.read(peer.now, StreamId{1}, out);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size, 60'000U);
  EXPECT_EQ(std::count(out.begin(), out.begin() + 60'000, std::byte{'b'}), 60'000);
}

}  // namespace
}  // namespace dig::yamux
