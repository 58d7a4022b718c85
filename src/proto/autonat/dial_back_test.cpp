// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/dial_back.hpp"

#include <gtest/gtest.h>

namespace dig::autonat {
namespace {

class DialBackTest : public ::testing::Test {
 protected:
  static Bytes poll_all(auto& side) {
    Bytes out(4096);
    out.resize(side.poll_bytes(out));
    return out;
  }
  static Bytes framed(BytesView message) {
    Bytes out;
    append_frame(out, message);
    return out;
  }
  Errc error_of(BytesView bytes, bool is_end) {
    DialBackReceiver fresh(now, k_dial_back_timeout);
    fresh.handle_bytes(now, bytes);
    if (is_end) fresh.handle_eof(now);
    const auto result = fresh.take_result();
    EXPECT_TRUE(result && !*result);
    EXPECT_FALSE(fresh.next_timeout());
    EXPECT_FALSE(fresh.is_done());
    return result && !*result ? result->error().code() : Errc::internal;
  }

  Instant now{1h};
  DialBackSender sender{now, DialBack{0x42}, k_dial_back_timeout};
  DialBackReceiver receiver{now, k_dial_back_timeout};
};

TEST_F(DialBackTest, TheNonceArrivesAndTheServerKnows) {
  receiver.handle_bytes(now, poll_all(sender));
  const auto request = receiver.take_result();
  ASSERT_TRUE(request && *request);
  EXPECT_EQ((*request)->nonce, 0x42u);
  EXPECT_FALSE(receiver.take_result()) << "once";
  EXPECT_FALSE(receiver.is_done());
  receiver.answer(DialBackResponse());
  EXPECT_FALSE(receiver.is_done()) << "the answer is not handed out yet";
  sender.handle_bytes(now, poll_all(receiver));
  EXPECT_TRUE(receiver.is_done());
  ASSERT_TRUE(sender.result());
  EXPECT_TRUE(*sender.result());
  EXPECT_FALSE(sender.next_timeout());
  EXPECT_FALSE(receiver.next_timeout());
}

TEST_F(DialBackTest, TheServerMayFinishItsHalfOnceItHasSpoken) {
  receiver.handle_bytes(now, poll_all(sender));
  receiver.handle_eof(now);
  receiver.answer(DialBackResponse());
  EXPECT_EQ(poll_all(receiver), framed({}));
  EXPECT_TRUE(receiver.is_done());
}

TEST_F(DialBackTest, AnAnswerIsGivenOnce) {
  receiver.handle_bytes(now, poll_all(sender));
  receiver.answer(DialBackResponse());
  receiver.answer(DialBackResponse());
  EXPECT_EQ(poll_all(receiver), framed({}));
}

TEST_F(DialBackTest, WhatEndsTooEarlyOrIsNoDialBackIsRefused) {
  EXPECT_EQ(error_of({}, true), Errc::stream_closed);
  EXPECT_EQ(error_of(as_bytes("\x09\x09\x01"), true), Errc::stream_closed);
  EXPECT_EQ(error_of(framed(as_bytes("\x0F")), false), Errc::malformed);
  EXPECT_EQ(error_of(as_bytes("\x81\x08"), false), Errc::oversized) << "refused by its length alone";
}

TEST_F(DialBackTest, AnEndOrAnotherAnswerIsNoSuccess) {
  DialBackSender ended(now, DialBack{1}, k_dial_back_timeout);
  ended.handle_eof(now);
  EXPECT_EQ(ended.result()->error().code(), Errc::stream_closed);
  ended.handle_bytes(now, framed({}));
  EXPECT_FALSE(*ended.result()) << "an error is final";
  EXPECT_TRUE(poll_all(ended).empty()) << "nothing more is said";
  sender.handle_bytes(now, framed(as_bytes("\x08\x07")));
  EXPECT_EQ(sender.result()->error().code(), Errc::unsupported);
}

TEST_F(DialBackTest, SilenceTimesOutOnBothSides) {
  receiver.handle_timeout(now + k_dial_back_timeout - 1ns);
  sender.handle_timeout(now + k_dial_back_timeout - 1ns);
  EXPECT_FALSE(receiver.take_result());
  EXPECT_FALSE(sender.result());
  EXPECT_EQ(receiver.next_timeout(), now + k_dial_back_timeout);
  EXPECT_EQ(sender.next_timeout(), now + k_dial_back_timeout);
  receiver.handle_timeout(now + k_dial_back_timeout);
  sender.handle_timeout(now + k_dial_back_timeout);
  EXPECT_EQ(receiver.take_result()->error().code(), Errc::timed_out);
  EXPECT_EQ(sender.result()->error().code(), Errc::timed_out);
}

TEST_F(DialBackTest, AnAnswerThatThePeerDoesNotReadTimesOut) {
  receiver.handle_bytes(now, poll_all(sender));
  EXPECT_TRUE(receiver.take_result());
  receiver.answer(DialBackResponse());
  receiver.handle_timeout(now + k_dial_back_timeout);
  EXPECT_EQ(receiver.take_result()->error().code(), Errc::timed_out);
  EXPECT_FALSE(receiver.is_done());
  EXPECT_TRUE(poll_all(receiver).empty());
}

}  // namespace
}  // namespace dig::autonat
