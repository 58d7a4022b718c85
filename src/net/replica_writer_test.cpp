// SPDX-License-Identifier: Apache-2.0
#include "net/replica_writer.hpp"

#include <gtest/gtest.h>

#include "crypto/system_rng.hpp"
#include "net/testing/redis_server.hpp"
#include "proto/directory/testing/signed_nodes.hpp"

namespace dig::net {
namespace {

using directory::testing::k_wall_ms;
using directory::testing::TestNode;

class ReplicaWriterTest : public ::testing::Test, private ReplicaWriter::Watcher {
 protected:
  Result<RedisReply> ask(const std::vector<std::string>& words) {
    EXPECT_TRUE(loop_.run_until([&] { return client_.is_up(); }, 20s));
    std::optional<Result<RedisReply>> answer;
    client_.command(words, [&](Result<RedisReply> told) { answer = std::move(told); });
    EXPECT_TRUE(loop_.run_until([&] { return answer.has_value(); }, 20s));
    return answer.value_or(fail(Errc::internal));
  }
  // How often the script has run.
  std::uint64_t calls() {
    const std::string name = "cmdstat_eval:calls=";
    const auto info = ask({"INFO", "commandstats"});
    const std::size_t at = info->text()->find(name);
    return at == std::string::npos ? 0 : std::stoul(info->text()->substr(at + name.size()));
  }
  [[nodiscard]] SharedPut put_of(const TestNode& node, std::uint32_t slot) const {
    const bool is_page = slot > 0;
    return *directory_.put_of(store::DirectoryRow{
        .peer = node.peer(),
        .slot = slot,
        .sequence = k_wall_ms,
        .source = 1,
        .lifetime = is_page ? 0h : 1h,
        .kept = is_page ? 0h : 2h,
        .envelope = is_page ? node.signed_page(k_wall_ms, slot - 1, {}) : node.signed_record(k_wall_ms)});
  }

  std::size_t missing_ = 0;

 private:
  void handle_epoch(const std::string& /*epoch*/) override {}
  void handle_missing() override { ++missing_; }
  void handle_trouble(const Error& why) override { ADD_FAILURE() << why.message(); }

  std::uint16_t port_ = testing::free_port();
  testing::RedisServer redis_{port_, {}};

 protected:
  Loop loop_;
  Resolver resolver_{loop_};
  crypto::SystemRng rng_;
  RedisClient client_{loop_, resolver_, rng_,
                      RedisClient::Config{.url = {.host = "127.0.0.1", .port = port_, .user = {}, .password = {}}},
                      [](const Result<void>&) {}};
  RedisDirectory directory_{"prefix:", "server"};
  ReplicaWriter writer_{client_, directory_, rng_, *this};
};

TEST_F(ReplicaWriterTest, WhatWaitsGoesTogetherAndEachIsAnsweredForItself) {
  ASSERT_TRUE(ask({"PING"}));
  constexpr std::size_t k_jobs = 100;
  std::vector<TestNode> nodes;
  std::vector<ReplicaWriter::Outcome> outcomes;
  for (std::uint64_t i = 0; i < k_jobs; ++i) nodes.emplace_back(100 + i);
  for (const TestNode& node : nodes) {
    // The last has a page whose record is nowhere.
    std::vector<SharedPut> puts{put_of(node, &node == &nodes.back() ? 1 : 0)};
    writer_.put(std::move(puts), [&](const ReplicaWriter::Outcome& outcome) { outcomes.push_back(outcome); });
  }
  EXPECT_GT(writer_.waiting_bytes(), 0U);
  ASSERT_TRUE(loop_.run_until([&] { return outcomes.size() == k_jobs; }, 20s));
  EXPECT_EQ(writer_.waiting_bytes(), 0U);
  for (std::size_t i = 0; i + 1 < k_jobs; ++i) {
    EXPECT_TRUE(outcomes[i].is_all_there);
    EXPECT_EQ(outcomes[i].there, (std::vector<store::RowName>{{nodes[i].peer(), 0, k_wall_ms}}));
  }
  EXPECT_FALSE(outcomes.back().is_all_there);
  EXPECT_TRUE(outcomes.back().there.empty());
  EXPECT_EQ(missing_, 1U);
  EXPECT_LE(calls(), 10U) << "each costs Redis a write to its disk";
}

TEST_F(ReplicaWriterTest, ALargeBatchIsAnsweredOnceAllItsPiecesAre) {
  ASSERT_TRUE(ask({"PING"}));
  std::vector<SharedPut> puts;
  for (std::uint64_t i = 0; i < 1300; ++i) puts.push_back(put_of(TestNode(100 + i), 0));
  std::optional<ReplicaWriter::Outcome> outcome;
  writer_.put(std::move(puts), [&](const ReplicaWriter::Outcome& told) {
    EXPECT_FALSE(outcome) << "told twice";
    outcome = told;
  });
  ASSERT_TRUE(loop_.run_until([&] { return outcome.has_value(); }, 20s));
  EXPECT_TRUE(outcome->is_all_there);
  EXPECT_EQ(outcome->there.size(), 1300U);
  EXPECT_GE(calls(), 3U) << "Redis does other things between its pieces";
  EXPECT_EQ(ask({"DBSIZE"})->number(), 1302);
}

}  // namespace
}  // namespace dig::net
