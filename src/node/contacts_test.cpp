// SPDX-License-Identifier: Apache-2.0
#include "node/contacts.hpp"

#include <gtest/gtest.h>

namespace dig::node {
namespace {

IpAddress address(std::uint32_t number) {
  return IpAddress::v4({10, static_cast<std::uint8_t>(number >> 16U), static_cast<std::uint8_t>(number >> 8U),
                        static_cast<std::uint8_t>(number)});
}

class ContactsTest : public ::testing::Test {
 protected:
  [[nodiscard]] bool is_stranger(std::uint32_t number) const { return contacts.is_stranger(now, address(number)); }

  Instant now{1h};
  Contacts contacts;
};

TEST_F(ContactsTest, AStrangerHasOneConnectionAtMost) {
  EXPECT_TRUE(is_stranger(1));
  contacts.handle_opened(now, address(1));
  EXPECT_TRUE(is_stranger(1));
  contacts.handle_opened(now, address(1));
  EXPECT_FALSE(is_stranger(1));
}

TEST_F(ContactsTest, IsRememberedForFourMinutesAfterTheLastConnection) {
  contacts.handle_opened(now, address(1));
  contacts.handle_closed(now, address(1));
  contacts.note(now, address(2));
  now = now + 4min - 1ns;
  EXPECT_FALSE(is_stranger(1));
  EXPECT_FALSE(is_stranger(2));
  now = now + 1ns;
  EXPECT_TRUE(is_stranger(1));
  EXPECT_TRUE(is_stranger(2));
}

TEST_F(ContactsTest, WhoIsSpokenToAgainIsRememberedForLonger) {
  contacts.note(now, address(1));
  now = now + 3min;
  contacts.note(now, address(1));
  now = now + 3min;
  EXPECT_FALSE(is_stranger(1));
  EXPECT_EQ(contacts.size(), 1u);
}

TEST_F(ContactsTest, WhatIsForgottenTakesNoRoom) {
  for (std::uint32_t i = 0; i < 100; ++i) contacts.note(now, address(i));
  contacts.handle_opened(now, address(100));
  now = now + 4min;
  contacts.note(now, address(101));
  EXPECT_EQ(contacts.size(), 2u) << "one with a connection, one of now";
}

TEST_F(ContactsTest, BeyondTheLimitTheOneThatIsForgottenSoonestGoes) {
  for (std::uint32_t i = 0; i < Contacts::max_contacts; ++i) {
    contacts.note(now, address(i));
    now = now + 1ms;
  }
  contacts.note(now, address(0));  // it is the last to be forgotten now
  contacts.note(now, address(100'000));
  EXPECT_EQ(contacts.size(), Contacts::max_contacts);
  EXPECT_FALSE(is_stranger(0));
  EXPECT_TRUE(is_stranger(1));
  EXPECT_FALSE(is_stranger(2));
}

// A bootstrap server has more connections than that.
TEST_F(ContactsTest, ConnectionsAreNeverForgottenAndTheOthersSoonestFirst) {
  constexpr std::uint32_t k_open = 10'000, k_closed = 6'000;
  const auto nth = [](std::uint32_t i) { return i * 7'919 % k_open; };  // in no order of the addresses
  for (std::uint32_t i = 0; i < k_open; ++i) {
    for (int connection = 0; connection < 2; ++connection) contacts.handle_opened(now, address(i));
  }
  EXPECT_EQ(contacts.size(), k_open);
  for (std::uint32_t i = 0; i < k_closed; ++i) {
    for (int connection = 0; connection < 2; ++connection) contacts.handle_closed(now, address(nth(i)));
    now = now + 1ms;
  }
  EXPECT_EQ(contacts.size(), k_open) << "nobody new has come";

  contacts.handle_opened(now, address(20'000));
  EXPECT_EQ(contacts.size(), Contacts::max_contacts);
  constexpr std::uint32_t k_forgotten = k_open + 1 - Contacts::max_contacts;
  for (std::uint32_t i = 0; i < k_open; ++i) ASSERT_EQ(is_stranger(nth(i)), i < k_forgotten) << i;
}

}  // namespace
}  // namespace dig::node
