// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/observed_addresses.hpp"

#include <gtest/gtest.h>

namespace dig::autonat {
namespace {

class ObservedAddressesTest : public ::testing::Test {
 protected:
  void observe(const std::string& observer, const std::string& observed, bool is_listening_port = true) {
    book.observe(now, {IpAddress::parse(observer).value(), Endpoint::parse(observed).value(), is_listening_port});
  }
  static ObservedAddress seen(const std::string& endpoint, std::size_t votes) {
    return {Endpoint::parse(endpoint).value(), votes};
  }
  static ObservedHost seen_host(const std::string& address, std::size_t votes) {
    return {IpAddress::parse(address).value(), votes};
  }

  Instant now{1h};
  ObservedAddresses book;
};

using Addresses = std::vector<ObservedAddress>;
using Hosts = std::vector<ObservedHost>;

TEST_F(ObservedAddressesTest, WhatDistinctObserversSeeIsACandidate) {
  observe("1.0.0.1", "8.8.8.8:4001");
  observe("1.0.0.2", "8.8.8.8:4001");
  observe("1.0.0.3", "8.8.8.8:5000");
  EXPECT_EQ(book.addresses(now), (Addresses{seen("8.8.8.8:4001", 2)})) << "one vote among three is not enough";
}

TEST_F(ObservedAddressesTest, TheMostVotedComesFirst) {
  for (const char* observer : {"1.0.0.1", "1.0.0.2"}) observe(observer, "8.8.4.4:4001");
  for (const char* observer : {"1.0.0.3", "1.0.0.4", "1.0.0.5"}) observe(observer, "8.8.8.8:4001");
  EXPECT_EQ(book.addresses(now), (Addresses{seen("8.8.8.8:4001", 3), seen("8.8.4.4:4001", 2)}));
}

TEST_F(ObservedAddressesTest, AnObserverHasOneVoteHoweverManyConnectionsItHas) {
  observe("1.0.0.1", "8.8.8.8:4001");
  observe("1.0.0.2", "8.8.4.4:4001");
  for (int i = 0; i < 5; ++i) observe("1.0.0.1", "8.8.8.8:4001");
  EXPECT_TRUE(book.addresses(now).empty());
  observe("2a00:1:2:300::1", "[2a00::8]:4001");
  observe("2a00:1:2:3ff::2", "[2a00::9]:4001");
  EXPECT_EQ(book.addresses(now), (Addresses{seen("[2a00::9]:4001", 1)})) << "one site, and its latest vote";
}

TEST_F(ObservedAddressesTest, ASingleObserverIsBelievedEnoughForAProbe) {
  observe("1.0.0.1", "8.8.8.8:4001");
  EXPECT_EQ(book.addresses(now), (Addresses{seen("8.8.8.8:4001", 1)}));
  observe("2a00::1", "[2a00:5::8]:4001");
  EXPECT_EQ(book.addresses(now).size(), 2u) << "the families are counted apart";
}

TEST_F(ObservedAddressesTest, APortThatIsNotOursSaysNothingButTheHost) {
  observe("1.0.0.1", "8.8.8.8:33001", false);
  observe("1.0.0.2", "8.8.8.8:33002", false);
  EXPECT_TRUE(book.addresses(now).empty());
  EXPECT_EQ(book.hosts(now), (Hosts{seen_host("8.8.8.8", 2)}));
}

TEST_F(ObservedAddressesTest, TheListeningPortIsNotForgottenForAnother) {
  observe("1.0.0.1", "8.8.8.8:4001", true);
  observe("1.0.0.1", "8.8.8.8:33001", false);
  EXPECT_EQ(book.addresses(now), (Addresses{seen("8.8.8.8:4001", 1)}));
  observe("1.0.0.1", "8.8.4.4:33001", false);
  EXPECT_TRUE(book.addresses(now).empty()) << "the host has changed";
  EXPECT_EQ(book.hosts(now), (Hosts{seen_host("8.8.4.4", 1)}));
}

TEST_F(ObservedAddressesTest, AddressesThatCannotBeOursAreIgnored) {
  observe("1.0.0.1", "192.168.1.1:4001");
  observe("1.0.0.2", "127.0.0.1:4001");
  observe("1.0.0.3", "8.8.8.8:0");
  observe("1.0.0.4", "169.254.1.1:4001");
  observe("1.0.0.5", "[2a00::1]:4001");
  observe("169.254.1.2", "169.254.1.1:4001");
  observe("192.168.1.2", "8.8.8.8:4001");
  EXPECT_EQ(book.votes(), 0u);
}

TEST_F(ObservedAddressesTest, EachScopeHasItsOwnVotes) {
  observe("192.168.1.2", "192.168.1.1:4001");
  observe("1.0.0.1", "8.8.8.8:4001");
  observe("127.0.0.1", "127.0.0.1:4001");
  EXPECT_EQ(book.addresses(now).size(), 3u) << "one observer each is all there are";
  observe("1.0.0.2", "8.8.4.4:4001");
  EXPECT_EQ(book.addresses(now).size(), 2u) << "those on the Internet do not agree";
}

TEST_F(ObservedAddressesTest, VotesFade) {
  observe("1.0.0.1", "8.8.8.8:4001");
  now = now + 1h;
  observe("1.0.0.2", "8.8.8.8:4001");
  now = now + 1h - 1ns;
  EXPECT_EQ(book.addresses(now), (Addresses{seen("8.8.8.8:4001", 2)}));
  now = now + 1ns;
  EXPECT_EQ(book.addresses(now), (Addresses{seen("8.8.8.8:4001", 1)}));
  EXPECT_EQ(book.hosts(now), (Hosts{seen_host("8.8.8.8", 1)}));
}

TEST_F(ObservedAddressesTest, KeepsTheLatestVotesOfMany) {
  for (int i = 0; i < 1000; ++i) {
    now = now + 1s;
    const int port = i < 2 ? 1 : i >= 998 ? 2 : 1000 + i;
    observe("1.0." + std::to_string(i / 250) + "." + std::to_string(i % 250), "8.8.8.8:" + std::to_string(port));
  }
  EXPECT_EQ(book.votes(), 128u);
  EXPECT_EQ(book.hosts(now), (Hosts{seen_host("8.8.8.8", 128)}));
  EXPECT_EQ(book.addresses(now), (Addresses{seen("8.8.8.8:2", 2)}));
  observe("1.0.3.249", "8.8.4.4:4001");
  EXPECT_EQ(book.votes(), 128u) << "a known observer needs no room";
}

}  // namespace
}  // namespace dig::autonat
