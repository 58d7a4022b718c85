// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/pair_credentials.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/base_encoding.hpp"
#include "base/safe_text.hpp"
#include "wire/identity.hpp"

namespace dig::turn {
namespace {

class PairCredentialsTest : public ::testing::Test {
 protected:
  PeerId new_peer() { return Identity::generate(rng).peer_id(); }
  [[nodiscard]] bool is_known(std::string_view username, std::int64_t after = 0) const {
    const UserCredentials user = credentials.find(username, {now.seconds + after});
    EXPECT_EQ(user.username, username);
    EXPECT_EQ(user.passwords.empty(), !user.pair.has_value());
    return !user.passwords.empty();
  }

  SeededRng rng{1};
  const UnixTime now{1'700'000'000};
  const PeerId relay = new_peer();
  const PeerId a = new_peer();
  const PeerId b = new_peer();
  PairCredentials credentials{relay};
};

TEST_F(PairCredentialsTest, WhatWasMintedIsFoundWithItsPasswordAndItsPair) {
  const auto minted = credentials.mint(now, {a, b}, rng);
  ASSERT_TRUE(minted);
  EXPECT_EQ(minted->lifetime, 1h);
  EXPECT_GE(minted->password.size(), 43U);  // 256 bits
  const UserCredentials user = credentials.find(minted->username, now);
  EXPECT_EQ(user.username, minted->username);
  EXPECT_EQ(user.passwords, std::vector{minted->password});
  EXPECT_EQ(user.pair, (PairRole{a, b}));
}

TEST_F(PairCredentialsTest, ItEndsWhenItExpires) {
  const auto minted = credentials.mint(now, {a, b}, rng);
  EXPECT_TRUE(is_known(minted->username, 3599));
  EXPECT_FALSE(is_known(minted->username, 3600));
  EXPECT_FALSE(is_known(minted->username, 1'000'000));
}

TEST_F(PairCredentialsTest, ANameIsPrintableAndShowsNobodyWhoTheyAre) {
  const auto minted = credentials.mint(now, {a, b}, rng);
  EXPECT_LE(minted->username.size(), PairCredentials::max_username);
  EXPECT_TRUE(is_safe_text(minted->username));
  EXPECT_EQ(minted->username.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."),
            std::string::npos);
  const auto content = decode_base(Base::base64url, minted->username.substr(minted->username.find('.') + 1));
  ASSERT_TRUE(content);
  for (const PeerId& peer : {a, b, relay}) {
    const std::string_view key = as_text(peer.bytes()).substr(6);
    EXPECT_EQ(as_text(*content).find(key), std::string_view::npos);
    EXPECT_EQ(minted->username.find(peer.to_string()), std::string::npos);
  }
}

TEST_F(PairCredentialsTest, NoTwoAreAlike) {
  const auto first = credentials.mint(now, {a, b}, rng);
  const auto second = credentials.mint(now, {a, b}, rng);
  const auto mirror = credentials.mint(now, {b, a}, rng);
  EXPECT_NE(first->username, second->username);
  EXPECT_NE(first->password, second->password);
  EXPECT_NE(first->password, mirror->password);
  EXPECT_EQ(credentials.find(mirror->username, now).pair, (PairRole{b, a}));
  EXPECT_TRUE(is_known(first->username) && is_known(second->username));
}

TEST_F(PairCredentialsTest, AnAlteredNameIsNobodys) {
  const auto minted = credentials.mint(now, {a, b}, rng);
  const std::string& name = minted->username;
  for (std::size_t i = 0; i < name.size(); ++i) {
    for (const char other : {'A', 'B', '.', '-', '\0', '\xff'}) {
      std::string altered = name;
      altered[i] = other;
      if (altered != name) {
        EXPECT_FALSE(is_known(altered)) << i;
      }
    }
    EXPECT_FALSE(is_known(name.substr(0, i)));
    EXPECT_FALSE(is_known(name.substr(i + 1)));
  }
  EXPECT_FALSE(is_known(name + "A"));
  EXPECT_FALSE(is_known(name + "AAAA"));
  EXPECT_FALSE(is_known(std::string(PairCredentials::max_username + 1, 'A')));
  EXPECT_FALSE(is_known("pair1." + std::string(170, 'A')));
  EXPECT_TRUE(is_known(name));
}

TEST_F(PairCredentialsTest, AnotherRelaysCredentialIsNobodys) {
  // Even if it had the same secrets.
  SeededRng same(7);
  SeededRng same_again(7);
  PairCredentials here(relay);
  PairCredentials there(new_peer());
  const auto mine = here.mint(now, {a, b}, same);
  const auto theirs = there.mint(now, {a, b}, same_again);
  EXPECT_NE(mine->password, theirs->password);
  EXPECT_TRUE(here.find(theirs->username, now).passwords.empty());
  EXPECT_FALSE(here.find(mine->username, now).passwords.empty());
  // A node that was started again has other secrets.
  EXPECT_TRUE(PairCredentials(relay).find(mine->username, now).passwords.empty());
  PairCredentials again(relay);
  ASSERT_TRUE(again.mint(now, {a, b}, rng));
  EXPECT_TRUE(again.find(mine->username, now).passwords.empty());
}

TEST_F(PairCredentialsTest, SecretsAreReplacedAndKeptAsLongAsTheirCredentialsLast) {
  std::vector<std::string> names;
  std::vector<std::int64_t> made;
  for (std::int64_t second = 0; second < 10 * 3600; second += 600) {
    const UnixTime then{now.seconds + second};
    names.push_back(credentials.mint(then, {a, b}, rng)->username);
    made.push_back(second);
    for (std::size_t i = 0; i < names.size(); ++i) {
      EXPECT_EQ(is_known(names[i], second), second - made[i] < 3600) << second << " " << made[i];
    }
    EXPECT_LE(credentials.secrets(), 2U);
  }
  EXPECT_EQ(credentials.secrets(), 2U);
  std::set<std::string> secrets;  // their numbers are the first four bytes
  for (const std::string& name : names) {
    const auto content = decode_base(Base::base64url, name.substr(name.find('.') + 1));
    secrets.emplace(as_text(*content).substr(0, 4));
  }
  EXPECT_EQ(secrets.size(), 10U);
}

TEST_F(PairCredentialsTest, AClockThatIsSetBackTakesNothingAway) {
  const auto minted = credentials.mint(now, {a, b}, rng);
  const auto early = credentials.mint({now.seconds - 100'000}, {a, b}, rng);
  EXPECT_TRUE(is_known(minted->username));
  EXPECT_TRUE(is_known(early->username, -100'000));
  EXPECT_FALSE(is_known(early->username));
  EXPECT_EQ(credentials.secrets(), 1U);
}

TEST_F(PairCredentialsTest, ThereIsNoPairOfOneNorWithTheRelay) {
  for (const auto& [self, peer] : {std::pair{a, a}, {a, PeerId()}, {PeerId(), b}, {relay, b}, {a, relay}}) {
    const auto minted = credentials.mint(now, {self, peer}, rng);
    ASSERT_FALSE(minted);
    EXPECT_EQ(minted.error().code(), Errc::invalid_argument);
  }
}

TEST_F(PairCredentialsTest, EveryKindOfPeerIdFits) {
  // Of a key that is not inlined: a hash.
  Bytes hashed = {std::byte{0x12}, std::byte{32}};
  hashed.resize(34);
  const PeerId other = PeerId::from_bytes(hashed).value();
  const auto minted = credentials.mint(now, {other, b}, rng);
  ASSERT_TRUE(minted);
  EXPECT_EQ(credentials.find(minted->username, now).pair, (PairRole{other, b}));
  // No PeerId is longer than 44 bytes.
  const std::size_t longest = 4 + 8 + 8 + 2 * (1 + PeerId::max_size) + 16;
  EXPECT_LE(std::string_view("pair1.").size() + (longest * 4 + 2) / 3, PairCredentials::max_username);
}

TEST_F(PairCredentialsTest, AHashOfANameIsNobodys) {
  const auto minted = credentials.mint(now, {a, b}, rng);
  const auto hash = crypto::sha256(as_bytes(minted->username + ":dignet"));
  EXPECT_TRUE(credentials.find_by_hash(hash, now).passwords.empty());
}

}  // namespace
}  // namespace dig::turn
