// SPDX-License-Identifier: Apache-2.0
#include "sim/link.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/testing/echo_machine.hpp"
#include "sim/event_queue.hpp"

namespace dig::sim {
namespace {

Bytes numbered(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 31 >> 3U);
  return bytes;
}

DatagramLink::Datagram datagram(std::uint32_t number, std::size_t size = 100) {
  DatagramLink::Datagram out{{}, {}, Bytes(size)};
  for (std::size_t i = 0; i < 4; ++i) out.bytes[i] = static_cast<std::byte>(number >> (8 * i));
  return out;
}

std::uint32_t number_of(const DatagramLink::Datagram& datagram) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number |= std::to_integer<std::uint32_t>(datagram.bytes[i]) << (8 * i);
  return number;
}

TEST(EventQueue, RunsInOrderOfTimeAndThenOfInsertion) {
  EventQueue events;
  std::vector<int> order;
  events.after(2s, [&] { order.push_back(3); });
  events.after(1s, [&] { order.push_back(1); });
  events.after(1s, [&] { order.push_back(2); });
  EXPECT_EQ(events.now(), Instant{});
  while (events.step()) {
  }
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(events.now(), Instant{2s});
}

TEST(EventQueue, NeverGoesBackInTimeNorPastAnEvent) {
  EventQueue events;
  events.advance(Instant{5s});
  Instant ran;
  events.at(Instant{1s}, [&] { ran = events.now(); });
  events.advance(Instant{9s});
  EXPECT_EQ(events.now(), Instant{5s});
  EXPECT_TRUE(events.step());
  EXPECT_EQ(ran, Instant{5s});
}

TEST(ByteLink, DeliversTheSameBytesInOrderInAnySegments) {
  SeededRng rng(1);
  ByteLink link({.delay = 10ms, .jitter = 20ms, .max_segment = 7, .capacity = 4000}, rng);
  const Bytes sent = numbered(4000);
  EXPECT_EQ(link.room(), 4000u);
  link.send(Instant{}, BytesView(sent).first(1500));
  link.send(Instant{1ms}, BytesView(sent).subspan(1500));
  link.send_end(Instant{1ms});
  EXPECT_EQ(link.room(), 0u);
  Bytes received;
  std::set<std::size_t> sizes;
  Instant last;
  bool is_end = false;
  while (const auto arrival = link.next_arrival()) {
    EXPECT_GE(*arrival, last);
    last = *arrival;
    EXPECT_FALSE(is_end);
    const auto segment = link.receive(*arrival);
    ASSERT_TRUE(segment);
    is_end = segment->is_end;
    if (!is_end) sizes.insert(segment->bytes.size());
    append(received, segment->bytes);
    link.acknowledge(segment->bytes.size());
  }
  EXPECT_TRUE(is_end);
  EXPECT_EQ(received, sent);
  EXPECT_EQ(sizes.size(), 7u);
  EXPECT_EQ(link.room(), 4000u);
}

TEST(ByteLink, NothingArrivesBeforeItsTime) {
  SeededRng rng(1);
  ByteLink link({.delay = 10ms}, rng);
  link.send(Instant{}, numbered(1));
  EXPECT_EQ(link.next_arrival(), Instant{10ms});
  EXPECT_FALSE(link.receive(Instant{9ms}));
  EXPECT_TRUE(link.receive(Instant{10ms}));
  EXPECT_FALSE(link.next_arrival());
}

TEST(ByteLink, TheRateIsKept) {
  SeededRng rng(1);
  ByteLink link({.delay = 5ms, .bytes_per_second = 1'000'000}, rng);
  link.send(Instant{}, numbered(500'000));
  EXPECT_NEAR(static_cast<double>((link.last_arrival() - Instant{}).count()), 505e6, 1e5);
}

TEST(ByteLink, WhatIsLostComesLaterAndInOrder) {
  SeededRng rng(3);
  ByteLink link({.delay = 10ms, .max_segment = 100, .loss = 0.2}, rng);
  const Bytes sent = numbered(100'000);
  link.send(Instant{}, sent);
  Bytes received;
  Instant last;
  while (const auto arrival = link.next_arrival()) {
    last = *arrival;
    append(received, link.receive(*arrival)->bytes);
  }
  EXPECT_EQ(received, sent);
  EXPECT_GT(last, Instant{230ms});  // a first retransmission at least, in 1000 segments or more
}

TEST(DatagramLink, LosesAboutWhatItShould) {
  SeededRng rng(2);
  DatagramLink link({.loss = 0.1}, rng);
  for (std::uint32_t i = 0; i < 10'000; ++i) link.send(Instant{}, datagram(i));
  EXPECT_NEAR(static_cast<double>(link.snapshot().lost), 1000, 150);
  while (const auto arrival = link.next_arrival()) std::ignore = link.receive(*arrival);
  EXPECT_EQ(link.snapshot().delivered, 10'000 - link.snapshot().lost);
}

TEST(DatagramLink, JitterReordersAndDuplicationDoubles) {
  SeededRng rng(3);
  DatagramLink link({.delay = 5ms, .jitter = 10ms, .duplication = 0.2}, rng);
  for (std::uint32_t i = 0; i < 1000; ++i) link.send(Instant{std::chrono::microseconds(i * 100)}, datagram(i));
  std::vector<std::uint32_t> order;
  while (const auto arrival = link.next_arrival()) order.push_back(number_of(*link.receive(*arrival)));
  EXPECT_FALSE(std::ranges::is_sorted(order));
  EXPECT_EQ(order.size(), 1000 + link.snapshot().doubled);
  EXPECT_NEAR(static_cast<double>(link.snapshot().doubled), 200, 60);
  std::ranges::sort(order);
  EXPECT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), 1000u);
}

TEST(DatagramLink, AFullQueueDropsTheRest) {
  SeededRng rng(4);
  DatagramLink link({.bytes_per_second = 10'000, .queue_bytes = 1000}, rng);
  for (std::uint32_t i = 0; i < 20; ++i) link.send(Instant{}, datagram(i));
  EXPECT_EQ(link.snapshot().dropped, 10u);
  // After a while there is room again.
  link.send(Instant{1s}, datagram(20));
  EXPECT_EQ(link.snapshot().dropped, 10u);
}

TEST(DatagramLink, ACutLosesWhatIsUnderWayAndARestoredLinkWorksAgain) {
  SeededRng rng(5);
  DatagramLink link({}, rng);
  link.send(Instant{}, datagram(1));
  link.cut();
  EXPECT_FALSE(link.next_arrival());
  link.send(Instant{}, datagram(2));
  EXPECT_FALSE(link.next_arrival());
  EXPECT_EQ(link.snapshot().lost, 2u);
  link.restore();
  link.send(Instant{}, datagram(3));
  ASSERT_TRUE(link.next_arrival());
  EXPECT_EQ(number_of(*link.receive(*link.next_arrival())), 3u);
}

// A datagram machine between two links: what is asked again until it is answered arrives in the end.
TEST(DatagramLink, CarriesAMachine) {
  SeededRng rng(6);
  const LinkSpec spec{.delay = 10ms, .jitter = 5ms, .loss = 0.3};
  DatagramLink there(spec, rng);
  DatagramLink back(spec, rng);
  dig::testing::EchoMachine echo;
  EventQueue events;
  std::set<std::uint32_t> answered;
  Bytes buffer(2000);
  const auto hear = [&] {
    while (const auto answer = back.receive(events.now())) answered.insert(number_of(*answer));
  };
  const auto serve = [&] {
    while (const auto question = there.receive(events.now())) {
      echo.handle_datagram(
          {.now = events.now(), .local = question->to, .remote = question->from, .bytes = question->bytes});
    }
    while (const auto transmit = echo.poll_transmit(events.now(), buffer)) {
      back.send(events.now(), {transmit->local, transmit->remote, to_bytes(BytesView(buffer).first(transmit->size))});
    }
    if (const auto arrival = back.next_arrival()) events.at(*arrival, hear);
  };
  std::function<void(std::uint32_t)> ask = [&](std::uint32_t number) {
    if (answered.contains(number)) return;
    there.send(events.now(), datagram(number));
    if (const auto arrival = there.next_arrival()) events.at(*arrival, serve);
    events.after(50ms, [&, number] { ask(number); });
  };
  for (std::uint32_t i = 0; i < 50; ++i) events.after(i * 1ms, [&, i] { ask(i); });
  while (answered.size() < 50 && events.now() < Instant{10s} && events.step()) {
  }
  EXPECT_EQ(answered.size(), 50u);
  EXPECT_GT(there.snapshot().lost + back.snapshot().lost, 10u);
}

}  // namespace
}  // namespace dig::sim
