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

}  // namespace
}  // namespace dig::net
