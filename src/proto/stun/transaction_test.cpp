// SPDX-License-Identifier: Apache-2.0
#include "proto/stun/transaction.hpp"

#include <gtest/gtest.h>

namespace dig::stun {
namespace {

constexpr Instant k_start{1000s};
const Endpoint k_server{IpAddress::v4({20, 0, 0, 1}), 3478};

Bytes request(std::uint8_t number, Method method = Method::binding) {
  Bytes out(k_header_size);
  TransactionId transaction{};
  transaction[0] = std::byte{number};
  Writer writer(out, {.method = method, .message_class = Class::request, .transaction = transaction});
  return out;
}
Header response_to(BytesView message) {
  Header header = Message::parse(message)->header();
  header.message_class = Class::success;
  return header;
}

// When the table sends, in milliseconds from the start; and when it gives up.
std::vector<long> schedule(TransactionTable& table) {
  std::vector<long> times;
  Bytes out(100);
  Instant now = k_start;
  for (int i = 0; i < 100; ++i) {
    while (table.poll_transmit(out)) times.push_back(static_cast<long>((now - k_start) / 1ms));
    if (table.poll_expired()) {
      times.push_back(static_cast<long>((now - k_start) / 1ms));
      EXPECT_EQ(table.next_timeout(), std::nullopt);
      return times;
    }
    EXPECT_GT(*table.next_timeout(), now);
    table.handle_timeout(*table.next_timeout() - 1ns);
    EXPECT_FALSE(table.poll_transmit(out));
    now = *table.next_timeout();
    table.handle_timeout(now);
  }
  ADD_FAILURE() << "never gave up";
  return times;
}

TEST(StunTransactions, RequestsAreRetransmittedAtTheTimesOfTheRfc) {
  TransactionTable table(false, {}, 4);
  ASSERT_TRUE(table.start(k_start, request(1), k_server));
  // RFC 8489 §6.2.1, its own example.
  EXPECT_EQ(schedule(table), (std::vector<long>{0, 500, 1500, 3500, 7500, 15500, 31500, 39500}));
  EXPECT_EQ(table.size(), 0u);
}

TEST(StunTransactions, RcAndRmAreConfigurable) {
  TransactionTable table(false, {.initial_rto = 200ms, .max_requests = 3, .last_wait = 2}, 4);
  ASSERT_TRUE(table.start(k_start, request(1), k_server));
  EXPECT_EQ(schedule(table), (std::vector<long>{0, 200, 600, 1000}));
  TransactionTable once(false, {.max_requests = 1, .last_wait = 4}, 4);
  ASSERT_TRUE(once.start(k_start, request(1), k_server));
  EXPECT_EQ(schedule(once), (std::vector<long>{0, 2000}));
}

TEST(StunTransactions, ReliableTransportsSendOnceAndWaitForTi) {
  TransactionTable table(true, {}, 4);
  ASSERT_TRUE(table.start(k_start, request(1), k_server));
  EXPECT_EQ(schedule(table), (std::vector<long>{0, 10'000}));
  TransactionTable rfc(true, {.reliable_timeout = 39'500ms}, 4);
  ASSERT_TRUE(rfc.start(k_start, request(1), k_server));
  EXPECT_EQ(schedule(rfc), (std::vector<long>{0, 39'500}));
}

TEST(StunTransactions, RetransmissionsAreTheSameBytes) {
  TransactionTable table(false, {}, 4);
  ASSERT_TRUE(table.start(k_start, request(9), k_server));
  Bytes out(100);
  for (int i = 0; i < 3; ++i) {
    const auto transmit = table.poll_transmit(out);
    ASSERT_TRUE(transmit);
    EXPECT_EQ(transmit->remote, k_server);
    EXPECT_TRUE(equal(BytesView(out).first(transmit->size), request(9)));
    table.handle_timeout(*table.next_timeout());
  }
}

TEST(StunTransactions, AResponseMustMatchInTransactionMethodAndSource) {
  TransactionTable table(false, {}, 4);
  const Bytes sent = request(1);
  const auto id = table.start(k_start, sent, k_server);
  ASSERT_TRUE(id);
  Header right = response_to(sent);
  Header other_method = right;
  other_method.method = Method::allocate;
  EXPECT_FALSE(table.find(response_to(request(2)), k_server));
  EXPECT_FALSE(table.find(other_method, k_server));
  EXPECT_FALSE(table.find(right, {k_server.address, 3479}));
  EXPECT_FALSE(table.find(right, {IpAddress::v4({20, 0, 0, 2}), 3478}));
  EXPECT_EQ(table.stray_responses(), 4u);
  EXPECT_EQ(table.find(right, k_server), *id);
  EXPECT_EQ(table.find(right, k_server), *id);  // as long as the owner has not accepted one
  table.finish(k_start, *id);
  EXPECT_FALSE(table.find(right, k_server));  // a duplicate
  EXPECT_EQ(table.stray_responses(), 5u);
  EXPECT_EQ(table.next_timeout(), std::nullopt);
}

TEST(StunTransactions, AResponseMayBeExpectedFromAnotherAddress) {
  TransactionTable table(false, {}, 4);
  const Endpoint other{IpAddress::v4({20, 0, 0, 2}), 3479};
  const auto id = table.start(k_start, request(1), k_server, other, k_server.address);
  Bytes out(100);
  EXPECT_EQ(table.poll_transmit(out)->remote, k_server);
  EXPECT_FALSE(table.find(response_to(request(1)), k_server));
  EXPECT_EQ(table.find(response_to(request(1)), other), *id);
}

TEST(StunTransactions, TheTableIsBounded) {
  TransactionTable table(false, {}, 2);
  ASSERT_TRUE(table.start(k_start, request(1), k_server));
  const auto second = table.start(k_start, request(2), k_server);
  ASSERT_TRUE(second);
  EXPECT_EQ(table.start(k_start, request(3), k_server).error().code(), Errc::limit_reached);
  table.cancel(*second);
  EXPECT_TRUE(table.start(k_start, request(3), k_server));
  EXPECT_FALSE(table.start(k_start, as_bytes("not STUN"), k_server));
}

TEST(StunTransactions, ASmallBufferKeepsARequestWaitingButNotForEver) {
  TransactionTable table(false, {}, 2);
  ASSERT_TRUE(table.start(k_start, request(1), k_server));
  Bytes small(19);
  EXPECT_FALSE(table.poll_transmit(small));
  Instant now = k_start;
  while (const auto next = table.next_timeout()) {
    now = *next;
    table.handle_timeout(now);
    EXPECT_FALSE(table.poll_transmit(small));
  }
  EXPECT_TRUE(table.poll_expired());
  EXPECT_EQ(now, k_start + 39'500ms);
}

TEST(StunTransactions, TheRtoFollowsTheRoundTripTime) {
  const TransactionTimers timers;
  RttEstimator estimator;
  EXPECT_EQ(estimator.rto(k_start, timers), Duration(500ms));
  estimator.add(k_start, 200ms);  // RFC 6298 §2.2: SRTT 200, RTTVAR 100
  EXPECT_EQ(estimator.rto(k_start, timers), Duration(600ms));
  estimator.add(k_start, 200ms);  // §2.3: RTTVAR 75
  EXPECT_EQ(estimator.rto(k_start, timers), Duration(500ms));
  estimator.add(k_start, 280ms);  // RTTVAR 3/4 * 75 + 1/4 * 80 = 76.25, SRTT 210
  EXPECT_EQ(*estimator.smoothed(), Duration(210ms));
  EXPECT_EQ(estimator.rto(k_start, timers), Duration(515ms));
  EXPECT_EQ(estimator.rto(k_start + 10min, timers), Duration(515ms));
  EXPECT_EQ(estimator.rto(k_start + 10min + 1ns, timers), Duration(500ms));
  RttEstimator near;
  near.add(k_start, 1us);
  EXPECT_EQ(near.rto(k_start, timers), Duration(100ms));
  RttEstimator far;
  far.add(k_start, 1h);
  EXPECT_EQ(far.rto(k_start, timers), Duration(3s));
}

TEST(StunTransactions, TheRtoOfOneServerIsRememberedForTheNextRequest) {
  TransactionTable table(false, {}, 8);
  const auto first = table.start(k_start, request(1), k_server);
  EXPECT_EQ(table.finish(k_start + 100ms, *first).rtt, Duration(100ms));
  EXPECT_EQ(table.smoothed_rtt(k_server.address), Duration(100ms));
  ASSERT_TRUE(table.start(k_start + 1s, request(2), {k_server.address, 5349}));  // RFC 8489 §6.2.1: by IP address
  EXPECT_EQ(table.next_timeout(), k_start + 1s + 300ms);
  table.clear();
  ASSERT_TRUE(table.start(k_start + 1s, request(3), {IpAddress::v4({20, 0, 0, 2}), 3478}));
  EXPECT_EQ(table.next_timeout(), k_start + 1s + 500ms);
}

TEST(StunTransactions, ARetransmittedRequestGivesNoSample) {
  TransactionTable table(false, {}, 8);
  const auto id = table.start(k_start, request(1), k_server);
  table.handle_timeout(k_start + 500ms);
  const auto completion = table.finish(k_start + 510ms, *id);
  EXPECT_EQ(completion.rtt, std::nullopt);  // Karn
  EXPECT_EQ(completion.first_sent, k_start);
  EXPECT_EQ(table.smoothed_rtt(k_server.address), std::nullopt);
}

TEST(StunTransactions, OnlyAFewServersAreRemembered) {
  TransactionTable table(false, {}, 8);
  for (std::uint8_t i = 0; i < 20; ++i) {
    const auto id = table.start(k_start + i * 1s, request(i), {IpAddress::v4({20, 0, 1, i}), 3478});
    table.finish(k_start + i * 1s + 50ms, *id);
  }
  EXPECT_EQ(table.smoothed_rtt(IpAddress::v4({20, 0, 1, 11})), std::nullopt);
  EXPECT_TRUE(table.smoothed_rtt(IpAddress::v4({20, 0, 1, 12})));
}

TEST(StunTransactions, AClockThatJumpsGivesNoBurst) {
  TransactionTable table(false, {}, 8);
  ASSERT_TRUE(table.start(k_start, request(1), k_server));
  Bytes out(100);
  EXPECT_TRUE(table.poll_transmit(out));
  table.handle_timeout(k_start + 24h);
  EXPECT_TRUE(table.poll_transmit(out));
  EXPECT_FALSE(table.poll_transmit(out));
  EXPECT_GT(*table.next_timeout(), k_start + 24h);
}

}  // namespace
}  // namespace dig::stun
