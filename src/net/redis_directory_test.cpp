// SPDX-License-Identifier: Apache-2.0
// The scripts, in Debian's redis-server.
#include "net/redis_directory.hpp"

#include <gtest/gtest.h>

#include "crypto/system_rng.hpp"
#include "net/redis_client.hpp"
#include "net/testing/redis_server.hpp"
#include "proto/directory/testing/signed_nodes.hpp"

namespace dig::net {
namespace {

using directory::testing::k_wall_ms;
using directory::testing::TestNode;

class RedisDirectoryTest : public ::testing::Test {
 protected:
  Result<RedisReply> ask(const std::vector<std::string>& words) {
    EXPECT_TRUE(loop_.run_until([&] { return client_.is_up(); }, 20s));
    std::optional<Result<RedisReply>> answer;
    client_.command(words, [&](Result<RedisReply> told) { answer = std::move(told); });
    EXPECT_TRUE(loop_.run_until([&] { return answer.has_value(); }, 20s));
    return answer.value_or(fail(Errc::internal));
  }
  [[nodiscard]] std::vector<std::string> put_one() const {
    const store::DirectoryRow row{.peer = node_.peer(),
                                  .slot = 0,
                                  .sequence = k_wall_ms,
                                  .source = 1,
                                  .lifetime = 1h,
                                  .kept = 2h,
                                  .envelope = node_.signed_record(k_wall_ms)};
    return directory_.put({{*directory_.put_of(row)}}, "new epoch");
  }
  // The same script, in a Redis that behaves otherwise: `prelude` is Lua.
  static std::vector<std::string> with(const std::string& prelude, std::vector<std::string> words) {
    words.at(1) = prelude + words.at(1);
    return words;
  }

  std::uint16_t port_ = testing::free_port();
  testing::RedisServer redis_{port_, {}};
  Loop loop_;
  Resolver resolver_{loop_};
  crypto::SystemRng rng_;
  RedisClient client_{loop_, resolver_, rng_,
                      RedisClient::Config{.url = {.host = "127.0.0.1", .port = port_, .user = {}, .password = {}}},
                      [](const Result<void>&) {}};
  RedisDirectory directory_{"prefix:", "server"};
  TestNode node_{1};
};

TEST_F(RedisDirectoryTest, ARedisOfBefore7IsRefused) {
  EXPECT_TRUE(ask(directory_.put({}, "new epoch")));
  const auto refused = ask(with("local redis = setmetatable({REDIS_VERSION_NUM = false}, {__index = redis})",
                                directory_.put({}, "new epoch")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::redis_refused);
  EXPECT_NE(refused.error().message().find("Redis 7 or newer is needed"), std::string::npos)
      << refused.error().message();
}

TEST_F(RedisDirectoryTest, AStreamThatTakesNothingIsAnErrorAndNoNewEpoch) {
  ASSERT_TRUE(ask(directory_.put({}, "first")));
  // As Redis 6 answers to an entry whose number is left to it in part.
  const auto refused = ask(with(R"(
local real = redis
local redis = setmetatable({}, {__index = real})
function redis.call(command, ...)
  if command == 'XADD' then return real.call('XADD', (...), '0-x', 'k', '') end
  return real.call(command, ...)
end
function redis.pcall(command, ...)
  if command == 'XADD' then return real.pcall('XADD', (...), '0-x', 'k', '') end
  return real.pcall(command, ...)
end
)",
                                put_one()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::redis_refused);
  EXPECT_EQ(*ask({"GET", directory_.epoch_key()})->text(), "first");
  const auto taken = ask(put_one());
  ASSERT_TRUE(taken);
  EXPECT_EQ(RedisDirectory::read_put(*taken, 1)->epoch, "first");
}

TEST_F(RedisDirectoryTest, WhatIsWrittenOfAPeerTogetherIsOneChangeWithTheSequencesOfAll) {
  const RedisDirectory other{"prefix:", "other"};
  const auto row = [&](std::uint32_t slot, Bytes envelope) {
    const bool is_page = slot > 0;
    return *directory_.put_of(store::DirectoryRow{.peer = node_.peer(),
                                                  .slot = slot,
                                                  .sequence = k_wall_ms + slot,
                                                  .source = 1,
                                                  .lifetime = is_page ? 0h : 1h,
                                                  .kept = is_page ? 0h : 2h,
                                                  .envelope = std::move(envelope)});
  };
  const std::vector<SharedPut> puts{row(0, node_.signed_record(k_wall_ms)),
                                    row(1, node_.signed_page(k_wall_ms + 1, 0, {directory::testing::store_of(1)}))};
  ASSERT_TRUE(ask(directory_.put(puts, "new epoch")));
  ASSERT_TRUE(ask(directory_.put({&puts[1], 1}, "new epoch")));  // changes nothing, and is no change
  EXPECT_EQ(ask({"XLEN", "prefix:changes"})->number(), 1);
  const auto changes = ask(other.changes_after(0, 1s));
  ASSERT_TRUE(changes);
  const auto read = other.read_changes(*changes, 0);
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->has_gap);
  ASSERT_EQ(read->rows.size(), 1U);
  EXPECT_EQ(read->rows[0].peer, node_.peer());
  EXPECT_EQ(read->rows[0].slots, (std::map<std::uint32_t, std::uint64_t>{{0, k_wall_ms}, {1, k_wall_ms + 1}}));
  EXPECT_TRUE(directory_.read_changes(*changes, 0)->rows.empty()) << "its own";
}

TEST_F(RedisDirectoryTest, ARowStaysSomewhatLongerThanItCountsAsKept) {
  ASSERT_TRUE(ask(put_one()));
  const std::vector<WantedRows> wanted{{node_.peer(), {0}, true}};
  const auto left = [&] {
    const auto read = RedisDirectory::read_rows(*ask(directory_.read(wanted)), wanted);
    EXPECT_EQ(read->values.size(), 1U);
    return read->values.at(0).left.value_or(-1s);
  };
  EXPECT_GT(*ask({"PTTL", directory_.key_of(node_.peer())})->number(), 7'205'000);
  EXPECT_LE(left(), 2h);
  EXPECT_GT(left(), 2h - 5s);
  ASSERT_TRUE(ask({"PEXPIRE", directory_.key_of(node_.peer()), "9000"}));
  EXPECT_EQ(left(), Duration(0));
}

TEST_F(RedisDirectoryTest, AChangeTellsEachSlotOnceWithItsLastSequence) {
  const auto page = [&](std::uint32_t slot, std::uint64_t sequence) {
    return *directory_.put_of(store::DirectoryRow{.peer = node_.peer(),
                                                  .slot = slot,
                                                  .sequence = sequence,
                                                  .source = 1,
                                                  .lifetime = 0h,
                                                  .kept = 0h,
                                                  .envelope = node_.signed_page(sequence, slot - 1, {})});
  };
  ASSERT_TRUE(ask(put_one()));
  std::vector<SharedPut> puts;
  for (std::uint64_t i = 0; i < 300; ++i) puts.push_back(page(1, k_wall_ms + i));  // more than a peer has slots
  puts.push_back(page(2, k_wall_ms));
  ASSERT_TRUE(ask(directory_.put(puts, "new epoch")));
  const RedisDirectory other{"prefix:", "other"};
  const auto read = other.read_changes(*ask(other.changes_after(1, 1s)), 1);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->rows.size(), 1U);
  EXPECT_EQ(read->rows[0].slots, (std::map<std::uint32_t, std::uint64_t>{{1, k_wall_ms + 299}, {2, k_wall_ms}}));
}

TEST_F(RedisDirectoryTest, ASlotWithoutASequenceMayBeAnythingNew) {
  ASSERT_TRUE(ask({"XADD", "prefix:changes", "0-*", "k", directory_.key_of(node_.peer()), "s", "3,x,900,1", "o",
                   "other", "q", std::string(7, '\0') + "\x05" + "cut"}));
  const auto read = directory_.read_changes(*ask(directory_.changes_after(0, 1s)), 0);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->rows.size(), 1U);
  EXPECT_EQ(read->rows[0].slots, (std::map<std::uint32_t, std::uint64_t>{{1, UINT64_MAX}, {3, 5}}));
}

}  // namespace
}  // namespace dig::net
