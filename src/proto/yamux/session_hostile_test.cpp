// SPDX-License-Identifier: Apache-2.0
// What a yamux peer that breaks the rules, or bends them, can do to a session: nothing beyond the stated limits.
#include <gtest/gtest.h>

#include "proto/yamux/testing/raw_peer.hpp"

namespace dig::yamux {
namespace {

using testing::count;
using testing::encode;
using testing::RawPeer;

constexpr std::uint16_t k_syn = k_yamux_syn;
constexpr std::uint16_t k_rst = k_yamux_rst;
constexpr std::uint16_t k_fin = k_yamux_fin;

Bytes raw_header(std::uint8_t version, std::uint8_t type, std::uint16_t flags, std::uint32_t stream) {
  Bytes bytes = encode({.type = YamuxType::data, .flags = flags, .stream = stream, .length = 0});
  bytes[0] = std::byte{version};
  bytes[1] = std::byte{type};
  return bytes;
}

TEST(YamuxHostile, UnknownVersionTypeOrFlagEndsTheSessionWithAGoodbye) {
  for (const Bytes& bytes : {raw_header(1, 0, 0, 1), raw_header(0, 4, 0, 1), raw_header(0, 255, 0, 1),
                             raw_header(0, 0, 0x10, 1), raw_header(0, 0, 0x8000, 1)}) {
    RawPeer peer;
    peer.session.handle_plaintext(peer.now, bytes);
    EXPECT_EQ(peer.closed_code(), Errc::protocol_violation);
    const auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].header.type, YamuxType::go_away);
    EXPECT_EQ(frames[0].header.length, 1U);
  }
}

TEST(YamuxHostile, HeadersMayArriveInAnyPieces) {
  for (std::size_t cut = 0; cut <= YamuxHeader::size; ++cut) {
    RawPeer peer;
    const Bytes frame = encode({.type = YamuxType::data, .flags = k_syn, .stream = 1, .length = 3}, as_bytes("abc"));
    peer.session.handle_plaintext(peer.now, BytesView(frame).first(cut));
    peer.session.handle_plaintext(peer.now, {});
    peer.session.handle_plaintext(peer.now, BytesView(frame).subspan(cut));
    Bytes out(8);
    const auto read = peer.session.read(peer.now, StreamId{1}, out);
    ASSERT_TRUE(read) << cut;
    EXPECT_EQ(as_text(BytesView(out).first(read->size)), "abc");
  }
}

TEST(YamuxHostile, StreamZeroIsRefused) {
  RawPeer with_data;
  with_data.data(0, 0, 1);
  EXPECT_EQ(with_data.closed_code(), Errc::protocol_violation);
  RawPeer with_syn;
  with_syn.update(0, k_syn, 0);
  EXPECT_EQ(with_syn.closed_code(), Errc::protocol_violation);
}

TEST(YamuxHostile, DataForUnknownStreamsLeavesNoState) {
  RawPeer peer;
  for (std::uint32_t id = 1; id < 2000; id += 2) peer.data(id, 0, 100);
  EXPECT_EQ(peer.closed_code(), std::nullopt);
  const Status status = peer.session.snapshot();
  EXPECT_EQ(status.streams_inbound, 0U);
  EXPECT_EQ(status.receive_buffered, 0U);
  EXPECT_EQ(status.bytes_ignored, 100'000U);
  EXPECT_TRUE(peer.receive_no_pings().empty());
}

TEST(YamuxHostile, AStreamOfOurSideThatWasNeverOpenedIsRefused) {
  RawPeer syn;
  syn.update(2, k_syn, 0);  // even ids are the server's
  EXPECT_EQ(syn.closed_code(), Errc::protocol_violation);
  RawPeer data;
  data.data(2, 0, 1);
  EXPECT_EQ(data.closed_code(), Errc::protocol_violation);
  RawPeer unsent;  // opened here, but the peer cannot know of it yet
  ASSERT_TRUE(unsent.session.open_stream(unsent.now));
  unsent.update(2, k_yamux_ack, 0);
  EXPECT_EQ(unsent.closed_code(), Errc::protocol_violation);
}

TEST(YamuxHostile, IdsAreNotUsedTwice) {
  RawPeer existing;
  existing.update(1, k_syn, 0);
  existing.update(1, k_syn, 0);
  EXPECT_EQ(existing.closed_code(), Errc::protocol_violation);
  RawPeer closed;
  closed.update(1, k_syn, 0);
  closed.update(1, k_rst, 0);
  EXPECT_EQ(closed.closed_code(), std::nullopt);
  closed.update(1, k_syn, 0);
  EXPECT_EQ(closed.closed_code(), Errc::protocol_violation);
}

TEST(YamuxHostile, DecreasingIdsAreAcceptedOnce) {
  RawPeer peer;
  for (const std::uint32_t id : {9U, 5U, 7U, 1U, 3U}) peer.update(id, k_syn, 0);
  EXPECT_EQ(peer.session.snapshot().streams_inbound, 5U);
  peer.update(5, k_syn, 0);
  EXPECT_EQ(peer.closed_code(), Errc::protocol_violation);
}

TEST(YamuxHostile, TheHighestIdIsAStreamLikeAnyOther) {
  RawPeer peer;
  peer.data(0xFFFFFFFF, k_syn, 10);
  EXPECT_EQ(peer.session.snapshot().streams_inbound, 1U);
  EXPECT_EQ(peer.closed_code(), std::nullopt);
}

TEST(YamuxHostile, SynWithFinAndSynWithRst) {
  RawPeer fin;
  fin.data(1, k_syn | k_fin, 5);
  Bytes out(16);
  const auto read = fin.session.read(fin.now, StreamId{1}, out);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size, 5U);
  EXPECT_TRUE(read->is_end);
  RawPeer rst;
  rst.update(1, k_syn | k_rst, 0);
  EXPECT_TRUE(rst.events().empty());
  EXPECT_EQ(rst.session.snapshot().streams_inbound, 0U);
}

TEST(YamuxHostile, FinTwiceIsHarmlessButDataAfterFinIsNot) {
  RawPeer peer;
  peer.data(1, k_syn | k_fin, 0);
  peer.data(1, k_fin, 0);
  EXPECT_EQ(count<StreamReadable>(peer.events()), 1U);
  peer.data(1, 0, 1);
  EXPECT_EQ(peer.closed_code(), Errc::protocol_violation);
}

TEST(YamuxHostile, DataAfterRstIsIgnored) {
  RawPeer peer;
  peer.data(1, k_syn, 10);
  peer.data(1, k_rst, 10);  // its payload belongs to nobody
  peer.data(1, 0, 10);
  const auto events = peer.events();
  EXPECT_EQ(count<StreamReset>(events), 1U);
  EXPECT_EQ(count<Closed>(events), 0U);
  EXPECT_EQ(peer.session.snapshot().receive_buffered, 0U);
}

TEST(YamuxHostile, DataBeyondTheWindowByOneEndsTheSession) {
  RawPeer exact;
  exact.data(1, k_syn, 0);
  exact.data(1, 0, k_initial_window);
  EXPECT_EQ(exact.closed_code(), std::nullopt);
  exact.data(1, 0, 1);
  EXPECT_EQ(exact.closed_code(), Errc::flow_control_violation);
}

// CVE-2026-32314: a SYN whose data exceeds the initial window by one.
TEST(YamuxHostile, SynWithMoreThanTheInitialWindowEndsTheSession) {
  RawPeer exact;
  exact.data(1, k_syn, k_initial_window);
  EXPECT_EQ(exact.closed_code(), std::nullopt);
  RawPeer over;
  over.send({.type = YamuxType::data, .flags = k_syn, .stream = 1, .length = k_initial_window + 1});
  EXPECT_EQ(over.closed_code(), Errc::flow_control_violation);
  EXPECT_EQ(over.session.snapshot().streams_inbound, 0U);
}

TEST(YamuxHostile, AbsurdLengthsAreRefusedAtTheHeader) {
  for (const std::uint32_t length : {(16U << 20U) + 1, 0x80000000U, 0xFFFFFFFFU}) {
    for (const std::uint16_t flags : {std::uint16_t{0}, k_syn}) {
      RawPeer peer;
      peer.send({.type = YamuxType::data, .flags = flags, .stream = 1, .length = length});
      EXPECT_EQ(peer.closed_code(), Errc::flow_control_violation) << length << " " << flags;
    }
  }
}

// CVE-2026-31814: credit that overflows the send window.
TEST(YamuxHostile, CreditOverflowEndsTheSession) {
  RawPeer peer;
  peer.update(1, k_syn, 0xFFFF0000U - k_initial_window);
  EXPECT_EQ(peer.closed_code(), std::nullopt);
  peer.update(1, 0, 0xFFFF0000U);
  EXPECT_EQ(peer.closed_code(), Errc::flow_control_violation);
}

TEST(YamuxHostile, CreditForUnknownStreamsIsIgnored) {
  RawPeer peer;
  for (int i = 0; i < 10; ++i) peer.update(7, 0, 0xFFFFFFFF);
  EXPECT_EQ(peer.closed_code(), std::nullopt);
}

TEST(YamuxHostile, FramesWithoutEffectAreAFloodAtSomePoint) {
  const auto flooded_after = [](auto&& send) {
    RawPeer peer;
    peer.update(1, k_syn, 0);
    for (int i = 1; i <= 20'000; ++i) {
      send(peer);
      if (peer.session.is_closed()) {
        EXPECT_EQ(peer.closed_code(), Errc::flood);
        return i;
      }
    }
    return 0;
  };
  EXPECT_EQ(flooded_after([](RawPeer& p) { p.update(1, 0, 0); }), 10'001);
  EXPECT_EQ(flooded_after([](RawPeer& p) { p.data(1, 0, 0); }), 10'001);
  EXPECT_EQ(flooded_after([](RawPeer& p) { p.update(9, 0, 5); }), 10'001);
  EXPECT_EQ(flooded_after([](RawPeer& p) { p.update(9, k_rst, 0); }), 10'001);
  EXPECT_EQ(flooded_after([](RawPeer& p) { p.ping(k_yamux_ack, 77); }), 10'001);
}

TEST(YamuxHostile, StreamsBeyondTheLimitAreReset) {
  RawPeer peer;
  for (std::uint32_t i = 0; i < 600; ++i) peer.data(2 * i + 1, k_syn, 10);
  EXPECT_EQ(peer.session.snapshot().streams_inbound, 512U);
  EXPECT_EQ(peer.session.snapshot().streams_refused, 88U);
  EXPECT_EQ(count<StreamOpened>(peer.events()), 512U);
  std::ptrdiff_t resets = 0;
  for (const auto& frame : peer.receive()) resets += frame.header.has(k_rst);
  EXPECT_EQ(resets, 88);
  // A place that becomes free can be used again.
  peer.update(1, k_rst, 0);
  peer.update(1201, k_syn, 0);
  EXPECT_EQ(peer.session.snapshot().streams_inbound, 512U);
  EXPECT_EQ(peer.closed_code(), std::nullopt);
}

TEST(YamuxHostile, OpenAndResetChurnIsAFlood) {
  RawPeer peer;
  std::uint32_t opened = 0;
  while (!peer.session.is_closed() && opened < 100'000) {
    peer.update(2 * opened + 1, k_syn, 0);
    peer.update(2 * opened + 1, k_rst, 0);
    ++opened;
  }
  EXPECT_EQ(opened, 4001U);
  EXPECT_EQ(peer.closed_code(), Errc::flood);
}

TEST(YamuxHostile, AnHonestPeerMayOpenAThousandShortStreamsASecond) {
  RawPeer peer;
  std::uint32_t id = 1;
  for (int tick = 0; tick < 1000; ++tick) {  // ten seconds, a hundred steps each
    for (int i = 0; i < 10; ++i, id += 2) {
      peer.data(id, k_syn | k_fin, 20);
      Bytes out(64);
      const auto read = peer.session.read(peer.now, StreamId{id}, out);
      ASSERT_TRUE(read && read->is_end);
      ASSERT_TRUE(peer.session.write(StreamId{id}, as_bytes("answer")));
      peer.session.finish(StreamId{id});
    }
    ASSERT_EQ(peer.closed_code(), std::nullopt) << tick;
    (void)peer.receive(4096);
    peer.now = peer.now + 10ms;
  }
  EXPECT_EQ(peer.session.snapshot().streams_inbound, 0U);
  EXPECT_EQ(peer.session.snapshot().streams_refused, 0U);
}

TEST(YamuxHostile, PingsAreEchoedAndAFloodEndsTheSession) {
  RawPeer peer;
  peer.ping(k_syn, 0xDEADBEEF);
  const auto frames = peer.receive_no_pings();
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].header,
            (YamuxHeader{.type = YamuxType::ping, .flags = k_yamux_ack, .stream = 0, .length = 0xDEADBEEF}));
  int sent = 1;
  for (; sent < 10'000 && !peer.session.is_closed(); ++sent) peer.ping(k_syn, 1);
  EXPECT_EQ(sent, 257);
  EXPECT_EQ(peer.closed_code(), Errc::flood);
}

// CVE-2024-32984: pongs pile up for a peer that pings within its rate and never reads.
TEST(YamuxHostile, PongsThatNobodyReadsStopTheInput) {
  RawPeer peer(Role::server, {.max_queued_control = 300});
  for (int i = 0; i < 10'000 && peer.session.wants_bytes(); ++i) {
    peer.ping(k_syn, 1);
    peer.now = peer.now + 40ms;
  }
  EXPECT_EQ(peer.session.snapshot().queued_control, 300U);
  EXPECT_EQ(peer.closed_code(), std::nullopt);
  (void)peer.receive();
  EXPECT_TRUE(peer.session.wants_bytes());
}

TEST(YamuxHostile, OneReadBufferOfAnswersIsBoundedToo) {
  RawPeer peer(Role::server, {.max_inbound_streams = 0, .max_queued_control = 100});
  for (std::uint32_t i = 0; i < 2000 && !peer.session.is_closed(); ++i) peer.update(2 * i + 1, k_syn, 0);
  EXPECT_EQ(peer.closed_code(), Errc::flood);
  EXPECT_LE(peer.session.snapshot().queued_control, 800U);
}

TEST(YamuxHostile, MalformedPingsAreRefused) {
  RawPeer on_stream;
  on_stream.ping(k_syn, 1, 5);
  EXPECT_EQ(on_stream.closed_code(), Errc::protocol_violation);
  for (const std::uint16_t flags : {std::uint16_t{0}, std::uint16_t{k_syn | k_yamux_ack}, k_fin, k_rst}) {
    RawPeer peer;
    peer.ping(flags, 1);
    EXPECT_EQ(peer.closed_code(), Errc::protocol_violation) << flags;
  }
}

TEST(YamuxHostile, UnaskedPongsDoNotTouchTheRtt) {
  RawPeer peer;
  peer.ping(k_yamux_ack, 0);  // before our ping was written
  EXPECT_EQ(peer.session.snapshot().rtt, std::nullopt);
  (void)peer.receive();
  peer.ping(k_yamux_ack, 5);  // another value
  EXPECT_EQ(peer.session.snapshot().rtt, std::nullopt);
  peer.now = peer.now + 30ms;
  peer.ping(k_yamux_ack, 0);
  EXPECT_EQ(peer.session.snapshot().rtt, Duration(30ms));
}

TEST(YamuxHostile, GoAwayCodesEndTheSession) {
  for (const std::uint32_t code : {1U, 2U, 99U, 0xFFFFFFFFU}) {
    RawPeer peer;
    peer.go_away(code);
    const auto closed = peer.closed();
    ASSERT_TRUE(closed) << code;
    EXPECT_EQ(closed->error.code(), Errc::connection_closed);
    EXPECT_EQ(closed->by, ClosedBy::remote);
  }
}

TEST(YamuxHostile, AfterGoAwayNoStreamIsOpenedByEitherSide) {
  RawPeer peer;
  peer.update(1, k_syn, 0);
  peer.go_away(0);
  peer.update(3, k_syn, 0);
  EXPECT_EQ(peer.session.open_stream(peer.now).error().code(), Errc::connection_closed);
  EXPECT_EQ(peer.closed_code(), std::nullopt);  // stream 1 still lives
  EXPECT_EQ(peer.session.snapshot().streams_inbound, 1U);
  peer.update(1, k_rst, 0);
  EXPECT_EQ(peer.closed_code(), Errc::connection_closed);
}

TEST(YamuxHostile, UnreadDataIsBoundedForTheWholeConnection) {
  RawPeer peer;
  for (std::uint32_t i = 0; i < 512; ++i) {
    peer.update(2 * i + 1, k_syn, 0);
    peer.data(2 * i + 1, 0, k_initial_window);
  }
  const Status status = peer.session.snapshot();
  EXPECT_FALSE(status.is_closed);
  EXPECT_LE(status.receive_buffered, 32U << 20U);
  EXPECT_EQ(status.receive_buffered, status.streams_inbound * k_initial_window);
  EXPECT_EQ(status.streams_over_memory, 512U - 128U);
}

TEST(YamuxHostile, KeepaliveWithoutPongEndsTheSession) {
  RawPeer peer;
  (void)peer.receive();  // the first ping leaves
  const auto deadline = peer.session.next_timeout();
  ASSERT_EQ(deadline, peer.now + 10s);
  peer.session.handle_timeout(*deadline - 1ns);
  EXPECT_EQ(peer.closed_code(), std::nullopt);
  peer.session.handle_timeout(*deadline);
  const auto closed = peer.closed();
  ASSERT_TRUE(closed);
  EXPECT_EQ(closed->error.code(), Errc::peer_silent);
  EXPECT_EQ(closed->by, ClosedBy::transport);
  EXPECT_TRUE(peer.receive().empty());
}

TEST(YamuxHostile, AHalfClosedStreamMayBeHeldForAnHour) {
  RawPeer peer;
  peer.data(1, k_syn | k_fin, 5);
  (void)peer.receive();
  std::uint32_t ping = 0;
  for (int i = 0; i < 120; ++i) {
    peer.ping(k_yamux_ack, ping++);
    peer.now = peer.now + 30s;
    peer.session.handle_timeout(peer.now);
    (void)peer.receive();
  }
  EXPECT_EQ(peer.closed_code(), std::nullopt);
  EXPECT_EQ(peer.session.snapshot().streams_inbound, 1U);
  EXPECT_TRUE(peer.session.write(StreamId{1}, as_bytes("still here")));
}

}  // namespace
}  // namespace dig::yamux
