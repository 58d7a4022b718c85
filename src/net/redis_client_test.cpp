// SPDX-License-Identifier: Apache-2.0
// Against Debian's redis-server, started and killed here.
#include "net/redis_client.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/system_rng.hpp"
#include "net/testing/redis_server.hpp"

namespace dig::net {
namespace {

constexpr Duration k_patience = 20s;

using testing::free_port;

struct RedisServer : testing::RedisServer {
  explicit RedisServer(std::uint16_t port) : testing::RedisServer(port, {"--requirepass", "secret"}) {}
};

class RedisClientTest : public ::testing::Test {
 protected:
  void connect(std::string password = "secret", Duration timeout = 3s) {
    client_.emplace(
        loop_, resolver_, rng_,
        RedisClient::Config{.url = {.host = "127.0.0.1", .port = port_, .user = {}, .password = password},
                            .command_timeout = timeout,
                            .longest_retry = 200ms},
        [this](const Result<void>& state) { states_.push_back(state ? std::nullopt : std::optional(state.error())); });
  }
  bool wait(const std::function<bool()>& done) { return loop_.run_until(done, k_patience); }
  Result<RedisReply> ask(const std::vector<std::string>& words) {
    std::optional<Result<RedisReply>> answer;
    client_->command(words, [&](Result<RedisReply> told) { answer = std::move(told); });
    EXPECT_FALSE(answer);  // never from inside
    EXPECT_TRUE(wait([&] { return answer.has_value(); }));
    return answer.value_or(fail(Errc::internal));
  }

  std::uint16_t port_ = free_port();
  Loop loop_;
  Resolver resolver_{loop_};
  crypto::SystemRng rng_;
  std::optional<RedisClient> client_;
  std::vector<std::optional<Error>> states_;  // no error: up
};

TEST_F(RedisClientTest, CommandsAreAnsweredInTheirOrder) {
  const RedisServer server(port_);
  connect();
  ASSERT_TRUE(wait([&] { return client_->is_up(); }));
  std::vector<std::int64_t> numbers;
  for (int i = 0; i < 1000; ++i) {
    client_->command({"INCR", "counter"}, [&](Result<RedisReply> told) { numbers.push_back(*told->number()); });
  }
  ASSERT_TRUE(wait([&] { return numbers.size() == 1000; }));
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
  const std::string bytes("\0\r\n\xff", 4);
  EXPECT_EQ(*ask({"SET", "key", bytes})->text(), "OK");
  EXPECT_EQ(*ask({"GET", "key"})->text(), bytes);
  EXPECT_EQ(ask({"NOSUCHCOMMAND"}).error().code(), Errc::redis_refused);
  EXPECT_EQ(*ask({"GET", "key"})->text(), bytes);  // a refused command ends nothing
}

TEST_F(RedisClientTest, AWrongPasswordIsTold) {
  const RedisServer server(port_);
  connect("wrong");
  ASSERT_TRUE(wait([&] {
    return std::ranges::any_of(
        states_, [](const auto& state) { return state && state->detail().find("WRONGPASS") != std::string::npos; });
  }));
  EXPECT_FALSE(client_->is_up());
  EXPECT_EQ(ask({"PING"}).error().code(), Errc::redis_down);
}

TEST_F(RedisClientTest, AServerThatIsNotThereIsToldOnceAndFoundWhenItComes) {
  connect();
  ASSERT_TRUE(wait([&] { return !states_.empty(); }));
  EXPECT_EQ(states_[0]->code(), Errc::redis_down);
  EXPECT_EQ(ask({"PING"}).error().code(), Errc::redis_down);
  const RedisServer server(port_);
  ASSERT_TRUE(wait([&] { return states_.size() == 2; }));
  EXPECT_FALSE(states_[1]);  // told once, however often it was tried
  EXPECT_EQ(*ask({"PING"})->text(), "PONG");
}

TEST_F(RedisClientTest, WhatWaitsWhenTheServerDiesFailsAndItIsFoundAgain) {
  RedisServer server(port_);
  connect();
  ASSERT_TRUE(wait([&] { return client_->is_up(); }));
  std::vector<Errc> failures;
  for (int i = 0; i < 3; ++i) {
    client_->command(
        {"BLPOP", "nothing", "0"}, [&](Result<RedisReply> told) { failures.push_back(told.error().code()); }, 60s);
  }
  (void)loop_.poll();
  server.kill();
  ASSERT_TRUE(wait([&] { return failures.size() == 3; }));
  EXPECT_EQ(failures, std::vector(3, Errc::redis_down));
  server.start();
  ASSERT_TRUE(wait([&] { return client_->is_up(); }));
  EXPECT_EQ(*ask({"PING"})->text(), "PONG");
}

TEST_F(RedisClientTest, AServerThatHangsIsGivenUpAfterTheDeadlineOfACommand) {
  const RedisServer server(port_);
  connect("secret", 200ms);
  ASSERT_TRUE(wait([&] { return client_->is_up(); }));
  server.signal(SIGSTOP);
  EXPECT_EQ(ask({"PING"}).error().code(), Errc::redis_down);
  EXPECT_FALSE(client_->is_up());
  server.signal(SIGCONT);
  ASSERT_TRUE(wait([&] { return client_->is_up(); }));
  EXPECT_EQ(*ask({"PING"})->text(), "PONG");
}

TEST_F(RedisClientTest, NoMoreWaitThanMay) {
  const RedisServer server(port_);
  connect();
  ASSERT_TRUE(wait([&] { return client_->is_up(); }));
  std::size_t refused = 0;
  std::size_t answered = 0;
  for (std::size_t i = 0; i < RedisClient::Config().max_waiting + 5; ++i) {
    client_->command({"PING"}, [&](const Result<RedisReply>& told) { ++(told ? answered : refused); });
  }
  ASSERT_TRUE(wait([&] { return answered + refused == RedisClient::Config().max_waiting + 5; }));
  EXPECT_EQ(refused, 5U);
}

TEST_F(RedisClientTest, NobodyIsCalledOnceItIsGone) {
  const RedisServer server(port_);
  connect();
  ASSERT_TRUE(wait([&] { return client_->is_up(); }));
  bool is_called = false;
  client_->command({"PING"}, [&](const Result<RedisReply>&) { is_called = true; });
  client_.reset();
  while (loop_.poll()) {
  }
  EXPECT_FALSE(is_called);
}

}  // namespace
}  // namespace dig::net
