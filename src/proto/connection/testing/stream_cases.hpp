// SPDX-License-Identifier: Apache-2.0
// Test-only: the cases of the conformance suite about one stream: data, halves, ends, resets, backpressure.
#pragma once

#include "proto/connection/testing/connection_pair.hpp"

namespace dig::testing {

inline void opened_stream_reaches_the_peer(Conformance& t) {
  const StreamId mine = t.open(t.dialer);
  EXPECT_EQ(t.write(t.dialer, mine, "hello"), 5U);
  t.settle();
  const auto opened = t.listener.take<StreamOpened>();
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->direction, Direction::inbound);
  EXPECT_TRUE(t.listener.take<StreamReadable>(opened->stream));
  EXPECT_EQ(as_text(t.read_all(t.listener, opened->stream).bytes), "hello");
}

inline void an_open_that_need_not_wait_gives_no_event(Conformance& t) {
  (void)t.connect_streams();
  EXPECT_EQ(t.dialer.count<StreamOpened>(), 0U);
}

inline void both_sides_may_open(Conformance& t) {
  const StreamId from_dialer = t.open(t.dialer);
  const StreamId from_listener = t.open(t.listener);
  EXPECT_NE(from_dialer, from_listener);
  EXPECT_EQ(t.write(t.dialer, from_dialer, "d"), 1U);
  EXPECT_EQ(t.write(t.listener, from_listener, "l"), 1U);
  t.settle();
  const auto at_listener = t.listener.take<StreamOpened>();
  const auto at_dialer = t.dialer.take<StreamOpened>();
  ASSERT_TRUE(at_listener && at_dialer);
  EXPECT_EQ(as_text(t.read_all(t.listener, at_listener->stream).bytes), "d");
  EXPECT_EQ(as_text(t.read_all(t.dialer, at_dialer->stream).bytes), "l");
}

inline void data_arrives_in_order(Conformance& t) {
  const StreamPair s = t.connect_streams();
  for (const std::string_view piece : {"one ", "two ", "three"})
    EXPECT_EQ(t.write(t.dialer, s.dialer, piece), piece.size());
  t.settle();
  EXPECT_EQ(as_text(t.read_all(t.listener, s.listener).bytes), "one two three");
}

inline void empty_write_takes_nothing_and_sends_nothing(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, ""), 0U);
  t.settle();
  EXPECT_FALSE(t.listener.take<StreamReadable>(s.listener));
  EXPECT_EQ(t.dialer.count<StreamWritable>(), 0U);
}

inline void read_of_nothing_says_wait(Conformance& t) {
  const StreamPair s = t.connect_streams();
  Bytes out(10);
  const auto read = t.listener.connection->read(t.pair->now(), s.listener, out);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size, 0U);
  EXPECT_FALSE(read->is_end);
}

inline void read_into_nothing_loses_nothing(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "data"), 4U);
  t.settle();
  const auto read = t.listener.connection->read(t.pair->now(), s.listener, {});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size, 0U);
  EXPECT_FALSE(read->is_end);
  EXPECT_EQ(as_text(t.read_all(t.listener, s.listener).bytes), "data");
}

inline void small_reads_get_everything(Conformance& t) {
  const StreamPair s = t.connect_streams();
  const Bytes sent = t.random_bytes(5000, 1);
  EXPECT_EQ(t.write(t.dialer, s.dialer, sent), sent.size());
  t.dialer.connection->finish(s.dialer);
  t.settle();
  Bytes got;
  Bytes out(7);
  for (bool is_end = false; !is_end;) {
    const auto read = t.listener.connection->read(t.pair->now(), s.listener, out);
    ASSERT_TRUE(read);
    ASSERT_TRUE(read->size > 0 || read->is_end);
    append(got, BytesView(out).first(read->size));
    is_end = read->is_end;
  }
  EXPECT_TRUE(equal(got, sent));
}

inline void end_comes_after_the_data(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "last words"), 10U);
  t.dialer.connection->finish(s.dialer);
  t.settle();
  const Received received = t.read_all(t.listener, s.listener);
  EXPECT_EQ(as_text(received.bytes), "last words");
  EXPECT_TRUE(received.is_end);
}

inline void end_without_data(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->finish(s.dialer);
  t.settle();
  EXPECT_TRUE(t.listener.take<StreamReadable>(s.listener));
  const Received received = t.read_all(t.listener, s.listener);
  EXPECT_TRUE(received.bytes.empty());
  EXPECT_TRUE(received.is_end);
}

inline void a_stream_may_be_finished_before_anything_was_written(Conformance& t) {
  const StreamId mine = t.open(t.dialer);
  t.dialer.connection->finish(mine);
  t.settle();
  const auto opened = t.listener.take<StreamOpened>();
  ASSERT_TRUE(opened);
  EXPECT_TRUE(t.read_all(t.listener, opened->stream).is_end);
}

inline void end_can_be_read_again_while_the_stream_lives(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->finish(s.dialer);
  t.settle();
  EXPECT_TRUE(t.read_all(t.listener, s.listener).is_end);
  EXPECT_TRUE(t.read_all(t.listener, s.listener).is_end);
}

inline void halves_are_independent(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->finish(s.dialer);
  t.settle();
  EXPECT_TRUE(t.read_all(t.listener, s.listener).is_end);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(t.write(t.listener, s.listener, "still"), 5U);
    t.settle();
    EXPECT_EQ(as_text(t.read_all(t.dialer, s.dialer).bytes), "still");
  }
  t.listener.connection->finish(s.listener);
  t.settle();
  EXPECT_TRUE(t.read_all(t.dialer, s.dialer).is_end);
}

inline void write_after_finish_fails(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->finish(s.dialer);
  EXPECT_EQ(t.write_error(t.dialer, s.dialer), Errc::stream_closed);
  t.settle();
  EXPECT_EQ(t.write_error(t.dialer, s.dialer), Errc::stream_closed);
}

inline void finish_twice_is_harmless(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->finish(s.dialer);
  t.dialer.connection->finish(s.dialer);
  t.settle();
  t.dialer.connection->finish(s.dialer);
  t.settle();
  EXPECT_TRUE(t.read_all(t.listener, s.listener).is_end);
  EXPECT_EQ(t.listener.count<Closed>(), 0U);
}

inline void a_stream_done_both_ways_is_gone(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->finish(s.dialer);
  t.listener.connection->finish(s.listener);
  t.settle();
  EXPECT_TRUE(t.read_all(t.dialer, s.dialer).is_end);
  EXPECT_TRUE(t.read_all(t.listener, s.listener).is_end);
  t.settle();
  EXPECT_EQ(t.dialer.connection->snapshot().streams_outbound, 0U);
  EXPECT_EQ(t.listener.connection->snapshot().streams_inbound, 0U);
  EXPECT_EQ(t.read_all(t.dialer, s.dialer).error, Errc::stream_closed);
  EXPECT_EQ(t.write_error(t.listener, s.listener), Errc::stream_closed);
  EXPECT_EQ(t.dialer.count<StreamReset>() + t.listener.count<StreamReset>(), 0U);
}

inline void readable_is_edge_triggered(Conformance& t) {
  const StreamPair s = t.connect_streams();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(t.write(t.dialer, s.dialer, "ab"), 2U);
    t.settle();
  }
  EXPECT_TRUE(t.listener.take<StreamReadable>(s.listener));
  EXPECT_FALSE(t.listener.take<StreamReadable>(s.listener));
  EXPECT_EQ(as_text(t.read_all(t.listener, s.listener).bytes), "ababab");
  EXPECT_EQ(t.write(t.dialer, s.dialer, "cd"), 2U);
  t.settle();
  EXPECT_TRUE(t.listener.take<StreamReadable>(s.listener));
}

inline void no_readable_before_everything_was_read(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "abc"), 3U);
  t.settle();
  EXPECT_TRUE(t.listener.take<StreamReadable>(s.listener));
  Bytes one(1);
  ASSERT_TRUE(t.listener.connection->read(t.pair->now(), s.listener, one));
  EXPECT_EQ(t.write(t.dialer, s.dialer, "def"), 3U);
  t.settle();
  EXPECT_FALSE(t.listener.take<StreamReadable>(s.listener));
  EXPECT_EQ(as_text(t.read_all(t.listener, s.listener).bytes), "bcdef");
}

inline void a_write_takes_what_fits(Conformance& t) {
  const StreamPair s = t.connect_streams();
  const std::size_t taken = t.fill(t.dialer, s.dialer);
  EXPECT_GT(taken, 0U);
  t.dialer.events.clear();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "more"), 0U);
  t.settle();
  EXPECT_FALSE(t.dialer.take<StreamWritable>(s.dialer));
  std::size_t received = 0;
  for (std::size_t last = 1; last > 0; t.settle()) received += last = t.read_all(t.listener, s.listener).bytes.size();
  EXPECT_EQ(received, taken);
}

inline void writable_comes_when_the_reader_made_room(Conformance& t) {
  const StreamPair s = t.connect_streams();
  (void)t.fill(t.dialer, s.dialer);
  t.dialer.events.clear();
  for (int i = 0; i < 5; ++i) {
    (void)t.read_all(t.listener, s.listener);
    t.settle();
  }
  EXPECT_TRUE(t.dialer.take<StreamWritable>(s.dialer));
  EXPECT_FALSE(t.dialer.take<StreamWritable>(s.dialer));
  EXPECT_GT(t.write(t.dialer, s.dialer, "more"), 0U);
}

inline void no_writable_without_a_short_write(Conformance& t) {
  const StreamPair s = t.connect_streams();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(t.write(t.dialer, s.dialer, "small"), 5U);
    t.settle();
    (void)t.read_all(t.listener, s.listener);
  }
  EXPECT_EQ(t.dialer.count<StreamWritable>(), 0U);
}

inline void finish_while_blocked_comes_after_all_data(Conformance& t) {
  const StreamPair s = t.connect_streams();
  const std::size_t taken = t.fill(t.dialer, s.dialer);
  t.dialer.connection->finish(s.dialer);
  Received received;
  std::size_t total = 0;
  for (int i = 0; i < 100 && !received.is_end; ++i) {
    received = t.read_all(t.listener, s.listener);
    total += received.bytes.size();
    t.settle();
  }
  EXPECT_TRUE(received.is_end);
  EXPECT_EQ(total, taken);
}

inline void reset_reaches_the_peer(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->reset(s.dialer, 42);
  t.settle();
  const auto reset = t.listener.take<StreamReset>(s.listener);
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->code, t.pair->carries_codes() ? 42U : 0U);
  EXPECT_EQ(t.write_error(t.listener, s.listener), Errc::stream_closed);
  EXPECT_EQ(t.read_all(t.listener, s.listener).error, Errc::stream_closed);
}

inline void reset_gives_no_event_to_who_resets(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->reset(s.dialer, 1);
  t.settle();
  EXPECT_EQ(t.dialer.count<StreamReset>(), 0U);
  EXPECT_EQ(t.write_error(t.dialer, s.dialer), Errc::stream_closed);
  EXPECT_EQ(t.read_all(t.dialer, s.dialer).error, Errc::stream_closed);
}

inline void reset_by_the_reader_stops_the_writer(Conformance& t) {
  const StreamPair s = t.connect_streams();
  (void)t.fill(t.dialer, s.dialer);
  t.listener.connection->reset(s.listener, 7);
  t.settle();
  EXPECT_TRUE(t.dialer.take<StreamReset>(s.dialer));
  EXPECT_EQ(t.write_error(t.dialer, s.dialer), Errc::stream_closed);
}

inline void reset_drops_what_was_not_read(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "never read"), 10U);
  t.settle();
  t.dialer.connection->reset(s.dialer, 0);
  t.settle();
  EXPECT_TRUE(t.listener.take<StreamReset>(s.listener));
  EXPECT_EQ(t.listener.connection->snapshot().buffered_bytes, 0U);
}

inline void reset_while_blocked_frees_everything(Conformance& t) {
  const StreamPair s = t.connect_streams();
  (void)t.fill(t.dialer, s.dialer);
  t.dialer.connection->reset(s.dialer, 0);
  t.settle();
  EXPECT_EQ(t.dialer.connection->snapshot().buffered_bytes, 0U);
  EXPECT_EQ(t.listener.connection->snapshot().buffered_bytes, 0U);
  t.listener.events.clear();
  const StreamPair next = t.connect_streams();
  EXPECT_NE(next.dialer, s.dialer);
}

inline void resets_that_cross_are_harmless(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->reset(s.dialer, 1);
  t.listener.connection->reset(s.listener, 2);
  t.settle();
  EXPECT_EQ(t.dialer.count<StreamReset>() + t.listener.count<StreamReset>(), 0U);
  EXPECT_EQ(t.dialer.count<Closed>() + t.listener.count<Closed>(), 0U);
  (void)t.connect_streams();
}

inline void reset_after_finish_still_resets(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.dialer.connection->finish(s.dialer);
  t.settle();
  t.dialer.connection->reset(s.dialer, 0);
  t.settle();
  EXPECT_TRUE(t.listener.take<StreamReset>(s.listener));
  EXPECT_EQ(t.write_error(t.listener, s.listener), Errc::stream_closed);
}

inline void reset_at_once_after_open_leaves_nothing(Conformance& t) {
  const StreamId mine = t.open(t.dialer);
  t.dialer.connection->reset(mine, 0);
  t.settle();
  EXPECT_EQ(t.dialer.connection->snapshot().streams_outbound, 0U);
  EXPECT_EQ(t.listener.connection->snapshot().streams_inbound, 0U);
  t.listener.events.clear();  // a kind may announce the stream before its reset
  (void)t.connect_streams();
}

inline void stop_sending_ends_the_read_half_only(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "unwanted"), 8U);
  t.settle();
  t.listener.connection->stop_sending(s.listener, 5);
  EXPECT_EQ(t.read_all(t.listener, s.listener).error, Errc::stream_closed);
  EXPECT_EQ(t.write(t.listener, s.listener, "my answer"), 9U);
  t.settle();
  EXPECT_EQ(as_text(t.read_all(t.dialer, s.dialer).bytes), "my answer");
  EXPECT_EQ(t.listener.connection->snapshot().buffered_bytes, 0U);
}

inline void stop_sending_tells_the_peer_where_the_wire_can(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.listener.connection->stop_sending(s.listener, 5);
  t.settle();
  const auto stopped = t.dialer.take<StreamStopped>(s.dialer);
  EXPECT_EQ(stopped.has_value(), t.pair->carries_stop());
  EXPECT_EQ(stopped ? stopped->code : 5U, t.pair->carries_codes() || !stopped ? 5U : 0U);
}

inline void after_stop_sending_a_writer_does_not_go_on_for_ever(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.listener.connection->stop_sending(s.listener, 0);
  t.settle();
  const Bytes piece(100'000);
  std::size_t total = 0;
  while (total < (64U << 20U)) {
    const auto taken = t.dialer.connection->write(s.dialer, piece);
    if (!taken || *taken == 0) break;
    total += *taken;
    t.settle();
  }
  EXPECT_LT(total, 64U << 20U);
  EXPECT_EQ(t.listener.connection->snapshot().buffered_bytes, 0U);
}

inline void stop_sending_does_not_harm_the_answer(Conformance& t) {
  const StreamPair s = t.connect_streams();
  EXPECT_EQ(t.write(t.dialer, s.dialer, "a request with too much"), 23U);
  t.settle();
  t.listener.connection->stop_sending(s.listener, 0);
  EXPECT_EQ(t.write(t.listener, s.listener, "the answer"), 10U);
  t.listener.connection->finish(s.listener);
  t.dialer.connection->finish(s.dialer);
  t.settle();
  const Received received = t.read_all(t.dialer, s.dialer);
  EXPECT_EQ(as_text(received.bytes), "the answer");
  EXPECT_TRUE(received.is_end);
  t.settle();
  EXPECT_EQ(t.listener.connection->snapshot().streams_inbound, 0U);
  EXPECT_EQ(t.dialer.connection->snapshot().streams_outbound, 0U);
}

inline void stop_sending_twice_is_harmless(Conformance& t) {
  const StreamPair s = t.connect_streams();
  t.listener.connection->stop_sending(s.listener, 1);
  t.listener.connection->stop_sending(s.listener, 2);
  t.settle();
  t.listener.connection->stop_sending(s.listener, 3);
  t.settle();
  EXPECT_LE(t.dialer.count<StreamStopped>(), 1U);
  EXPECT_EQ(t.dialer.count<Closed>(), 0U);
}

}  // namespace dig::testing
