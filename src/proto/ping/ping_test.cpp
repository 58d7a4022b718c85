// SPDX-License-Identifier: Apache-2.0
#include "proto/ping/ping.hpp"

#include <gtest/gtest.h>

namespace dig::ping {
namespace {

class PingTest : public ::testing::Test {
 protected:
  static Bytes poll_all(auto& side) {
    Bytes out(4096);
    out.resize(side.poll_bytes(out));
    return out;
  }
  static Errc error(Initiator& initiator) {
    const auto result = initiator.take_result();
    EXPECT_TRUE(result && !*result);
    return result && !*result ? result->error().code() : Errc::internal;
  }

  SeededRng rng{1};
  Instant now{std::chrono::seconds(10)};
  Initiator initiator;
  Responder responder;
};

TEST_F(PingTest, MeasuresTheRoundTripAgainAndAgain) {
  Bytes last;
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(initiator.start(now, rng).has_value());
    const Bytes payload = poll_all(initiator);
    EXPECT_EQ(payload.size(), k_payload_size);
    EXPECT_NE(payload, last) << "each ping has its own bytes";
    last = payload;
    EXPECT_EQ(responder.handle_bytes(payload), payload.size());
    const Bytes echo = poll_all(responder);
    EXPECT_EQ(echo, payload);
    now = now + std::chrono::milliseconds(20);
    initiator.handle_bytes(now, echo);
    const auto result = initiator.take_result();
    ASSERT_TRUE(result && *result);
    EXPECT_EQ(**result, std::chrono::milliseconds(20));
    EXPECT_FALSE(initiator.take_result().has_value());
    EXPECT_FALSE(initiator.next_timeout().has_value());
  }
  EXPECT_EQ(initiator.snapshot().pings_done, 3u);
  EXPECT_EQ(responder.snapshot().echoes, 3u);
}

TEST_F(PingTest, AnySegmentationWorks) {
  ASSERT_TRUE(initiator.start(now, rng).has_value());
  std::byte one;
  Bytes echoed;
  while (initiator.poll_bytes({&one, 1}) == 1) EXPECT_EQ(responder.handle_bytes({&one, 1}), 1u);
  while (responder.poll_bytes({&one, 1}) == 1) initiator.handle_bytes(now, {&one, 1});
  const auto result = initiator.take_result();
  EXPECT_TRUE(result && *result);
}

TEST_F(PingTest, AnotherAnswerIsRefused) {
  ASSERT_TRUE(initiator.start(now, rng).has_value());
  Bytes payload = poll_all(initiator);
  payload[31] ^= std::byte{1};
  initiator.handle_bytes(now, payload);
  EXPECT_EQ(error(initiator), Errc::protocol_violation);
  EXPECT_FALSE(initiator.start(now, rng).has_value()) << "a failure is final";
}

TEST_F(PingTest, BytesThatNobodyAskedForAreRefused) {
  initiator.handle_bytes(now, as_bytes("x"));
  EXPECT_EQ(error(initiator), Errc::protocol_violation);
  Initiator other;
  ASSERT_TRUE(other.start(now, rng).has_value());
  Bytes payload = poll_all(other);
  payload.push_back(std::byte{0});
  other.handle_bytes(now, payload);
  EXPECT_EQ(error(other), Errc::protocol_violation);
}

TEST_F(PingTest, AnAnswerBeforeTheQuestionIsRefused) {
  ASSERT_TRUE(initiator.start(now, rng).has_value());
  SeededRng same(1);
  initiator.handle_bytes(now, same.array<k_payload_size>());
  EXPECT_EQ(error(initiator), Errc::protocol_violation);
}

TEST_F(PingTest, OnlyOneIsOnItsWay) {
  ASSERT_TRUE(initiator.start(now, rng).has_value());
  EXPECT_EQ(initiator.start(now, rng).error().code(), Errc::invalid_argument);
}

// However late the owner looks at its timers.
TEST_F(PingTest, AnAnswerThatComesTooLateIsNone) {
  ASSERT_TRUE(initiator.start(now, rng).has_value());
  const Bytes payload = poll_all(initiator);
  initiator.handle_bytes(now, BytesView(payload).first(k_payload_size - 1));
  initiator.handle_bytes(now + InitiatorLimits{}.timeout, BytesView(payload).last(1));
  EXPECT_EQ(error(initiator), Errc::timed_out);
}

TEST_F(PingTest, SilenceTimesOut) {
  ASSERT_TRUE(initiator.start(now, rng).has_value());
  EXPECT_EQ(initiator.next_timeout(), now + InitiatorLimits{}.timeout);
  initiator.handle_timeout(now + InitiatorLimits{}.timeout - Duration(1));
  EXPECT_FALSE(initiator.take_result().has_value());
  initiator.handle_timeout(now + InitiatorLimits{}.timeout);
  EXPECT_EQ(error(initiator), Errc::timed_out);
}

TEST_F(PingTest, EndOfStreamFails) {
  ASSERT_TRUE(initiator.start(now, rng).has_value());
  initiator.handle_eof(now);
  EXPECT_EQ(error(initiator), Errc::stream_closed);
}

TEST_F(PingTest, EchoesAreBoundedByWhatThePeerReads) {
  const std::size_t limit = ResponderLimits{}.pending_payloads * k_payload_size;
  const Bytes flood(1 << 20, std::byte{7});
  EXPECT_EQ(responder.handle_bytes(flood), limit);
  EXPECT_EQ(responder.handle_bytes(flood), 0u);
  EXPECT_EQ(responder.snapshot().buffered_bytes, limit);
  Bytes out(33);
  EXPECT_EQ(responder.poll_bytes(out), 33u);
  EXPECT_EQ(responder.handle_bytes(flood), k_payload_size) << "room for the one that has left completely";
}

TEST_F(PingTest, PartOfAPayloadIsNotEchoed) {
  EXPECT_EQ(responder.handle_bytes(Bytes(40)), 40u);
  EXPECT_EQ(poll_all(responder).size(), 32u);
  EXPECT_FALSE(responder.is_done());
  responder.handle_eof();
  EXPECT_TRUE(responder.is_done());
  EXPECT_TRUE(poll_all(responder).empty());
}

TEST_F(PingTest, ResponderIsDoneAfterTheLastEcho) {
  EXPECT_EQ(responder.handle_bytes(Bytes(32)), 32u);
  responder.handle_eof();
  EXPECT_FALSE(responder.is_done());
  EXPECT_EQ(poll_all(responder).size(), 32u);
  EXPECT_TRUE(responder.is_done());
}

}  // namespace
}  // namespace dig::ping
