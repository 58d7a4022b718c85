// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_client/channels.hpp"

#include <gtest/gtest.h>

namespace dig::turn {
namespace {

constexpr Instant k_start{1000s};

Endpoint peer(std::uint8_t last) { return {IpAddress::v4({40, 0, 0, last}), 7000}; }

// Binds what is due at once; returns the number.
std::uint16_t bind(Channels& channels, Instant now) {
  static std::uint32_t next = 1;
  const auto due = channels.next_due();
  const stun::RequestId request{next++};
  channels.mark_requested(due->number, request, now);
  channels.handle_success(request, now, now);
  return due->number;
}

TEST(Channels, NumbersBeginWhereTheRfcSays) {
  Channels channels(8);
  EXPECT_TRUE(channels.add(peer(1), k_start));
  EXPECT_TRUE(channels.add(peer(2), k_start));
  EXPECT_TRUE(channels.add(peer(1), k_start));
  EXPECT_EQ(channels.number_of(peer(1), k_start), std::nullopt);
  EXPECT_EQ(bind(channels, k_start), 0x4000);
  EXPECT_EQ(bind(channels, k_start), 0x4001);
  EXPECT_FALSE(channels.next_due());
  EXPECT_EQ(channels.number_of(peer(1), k_start), 0x4000);
  EXPECT_EQ(channels.number_of(peer(2), k_start), 0x4001);
  EXPECT_EQ(*channels.peer_of(0x4001, k_start), peer(2));
  EXPECT_EQ(channels.peer_of(0x4002, k_start), nullptr);
  EXPECT_EQ(channels.peer_of(0x3FFF, k_start), nullptr);
  EXPECT_EQ(channels.peer_of(0x4008, k_start), nullptr);
  EXPECT_EQ(channels.peer_of(0xFFFF, k_start), nullptr);
}

TEST(Channels, NeverMoreThanThereAreNumbers) {
  Channels channels(100'000);
  for (std::uint32_t i = 0; i < 4096; ++i) {
    const auto high = static_cast<std::uint8_t>(i >> 8U);
    const auto low = static_cast<std::uint8_t>(i);
    ASSERT_TRUE(channels.add({IpAddress::v4({40, 0, high, low}), 1}, k_start));
    ASSERT_LE(bind(channels, k_start), 0x4FFF);
  }
  EXPECT_FALSE(channels.add(peer(77), k_start));
}

TEST(Channels, ANumberIsNotUsedForAnotherPeerUntilFiveMinutesAfterItsEnd) {
  Channels channels(1);
  EXPECT_TRUE(channels.add(peer(1), k_start));
  bind(channels, k_start);
  channels.abandon(peer(1).address);
  EXPECT_EQ(channels.number_of(peer(1), k_start), std::nullopt);
  EXPECT_NE(channels.peer_of(0x4000, k_start + 599s), nullptr);  // the server goes on with it
  EXPECT_EQ(channels.peer_of(0x4000, k_start + 600s), nullptr);
  for (Instant now = k_start; now < k_start + 900s; now = now + 1s) {
    channels.handle_timeout(now);
    ASSERT_FALSE(channels.add(peer(2), now));
  }
  EXPECT_EQ(channels.next_timeout(), k_start + 900s);
  channels.handle_timeout(k_start + 900s);
  EXPECT_TRUE(channels.add(peer(2), k_start + 900s));
  EXPECT_EQ(bind(channels, k_start + 900s), 0x4000);
}

TEST(Channels, TheSamePeerGetsTheSameNumberAtAnyTime) {
  Channels channels(4);
  EXPECT_TRUE(channels.add(peer(9), k_start));
  bind(channels, k_start);
  EXPECT_TRUE(channels.add(peer(1), k_start));
  EXPECT_EQ(bind(channels, k_start), 0x4001);
  channels.abandon(peer(1).address);
  channels.handle_timeout(k_start + 700s);
  EXPECT_TRUE(channels.add(peer(1), k_start + 700s));
  EXPECT_EQ(bind(channels, k_start + 700s), 0x4001);
}

TEST(Channels, ARequestWithoutAnAnswerMayHaveBoundTheNumber) {
  Channels channels(1);
  EXPECT_TRUE(channels.add(peer(1), k_start));
  channels.mark_requested(0x4000, stun::RequestId{900}, k_start);
  EXPECT_NE(channels.peer_of(0x4000, k_start), nullptr);  // data may overtake the answer
  EXPECT_EQ(channels.handle_failure(stun::RequestId{900}, k_start + 40s, k_start + 40s), peer(1));
  channels.handle_timeout(k_start + 939s);
  EXPECT_FALSE(channels.add(peer(2), k_start + 939s));
  channels.handle_timeout(k_start + 940s);
  EXPECT_TRUE(channels.add(peer(2), k_start + 940s));
}

TEST(Channels, ARefusedPeerIsNotAskedForAgainWhileItsNumberRests) {
  Channels channels(2);
  EXPECT_TRUE(channels.add(peer(1), k_start));
  channels.mark_requested(0x4000, stun::RequestId{901}, k_start);
  EXPECT_EQ(channels.handle_failure(stun::RequestId{901}, k_start, std::nullopt), peer(1));
  EXPECT_FALSE(channels.add(peer(1), k_start));
  EXPECT_FALSE(channels.is_wanted(peer(1)));
  channels.handle_timeout(k_start + 900s);
  EXPECT_TRUE(channels.add(peer(1), k_start + 900s));
}

TEST(Channels, AFailedRefreshIsRepeatedUntilTheBindingRunsOut) {
  Channels channels(1);
  EXPECT_TRUE(channels.add(peer(1), k_start));
  bind(channels, k_start);
  channels.handle_timeout(k_start + 540s);
  ASSERT_TRUE(channels.next_due());
  channels.mark_requested(0x4000, stun::RequestId{902}, k_start + 540s);
  EXPECT_EQ(channels.handle_failure(stun::RequestId{902}, k_start + 545s, k_start + 550s), std::nullopt);
  EXPECT_FALSE(channels.next_due());
  channels.handle_timeout(k_start + 550s);
  EXPECT_TRUE(channels.next_due());
  EXPECT_EQ(channels.handle_timeout(k_start + 600s), std::vector{peer(1)});
  EXPECT_EQ(channels.handle_timeout(k_start + 601s), std::vector<Endpoint>{});
  EXPECT_FALSE(channels.next_due());
}

}  // namespace
}  // namespace dig::turn
