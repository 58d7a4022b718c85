// SPDX-License-Identifier: Apache-2.0
#include "node/app_stream.hpp"

#include <gtest/gtest.h>

#include <deque>

namespace dig::node {
namespace {

struct Sink final : AppStreamSink {
  void put(NodeOutput output) override { outputs.push_back(std::move(output)); }
  void add_app_stream(AppStream& /*stream*/) override { ++known; }
  void remove_app_stream(AppStream& /*stream*/) override { --known; }
  void keep_rest(AppStream& /*stream*/, AppStreamRest rest) override { rests.push_back(std::move(rest)); }

  std::deque<NodeOutput> outputs;
  std::deque<AppStreamRest> rests;
  int known = 0;
};

struct AppStreamTest : ::testing::Test {
  // One that the peer opened.
  AppStreamTest() { stream.handle_opened(StreamId{7}); }
  template <class Output>
  Output next() {
    if (sink.outputs.empty()) throw std::runtime_error("nothing was told");
    Output output = std::get<Output>(std::move(sink.outputs.front()));
    sink.outputs.pop_front();
    return output;
  }
  void receive(std::string_view text) {
    const MutableBytes space = stream.receive_space();
    ASSERT_GE(space.size(), text.size());
    std::ranges::copy(as_bytes(text), space.begin());
    stream.handle_received(now, text.size());
  }
  static Errc code(const Result<void>& result) { return result ? Errc::internal : result.error().code(); }

  Instant now{1s};
  Sink sink;
  AppStream stream{sink, ConnectionId{3}, PeerId(), "/app/1"};
};

TEST_F(AppStreamTest, what_nobody_read_before_the_connection_closed_is_kept_with_the_reason) {
  EXPECT_TRUE(stream.handle_rest(as_bytes("ab"), false));
  EXPECT_TRUE(stream.handle_rest(as_bytes("c"), true));
  stream.handle_closed(now, Error(Errc::connection_reset));
  ASSERT_EQ(sink.rests.size(), 1U);
  EXPECT_EQ(as_text(sink.rests.front().bytes), "abc");
  EXPECT_TRUE(sink.rests.front().has_end);
  EXPECT_EQ(sink.rests.front().why.code(), Errc::connection_reset);

  AppStream stopped(sink, ConnectionId{3}, PeerId(), "/app/1");
  stopped.handle_opened(StreamId{8});
  stopped.stop_reading();
  EXPECT_FALSE(stopped.handle_rest(as_bytes("x"), false));
  stopped.handle_closed(now, Error(Errc::connection_reset));

  AppStream reading(sink, ConnectionId{3}, PeerId(), "/app/1");
  reading.handle_opened(StreamId{9});
  reading.read(8);
  reading.handle_closed(now, Error(Errc::connection_reset));
  EXPECT_EQ(code(next<AppRead>().result), Errc::connection_reset);
  EXPECT_EQ(sink.rests.size(), 1U);  // whoever reads was told, whoever stopped needs nothing
}

TEST_F(AppStreamTest, takes_only_what_was_asked_for) {
  EXPECT_TRUE(stream.receive_space().empty());
  stream.read(4);
  EXPECT_EQ(stream.receive_space().size(), 4U);
  receive("abc");
  const auto read = next<AppRead>();
  EXPECT_EQ(read.connection, ConnectionId{3});
  EXPECT_EQ(read.stream, StreamId{7});
  EXPECT_TRUE(read.result);
  EXPECT_EQ(as_text(read.bytes), "abc");
  EXPECT_FALSE(read.is_end);
  EXPECT_TRUE(stream.receive_space().empty());
  stream.read(std::size_t{1} << 40U);
  EXPECT_EQ(stream.receive_space().size(), AppStream::max_read);
}

TEST_F(AppStreamTest, one_read_of_at_least_a_byte_waits_at_a_time) {
  stream.read(0);
  EXPECT_EQ(code(next<AppRead>().result), Errc::invalid_argument);
  stream.read(1);
  stream.read(1);
  EXPECT_EQ(code(next<AppRead>().result), Errc::invalid_argument);
  EXPECT_TRUE(sink.outputs.empty());
}

TEST_F(AppStreamTest, the_end_is_told_to_the_read_that_waits_or_the_next) {
  stream.read(8);
  stream.handle_eof(now);
  const auto end = next<AppRead>();
  EXPECT_TRUE(end.result && end.is_end && end.bytes.empty());
  EXPECT_TRUE(stream.may_end());

  AppStream late(sink, ConnectionId{3}, PeerId(), "/app/1");
  late.handle_opened(StreamId{8});
  late.handle_eof(now);
  EXPECT_FALSE(late.may_end());
  late.read(8);
  EXPECT_TRUE(next<AppRead>().is_end);
  EXPECT_TRUE(late.may_end());
}

TEST_F(AppStreamTest, a_write_is_answered_when_all_of_it_is_taken) {
  stream.write(to_bytes("hello"));
  stream.write(to_bytes("world"));
  EXPECT_EQ(code(next<AppWritten>().result), Errc::invalid_argument);
  EXPECT_EQ(as_text(stream.output(now)), "hello");
  stream.handle_written(now, 2);
  EXPECT_EQ(as_text(stream.output(now)), "llo");
  EXPECT_TRUE(sink.outputs.empty());
  stream.finish();
  EXPECT_FALSE(stream.has_finished_writing());
  stream.handle_written(now, 3);
  EXPECT_TRUE(next<AppWritten>().result);
  EXPECT_TRUE(stream.has_finished_writing());
  stream.write(to_bytes("late"));
  EXPECT_EQ(code(next<AppWritten>().result), Errc::stream_closed);
  EXPECT_TRUE(sink.outputs.empty());
}

TEST_F(AppStreamTest, a_write_of_nothing_is_done_at_once) {
  stream.write({});
  EXPECT_TRUE(next<AppWritten>().result);
  EXPECT_TRUE(stream.output(now).empty());
}

TEST_F(AppStreamTest, a_reader_that_stops_is_answered_and_keeps_nothing_alive) {
  stream.read(8);
  stream.stop_reading();
  EXPECT_EQ(code(next<AppRead>().result), Errc::stream_closed);
  EXPECT_TRUE(stream.receive_space().empty());
  EXPECT_TRUE(stream.may_end());
  stream.read(8);
  EXPECT_EQ(code(next<AppRead>().result), Errc::stream_closed);
  stream.write(to_bytes("x"));
  EXPECT_FALSE(stream.may_end());
}

TEST_F(AppStreamTest, what_waits_when_the_stream_goes_is_answered_with_the_reason) {
  stream.read(8);
  stream.write(to_bytes("x"));
  stream.handle_closed(now, Error(Errc::stream_reset));
  EXPECT_EQ(code(next<AppRead>().result), Errc::stream_reset);
  EXPECT_EQ(code(next<AppWritten>().result), Errc::stream_reset);
  EXPECT_TRUE(sink.outputs.empty());
}

TEST_F(AppStreamTest, an_opening_is_answered_once) {
  {
    AppStream good(sink, ConnectionId{3}, PeerId(), OperationId{5});
    good.handle_opened(StreamId{9});
    good.handle_negotiated(now);
    const auto opened = next<AppStreamOpened>();
    EXPECT_EQ(opened.operation, OperationId{5});
    EXPECT_EQ(opened.result, StreamId{9});
    good.handle_closed(now, Error(Errc::connection_closed));
    EXPECT_TRUE(sink.outputs.empty());

    AppStream refused(sink, ConnectionId{3}, PeerId(), OperationId{6});
    refused.handle_opened(StreamId{10});
    refused.handle_closed(now, Error(Errc::protocol_not_supported));
    EXPECT_EQ(next<AppStreamOpened>().result, fail(Errc::protocol_not_supported));
    EXPECT_TRUE(sink.outputs.empty());
    EXPECT_EQ(sink.known, 3);
  }
  EXPECT_EQ(sink.known, 1);
}

}  // namespace
}  // namespace dig::node
