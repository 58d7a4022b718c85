// SPDX-License-Identifier: Apache-2.0
// Test-only: the cases of the conformance suite about many streams, transfers and the life of a connection.
#pragma once

#include <map>
#include <set>

#include "proto/connection/testing/connection_pair.hpp"

namespace dig::testing {

inline void snapshot_counts_streams_and_bytes(Conformance& t) {
  EXPECT_TRUE(t.dialer.connection->snapshot().is_established);
  EXPECT_EQ(t.dialer.connection->snapshot().buffered_bytes, 0U);
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.dialer.connection->snapshot().streams_outbound, 1U);
  EXPECT_EQ(t.dialer.connection->snapshot().streams_inbound, 0U);
  EXPECT_EQ(t.listener.connection->snapshot().streams_inbound, 1U);
  EXPECT_EQ(t.write(t.dialer, s.dialer, "twelve bytes"), 12U);
  EXPECT_EQ(t.dialer.connection->snapshot().buffered_bytes, 12U);
  t.settle();
  EXPECT_EQ(t.dialer.connection->snapshot().buffered_bytes, 0U);
  EXPECT_EQ(t.listener.connection->snapshot().buffered_bytes, 12U);
  EXPECT_GE(t.dialer.connection->snapshot().bytes_sent, 14U);
  EXPECT_GE(t.listener.connection->snapshot().bytes_received, 14U);
}

inline void unknown_streams_are_refused(Conformance& t) {
  const StreamId unknown{123'457};
  EXPECT_EQ(t.write_error(t.dialer, unknown), Errc::stream_closed);
  EXPECT_EQ(t.read_all(t.dialer, unknown).error, Errc::stream_closed);
  t.dialer.connection->finish(unknown);
  t.dialer.connection->reset(unknown, 0);
  t.dialer.connection->stop_sending(StreamId{~0ULL}, 0);
  t.settle();
  EXPECT_TRUE(t.dialer.events.empty());
  EXPECT_TRUE(t.listener.events.empty());
}

inline void ids_are_not_used_again(Conformance& t) {
  std::set<StreamId> seen;
  for (int i = 0; i < 50; ++i) {
    const StreamPair s = t.connect_streams();
    EXPECT_TRUE(seen.insert(s.dialer).second);
    if (i % 2 == 0) {
      t.dialer.connection->reset(s.dialer, 0);
    } else {
      t.dialer.connection->finish(s.dialer);
      t.listener.connection->finish(s.listener);
    }
    t.settle();
    (void)t.read_all(t.dialer, s.dialer);
    (void)t.read_all(t.listener, s.listener);
    t.listener.events.clear();
  }
  EXPECT_EQ(seen.size(), 50U);
}

inline void a_blocked_stream_does_not_block_others(Conformance& t) {
  const StreamPair blocked = t.connect_streams();
  const StreamPair other = t.connect_streams();
  (void)t.fill(t.dialer, blocked.dialer);
  EXPECT_EQ(t.write(t.dialer, other.dialer, "passes"), 6U);
  t.settle();
  EXPECT_EQ(as_text(t.read_all(t.listener, other.listener).bytes), "passes");
}

inline void streams_share_the_way_fairly(Conformance& t) {
  const StreamPair a = t.connect_streams();
  const StreamPair b = t.connect_streams();
  const Bytes bulk(20'000);
  EXPECT_EQ(t.write(t.dialer, a.dialer, bulk), bulk.size());
  EXPECT_EQ(t.write(t.dialer, b.dialer, bulk), bulk.size());
  std::size_t from_a = 0;
  std::size_t from_b = 0;
  while (t.pair->pump_step(4096)) {
    from_a += t.read_all(t.listener, a.listener).bytes.size();
    from_b += t.read_all(t.listener, b.listener).bytes.size();
  }
  EXPECT_EQ(from_a, bulk.size());
  EXPECT_EQ(from_b, bulk.size());
}

inline void many_streams_at_once_keep_their_data_apart(Conformance& t) {
  const std::size_t count = std::min<std::size_t>(100, t.pair->open_limit());
  std::vector<StreamPair> streams;
  for (std::size_t i = 0; i < count; ++i) streams.push_back(t.connect_streams());
  for (std::size_t round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes sent = t.random_bytes(3000 + i, 1000 * round + i);
      EXPECT_EQ(t.write(t.dialer, streams[i].dialer, sent), sent.size());
      EXPECT_EQ(t.write(t.listener, streams[i].listener, sent), sent.size());
    }
    t.settle();
    for (std::size_t i = count; i-- > 0;) {
      const Bytes sent = t.random_bytes(3000 + i, 1000 * round + i);
      EXPECT_TRUE(equal(t.read_all(t.listener, streams[i].listener).bytes, sent));
      EXPECT_TRUE(equal(t.read_all(t.dialer, streams[i].dialer).bytes, sent));
    }
  }
}

inline void a_thousand_short_streams_leave_nothing(Conformance& t) {
  for (int i = 0; i < 1000; ++i) {
    const StreamId mine = t.open(t.dialer);
    EXPECT_EQ(t.write(t.dialer, mine, "question"), 8U);
    t.dialer.connection->finish(mine);
    t.settle();
    const auto opened = t.listener.take<StreamOpened>();
    ASSERT_TRUE(opened) << i;
    EXPECT_TRUE(t.read_all(t.listener, opened->stream).is_end);
    EXPECT_EQ(t.write(t.listener, opened->stream, "answer"), 6U);
    t.listener.connection->finish(opened->stream);
    t.settle();
    const Received received = t.read_all(t.dialer, mine);
    ASSERT_TRUE(received.is_end) << i;
    EXPECT_EQ(as_text(received.bytes), "answer");
    t.dialer.events.clear();
    t.listener.events.clear();
    t.pair->advance(1ms, true);
  }
  t.settle();
  for (const Side* side : {&t.dialer, &t.listener}) {
    const ConnectionStatus status = side->connection->snapshot();
    EXPECT_FALSE(status.is_closed);
    EXPECT_EQ(status.streams_inbound + status.streams_outbound + status.buffered_bytes, 0U);
  }
}

// Opens as many streams as may be open plus one that waits, which is returned.
inline StreamId open_one_too_many(Conformance& t, std::vector<StreamId>& others) {
  for (std::size_t i = 0; i < t.pair->open_limit(); ++i) {
    others.push_back(t.open(t.dialer));
    EXPECT_EQ(t.write(t.dialer, others.back(), "x"), 1U);
  }
  return t.open(t.dialer);
}

inline void end_all(Conformance& t, const std::vector<StreamId>& streams) {
  for (const StreamId stream : streams) t.dialer.connection->reset(stream, 0);
  t.settle();
}

inline void an_open_at_the_limit_waits_and_says_when_it_is_done(Conformance& t) {
  std::vector<StreamId> others;
  const StreamId waiting = open_one_too_many(t, others);
  t.collect();
  EXPECT_FALSE(t.dialer.take<StreamOpened>(waiting));
  t.settle();
  end_all(t, others);
  const auto opened = t.dialer.take<StreamOpened>(waiting);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->direction, Direction::outbound);
}

inline void a_waiting_stream_may_be_written_and_finished(Conformance& t) {
  std::vector<StreamId> others;
  const StreamId waiting = open_one_too_many(t, others);
  EXPECT_EQ(t.write(t.dialer, waiting, "patience"), 8U);
  t.dialer.connection->finish(waiting);
  t.settle();
  end_all(t, others);
  Received received;
  while (const auto opened = t.listener.take<StreamOpened>()) {
    const Received one = t.read_all(t.listener, opened->stream);
    if (one.is_end) received = one;
  }
  EXPECT_EQ(as_text(received.bytes), "patience");
}

inline void a_waiting_stream_may_be_reset(Conformance& t) {
  std::vector<StreamId> others;
  const StreamId waiting = open_one_too_many(t, others);
  EXPECT_EQ(t.write(t.dialer, waiting, "never sent"), 10U);
  t.dialer.connection->reset(waiting, 0);
  t.settle();
  end_all(t, others);
  EXPECT_FALSE(t.dialer.take<StreamOpened>(waiting));
  EXPECT_EQ(t.listener.count<StreamOpened>(), others.size());
  EXPECT_EQ(t.dialer.connection->snapshot().streams_outbound, 0U);
}

inline void too_many_waiting_opens_fail(Conformance& t) {
  std::optional<Error> error;
  for (int i = 0; i < 100'000 && !error; ++i) {
    const auto stream = t.dialer.connection->open_stream(t.pair->now());
    if (!stream) error = stream.error();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::limit_reached);
  EXPECT_FALSE(t.dialer.connection->snapshot().is_closed);
}

inline void big_transfer(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.transfer(t.dialer, s.dialer, t.listener, s.listener, t.random_bytes(3'000'000, 3), 65536);
}

inline void big_transfer_back_to_the_dialer(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.transfer(t.listener, s.listener, t.dialer, s.dialer, t.random_bytes(1'500'000, 4), 262'144);
}

inline void transfer_with_a_pump_of_odd_sizes(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.transfer(t.dialer, s.dialer, t.listener, s.listener, t.random_bytes(300'000, 5), 1237);
}

inline void transfer_with_a_tiny_pump(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.transfer(t.dialer, s.dialer, t.listener, s.listener, t.random_bytes(20'000, 6), 13);
}

inline void transfer_byte_by_byte(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.transfer(t.dialer, s.dialer, t.listener, s.listener, t.random_bytes(2'000, 7), 1);
}

inline void transfers_both_ways_on_one_stream(Conformance& t) {
  const StreamPair s = t.connect_streams();
  const Bytes forth = t.random_bytes(400'000, 8);
  const Bytes back = t.random_bytes(300'000, 9);
  BytesView forth_rest = forth;
  BytesView back_rest = back;
  Bytes forth_got;
  Bytes back_got;
  for (int i = 0; i < 5000 && (forth_got.size() < forth.size() || back_got.size() < back.size()); ++i) {
    forth_rest = forth_rest.subspan(t.write(t.dialer, s.dialer, forth_rest));
    back_rest = back_rest.subspan(t.write(t.listener, s.listener, back_rest));
    (void)t.pair->pump_step(9000);
    t.collect();
    append(forth_got, t.read_all(t.listener, s.listener).bytes);
    append(back_got, t.read_all(t.dialer, s.dialer).bytes);
  }
  EXPECT_TRUE(equal(forth_got, forth));
  EXPECT_TRUE(equal(back_got, back));
}

inline void close_is_seen_on_both_sides(Conformance& t) {
  t.dialer.connection->close(t.pair->now(), Error(Errc::cancelled, "done here"));
  t.settle();
  const auto mine = t.dialer.take<Closed>();
  ASSERT_TRUE(mine);
  EXPECT_EQ(mine->error, Error(Errc::cancelled, "done here"));
  EXPECT_EQ(mine->by, ClosedBy::local);
  const auto theirs = t.listener.take<Closed>();
  ASSERT_TRUE(theirs);
  EXPECT_EQ(theirs->by, ClosedBy::remote);
  EXPECT_TRUE(t.dialer.connection->snapshot().is_closed);
  EXPECT_TRUE(t.listener.connection->snapshot().is_closed);
}

inline void closed_comes_last_and_once(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "last"), 4U);
  t.dialer.connection->close(t.pair->now(), Error(Errc::cancelled));
  t.dialer.connection->close(t.pair->now(), Error(Errc::internal));
  t.settle();
  t.listener.connection->close(t.pair->now(), Error(Errc::cancelled));
  t.pair->cut();
  t.settle();
  t.pair->advance(100s, true);
  t.settle();
  for (const Side* side : {&t.dialer, &t.listener}) {
    EXPECT_EQ(side->count<Closed>(), 1U);
    ASSERT_FALSE(side->events.empty());
    EXPECT_TRUE(std::holds_alternative<Closed>(side->events.back()));
  }
}

inline void what_was_written_before_close_arrives(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "the last word"), 13U);
  t.dialer.connection->finish(s.dialer);
  t.dialer.connection->close(t.pair->now(), Error(Errc::cancelled));
  t.settle();
  const Received received = t.read_all(t.listener, s.listener);
  EXPECT_EQ(as_text(received.bytes), "the last word");
  EXPECT_TRUE(received.is_end);
}

inline void operations_after_close_fail(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->close(t.pair->now(), Error(Errc::cancelled));
  t.settle();
  for (const auto& [side, stream] : {std::pair(&t.dialer, s.dialer), std::pair(&t.listener, s.listener)}) {
    EXPECT_EQ(side->connection->open_stream(t.pair->now()).error().code(), Errc::connection_closed);
    EXPECT_EQ(t.write_error(*side, stream), Errc::connection_closed);
    EXPECT_EQ(t.read_all(*side, stream).error, Errc::connection_closed);
    side->connection->finish(stream);
    side->connection->reset(stream, 0);
    side->connection->stop_sending(stream, 0);
  }
  t.settle();
  EXPECT_EQ(t.dialer.count<Closed>(), 1U);
  EXPECT_EQ(t.listener.count<Closed>(), 1U);
}

inline void close_with_blocked_data_ends_all_the_same(Conformance& t) {
  const StreamPair s = t.connect_streams();
  (void)t.fill(t.dialer, s.dialer);
  t.dialer.connection->close(t.pair->now(), Error(Errc::cancelled));
  t.settle();
  EXPECT_TRUE(t.dialer.take<Closed>());
  EXPECT_TRUE(t.listener.take<Closed>());
}

inline void a_cut_is_seen_on_both_sides(Conformance& t) {
  t.pair->cut();
  t.settle();
  for (Side* side : {&t.dialer, &t.listener}) {
    const auto closed = side->take<Closed>();
    ASSERT_TRUE(closed);
    EXPECT_EQ(closed->by, ClosedBy::transport);
    EXPECT_NE(closed->error.info().kind, ErrorKind::integrity);
  }
}

inline void a_cut_stream_never_looks_finished(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "only a part"), 11U);
  t.settle();
  t.pair->cut();
  t.settle();
  Received received = t.read_all(t.listener, s.listener);
  EXPECT_EQ(as_text(received.bytes), "only a part");  // what had arrived is still there
  EXPECT_FALSE(received.is_end);
  received = t.read_all(t.listener, s.listener);
  EXPECT_FALSE(received.is_end);
  EXPECT_EQ(received.error, Errc::connection_closed);
}

inline void a_silent_peer_is_noticed(Conformance& t) {
  t.pair->advance(120s, false);
  t.settle();
  for (Side* side : {&t.dialer, &t.listener}) {
    const auto closed = side->take<Closed>();
    ASSERT_TRUE(closed);
    EXPECT_EQ(closed->error.code(), Errc::peer_silent);
    EXPECT_EQ(closed->by, ClosedBy::transport);
  }
}

inline void an_idle_connection_stays_alive(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.pair->advance(std::chrono::hours(1), true);
  t.settle();
  EXPECT_EQ(t.dialer.count<Closed>() + t.listener.count<Closed>(), 0U);
  EXPECT_EQ(t.write(t.dialer, s.dialer, "hello again"), 11U);
  t.settle();
  EXPECT_EQ(as_text(t.read_all(t.listener, s.listener).bytes), "hello again");
}

// The two cases that start before the connection is established.
inline void established_comes_first_and_names_the_peer(Conformance& t) {
  t.settle();
  ASSERT_FALSE(t.dialer.events.empty());
  ASSERT_FALSE(t.listener.events.empty());
  const auto* at_dialer = std::get_if<Established>(&t.dialer.events.front());
  const auto* at_listener = std::get_if<Established>(&t.listener.events.front());
  ASSERT_TRUE(at_dialer != nullptr && at_listener != nullptr);
  EXPECT_EQ(at_dialer->peer, t.pair->listener_id());
  EXPECT_EQ(at_listener->peer, t.pair->dialer_id());
  EXPECT_EQ(PeerId::from_public_key(at_dialer->public_key), at_dialer->peer);
  EXPECT_EQ(t.dialer.count<Established>() + t.listener.count<Established>(), 2U);
}

inline void close_before_established_ends_both(Conformance& t) {
  t.dialer.connection->close(t.pair->now(), Error(Errc::cancelled));
  t.settle();
  t.pair->cut();
  t.settle();
  EXPECT_EQ(t.dialer.count<Closed>(), 1U);
  EXPECT_EQ(t.listener.count<Closed>(), 1U);
  EXPECT_EQ(t.dialer.count<Established>(), 0U);
  EXPECT_EQ(t.dialer.connection->open_stream(t.pair->now()).error().code(), Errc::connection_closed);
}

}  // namespace dig::testing
