// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/request_book.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.hpp"
#include "wire/identity.hpp"

namespace dig::autonat {
namespace {

class RequestBookTest : public ::testing::Test {
 protected:
  // Requests of strangers that end at once, each from a source of its own.
  std::size_t admit_many(std::size_t count) {
    std::size_t admitted = 0;
    for (std::size_t i = 0; i < count; ++i) admitted += book.admit(now, stranger(), next_source++) ? 1u : 0u;
    return admitted;
  }
  PeerId stranger() { return Identity::generate(rng).peer_id(); }
  std::size_t with_dial_data(std::size_t count, AcceptLimiter::Prefix source) {
    std::size_t taken = 0;
    for (std::size_t i = 0; i < count; ++i) {
      auto place = book.admit(now, stranger(), source == 0 ? next_source++ : source);
      taken += place && place->take_dial_data(now) ? 1u : 0u;
    }
    return taken;
  }

  SeededRng rng{1};
  Instant now{1h};
  RequestBook book;
  const PeerId peer = Identity::generate(rng).peer_id();
  AcceptLimiter::Prefix next_source = 1000;
};

TEST_F(RequestBookTest, Serves60RequestsInAnyMinute) {
  EXPECT_EQ(admit_many(30), 30u);
  now = now + 30s;
  EXPECT_EQ(admit_many(100), 30u);
  now = now + 30s - 1ns;
  EXPECT_EQ(admit_many(1), 0u);
  now = now + 1ns;
  EXPECT_EQ(admit_many(100), 30u) << "those of a minute ago are forgotten, the later ones are not";
  EXPECT_EQ(book.snapshot().in_last_minute, 60u);
  EXPECT_EQ(book.snapshot().rejected, 70u + 1 + 70);
}

TEST_F(RequestBookTest, Serves12RequestsOfAPeer) {
  std::size_t admitted = 0;
  for (int i = 0; i < 20; ++i) admitted += book.admit(now, peer, next_source++) ? 1u : 0u;
  EXPECT_EQ(admitted, 12u);
  EXPECT_EQ(admit_many(1), 1u) << "others are served";
}

TEST_F(RequestBookTest, Serves24RequestsOfASource) {
  std::size_t admitted = 0;
  for (int i = 0; i < 40; ++i) admitted += book.admit(now, stranger(), 7) ? 1u : 0u;
  EXPECT_EQ(admitted, 24u);
  EXPECT_EQ(admit_many(1), 1u);
}

TEST_F(RequestBookTest, ServesTwoRequestsOfAPeerAtOnce) {
  auto first = book.admit(now, peer, next_source++);
  auto second = book.admit(now, peer, next_source++);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(book.admit(now, peer, next_source++));
  EXPECT_EQ(book.snapshot().running, 2u);
  first.reset();
  EXPECT_TRUE(book.admit(now, peer, next_source++));
}

TEST_F(RequestBookTest, ReadsFourRequestsOfAPeerAtOnceAndAnyNumberOfManyPeers) {
  std::vector<RequestBook::Reading> streams;
  const auto start = [&](const PeerId& of) {
    auto reading = book.start_reading(of);
    if (reading) streams.push_back(std::move(*reading));
    return reading.has_value();
  };
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(start(peer));
  EXPECT_FALSE(start(peer));
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(start(stranger()));
  EXPECT_EQ(book.snapshot().reading, 204u);
  EXPECT_EQ(book.snapshot().rejected, 1u);
  EXPECT_TRUE(book.admit(now, peer, 1)) << "they hold no place";
  streams.clear();
  EXPECT_EQ(book.snapshot().reading, 0u);
  EXPECT_TRUE(start(peer));
}

TEST_F(RequestBookTest, ServesFourRequestsOfASourceAnd32InTotalAtOnce) {
  std::vector<RequestBook::Place> places;
  const auto hold = [&](AcceptLimiter::Prefix source) {
    auto place = book.admit(now, stranger(), source);
    if (place) places.push_back(std::move(*place));
    return place.has_value();
  };
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(hold(7));
  EXPECT_FALSE(hold(7));
  while (places.size() < 32) EXPECT_TRUE(hold(next_source++));
  EXPECT_FALSE(hold(next_source++));
  now = now + 2min;
  EXPECT_FALSE(hold(next_source++)) << "what runs is not forgotten";
  places.clear();
  EXPECT_EQ(book.snapshot().running, 0u);
  EXPECT_TRUE(hold(next_source++));
  EXPECT_EQ(book.snapshot().in_last_minute, 1u);
}

TEST_F(RequestBookTest, AsksForDialData12TimesAMinuteAndSixTimesASource) {
  EXPECT_EQ(with_dial_data(10, 7), 6u);
  EXPECT_EQ(with_dial_data(10, 0), 6u);
  EXPECT_EQ(admit_many(1), 1u) << "other requests are served";
  now = now + 1min;
  EXPECT_EQ(with_dial_data(1, 7), 1u);
}

TEST_F(RequestBookTest, APlaceIsGivenBackOnceHoweverOftenItIsMoved) {
  auto place = book.admit(now, peer, 1);
  ASSERT_TRUE(place);
  {
    RequestBook::Place moved = std::move(*place);
    place.reset();
    EXPECT_EQ(book.snapshot().running, 1u);
  }
  EXPECT_EQ(book.snapshot().running, 0u);
}

}  // namespace
}  // namespace dig::autonat
