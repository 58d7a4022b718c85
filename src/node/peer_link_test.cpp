// SPDX-License-Identifier: Apache-2.0
#include "node/peer_link.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <functional>

#include "base/rng.hpp"
#include "proto/connection/yamux_connection.hpp"
#include "wire/identity.hpp"

namespace dig::node {
namespace {

// What a handler was told, and what it is to do; outlives it.
struct Record {
  Bytes to_send;
  bool wants_finish = true;  // after what it has to send
  bool is_reading = true;
  std::optional<Error> failure;
  Bytes received;
  int opened = 0;
  int negotiated = 0;
  int ends = 0;
  std::vector<Errc> closed;
};
using RecordPointer = std::shared_ptr<Record>;

class Handler final : public StreamHandler {
 public:
  explicit Handler(RecordPointer record) : record_(std::move(record)) {}

  void handle_opened(StreamId /*stream*/) override { ++record_->opened; }
  void handle_negotiated(Instant /*now*/) override { ++record_->negotiated; }
  MutableBytes receive_space() override { return record_->is_reading ? MutableBytes(space_) : MutableBytes(); }
  void handle_received(Instant /*now*/, std::size_t size) override {
    append(record_->received, BytesView(space_).first(size));
  }
  void handle_eof(Instant /*now*/) override { ++record_->ends; }
  BytesView output(Instant /*now*/) override { return BytesView(record_->to_send).subspan(sent_); }
  void handle_written(Instant /*now*/, std::size_t size) override { sent_ += size; }
  bool has_finished_writing() const override { return record_->wants_finish && sent_ == record_->to_send.size(); }
  std::optional<Error> failure() const override { return record_->failure; }
  void handle_closed(Instant /*now*/, const Error& why) override { record_->closed.push_back(why.code()); }

 private:
  RecordPointer record_;
  std::array<std::byte, 700> space_;
  std::size_t sent_ = 0;
};

struct Host final : ProtocolHost {
  const std::vector<std::string>& supported_protocols() const override { return protocols; }
  std::unique_ptr<StreamHandler> make_handler(Instant /*now*/, PeerLink& /*link*/,
                                              const std::string& /*protocol*/) override {
    if (accepting.empty()) return nullptr;
    auto handler = std::make_unique<Handler>(accepting.front());
    accepting.pop_front();
    return handler;
  }
  void handle_established(Instant /*now*/, PeerLink& /*link*/) override { ++established; }
  void handle_link_closed(Instant /*now*/, PeerLink& /*link*/, const Error& why) override {
    closed.push_back(why.code());
  }
  void handle_link_active(PeerLink& /*link*/) override {}

  std::vector<std::string> protocols{"/first/1", "/second/1"};
  std::deque<RecordPointer> accepting;  // one for each stream to come; none: refused
  int established = 0;
  std::vector<Errc> closed;
};

constexpr PeerLink::Limits k_limits{.negotiation = 10s, .max_negotiating = 2};

struct PeerLinkTest : ::testing::Test {
  std::unique_ptr<YamuxConnection> connection(Direction direction, const Identity& identity) {
    const upgrade::Config config{.direction = direction, .identity = identity, .expected_peer = std::nullopt};
    return std::make_unique<YamuxConnection>(config, yamux::Limits(), rng, now);
  }
  PeerLink link(Direction direction, const Identity& identity, Host& host) {
    return {ConnectionId{1}, direction, LinkPath(), connection(direction, identity), host, k_limits};
  }
  template <class From, class To>
  bool carry(From& from, To& to, std::size_t step) {
    Bytes out(step);
    const std::size_t size = from.poll_bytes(now, out);
    to.handle_bytes(now, BytesView(out).first(size));
    return size > 0;
  }
  template <class A, class B>
  void settle(A& a, B& b, std::size_t step = 65536) {
    while (carry(a, b, step) | carry(b, a, step)) {
    }
  }
  void settle() { settle(dialer, listener); }
  StreamId open(const RecordPointer& mine, const std::string& protocol = "/first/1") {
    const auto stream = dialer.open(now, protocol, std::make_unique<Handler>(mine));
    EXPECT_TRUE(stream);
    return stream.value_or(StreamId{});
  }
  static RecordPointer record(std::string_view text, bool wants_finish = true) {
    return std::make_shared<Record>(Record{.to_send = to_bytes(text), .wants_finish = wants_finish});
  }

  SeededRng rng{5};
  Instant now{100s};
  Identity first = Identity::generate(rng);
  Identity second = Identity::generate(rng);
  Host dialing;
  Host listening;
  PeerLink dialer = link(Direction::outbound, first, dialing);
  PeerLink listener = link(Direction::inbound, second, listening);
};

TEST_F(PeerLinkTest, streams_agree_on_a_protocol_carry_both_ways_and_end) {
  for (const std::size_t step : {std::size_t{1}, std::size_t{777}, std::size_t{65536}}) {
    const std::size_t size = step == 1 ? 3000 : 600'000;  // beyond the first window where it is quick
    const auto mine = std::make_shared<Record>(Record{.to_send = Bytes(size, std::byte{'m'})});
    const auto theirs = std::make_shared<Record>(Record{.to_send = Bytes(size + 1, std::byte{'t'})});
    listening.accepting = {theirs};
    settle();
    (void)open(mine, "/second/1");
    settle(dialer, listener, step);
    EXPECT_EQ(mine->negotiated, 1);
    EXPECT_EQ(theirs->opened, 1);
    EXPECT_TRUE(equal(mine->received, theirs->to_send));
    EXPECT_TRUE(equal(theirs->received, mine->to_send));
    for (const auto& end : {mine, theirs}) {
      EXPECT_EQ(end->ends, 1);
      EXPECT_TRUE(end->closed.empty());
    }
    EXPECT_EQ(dialer.snapshot().streams_outbound, 0U);
  }
  EXPECT_EQ(dialing.established, 1);
  EXPECT_EQ(listener.peer(), first.peer_id());
}

TEST_F(PeerLinkTest, what_comes_right_behind_the_negotiation_waits_for_its_reader) {
  const auto mine = record("");
  mine->is_reading = false;
  listening.accepting = {record("greeting")};
  settle();
  const StreamId stream = open(mine);
  settle();
  EXPECT_EQ(mine->negotiated, 1);
  EXPECT_TRUE(mine->received.empty());
  EXPECT_EQ(mine->ends, 0);
  mine->is_reading = true;
  dialer.service(now, stream);
  EXPECT_EQ(as_text(mine->received), "greeting");
  EXPECT_EQ(mine->ends, 1);
}

TEST_F(PeerLinkTest, a_protocol_that_is_not_spoken_is_refused) {
  settle();
  const auto mine = record("unheard");
  (void)open(mine, "/third/1");
  settle();
  EXPECT_EQ(mine->negotiated, 0);
  EXPECT_EQ(mine->closed, std::vector{Errc::protocol_not_supported});
  EXPECT_TRUE(dialer.idle_since());
  EXPECT_TRUE(listener.idle_since());
}

TEST_F(PeerLinkTest, a_handler_that_the_host_refuses_is_a_reset) {
  settle();
  const auto mine = record("unheard");
  (void)open(mine);
  settle();
  EXPECT_EQ(mine->closed, std::vector{Errc::stream_reset});
  EXPECT_TRUE(listener.idle_since());
}

TEST_F(PeerLinkTest, a_reset_and_a_failure_end_both_sides_once) {
  settle();
  for (const bool by_failure : {false, true}) {
    const auto mine = record("", false);
    const auto theirs = record("", false);
    listening.accepting = {theirs};
    const StreamId stream = open(mine);
    settle();
    if (by_failure) {
      mine->failure = Error(Errc::protocol_violation);
      dialer.service(now, stream);
    } else {
      dialer.reset(now, stream, 0, Error(Errc::protocol_violation));
    }
    settle();
    EXPECT_EQ(mine->closed, std::vector{Errc::protocol_violation});
    EXPECT_EQ(theirs->closed, std::vector{Errc::stream_reset});
    dialer.reset(now, stream, 0, Error(Errc::internal));
    dialer.service(now, stream);
    EXPECT_EQ(mine->closed.size(), 1U);
  }
  EXPECT_TRUE(dialer.idle_since() && listener.idle_since());
}

TEST_F(PeerLinkTest, the_end_of_the_connection_is_the_end_of_every_stream) {
  settle();
  const auto mine = record("", false);
  const auto theirs = record("", false);
  const auto negotiating = record("");
  listening.accepting = {theirs};
  (void)open(mine);
  settle();
  (void)open(negotiating);
  dialer.close(now, Error(Errc::cancelled));
  settle();
  listener.handle_eof(now);
  EXPECT_EQ(mine->closed, std::vector{Errc::cancelled});
  EXPECT_EQ(negotiating->closed, std::vector{Errc::cancelled});
  EXPECT_EQ(theirs->closed.size(), 1U);
  EXPECT_EQ(dialing.closed, std::vector{Errc::cancelled});
  EXPECT_EQ(listening.closed.size(), 1U);
  dialer.close(now, Error(Errc::internal));
  EXPECT_EQ(dialing.closed.size(), 1U);
  EXPECT_FALSE(dialer.open(now, "/first/1", std::make_unique<Handler>(record(""))));
}

TEST_F(PeerLinkTest, a_stream_that_agrees_on_nothing_ends_in_time) {
  const auto bare = connection(Direction::inbound, second);
  settle(dialer, *bare);
  const auto mine = record("unheard");
  (void)open(mine);
  settle(dialer, *bare);
  const auto deadline = dialer.next_timeout();
  ASSERT_TRUE(deadline);
  EXPECT_LE(*deadline, now + k_limits.negotiation);
  dialer.handle_timeout(now + k_limits.negotiation);
  EXPECT_EQ(mine->closed, std::vector{Errc::phase_timeout});
  EXPECT_TRUE(dialer.idle_since());
}

TEST_F(PeerLinkTest, a_peer_may_leave_only_so_many_streams_without_a_protocol) {
  const auto bare = connection(Direction::outbound, first);
  settle(*bare, listener);
  std::vector<StreamId> streams;
  for (std::size_t i = 0; i < k_limits.max_negotiating + 1; ++i) {
    streams.push_back(*bare->open_stream(now));
    EXPECT_TRUE(bare->write(streams.back(), as_bytes("\x13")));
  }
  settle(*bare, listener);
  std::vector<StreamId> resets;
  const auto collect = [&] {
    while (const auto event = bare->poll_event()) {
      if (const auto* reset = std::get_if<StreamReset>(&*event)) resets.push_back(reset->stream);
    }
  };
  collect();
  EXPECT_EQ(resets, std::vector{streams.back()});
  // Their time over, the others make room.
  now = now + k_limits.negotiation;
  listener.handle_timeout(now);
  settle(*bare, listener);
  collect();
  EXPECT_EQ(resets.size(), streams.size());
  EXPECT_TRUE(listener.idle_since());
  const auto again = *bare->open_stream(now);
  EXPECT_TRUE(bare->write(again, as_bytes("\x13")));
  settle(*bare, listener);
  collect();
  EXPECT_EQ(resets.size(), streams.size());
}

TEST_F(PeerLinkTest, who_stops_reading_can_still_write) {
  settle();
  const auto mine = record("", false);
  const auto theirs = record("nobody reads this", false);
  listening.accepting = {theirs};
  mine->is_reading = false;
  const StreamId stream = open(mine);
  settle();
  dialer.stop_sending(now, stream, 0);
  mine->to_send = to_bytes("still here");
  mine->wants_finish = true;
  dialer.service(now, stream);
  settle();
  EXPECT_EQ(as_text(theirs->received), "still here");
  EXPECT_EQ(theirs->ends, 1);
  EXPECT_EQ(mine->ends, 0);
  EXPECT_TRUE(dialer.idle_since());
}

}  // namespace
}  // namespace dig::node
