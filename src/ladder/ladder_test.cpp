// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>

#include "ladder/attempt_log.hpp"
#include "ladder/methods.hpp"
#include "ladder/tier_set.hpp"

namespace dig::ladder {
namespace {

TEST(MethodTable, IsInLadderOrderAndNamesEachMethodOncePerTier) {
  std::set<std::pair<Tier, std::string_view>> seen;
  Tier last = Tier::direct;
  for (const MethodRow& row : methods()) {
    EXPECT_GE(row.tier, last);
    last = row.tier;
    EXPECT_TRUE(seen.insert({row.tier, row.name}).second) << row.name;
    EXPECT_EQ(&method_row(row.tier, row.method), &row);
  }
  EXPECT_EQ(last, Tier::public_turn);
}

TEST(TierSetText, TakesNumbersNamesAndRanges) {
  const auto tiers_of = [](std::string_view text) {
    std::string digits;
    const auto set = TierSet::parse(text);
    if (!set) return std::string("error");
    for (std::uint8_t n = 1; n <= k_tier_count; ++n) {
      if (set->contains(Tier{n})) digits += static_cast<char>('0' + n);
    }
    return digits;
  };
  EXPECT_EQ(tiers_of(""), "12345");
  EXPECT_EQ(tiers_of("1-4"), "1234");
  EXPECT_EQ(tiers_of("direct,peer-turn"), "13");
  EXPECT_EQ(tiers_of(" 2 , public-turn "), "25");
  EXPECT_EQ(tiers_of("direct-peer-turn"), "123");
  EXPECT_EQ(tiers_of("peer-turn-5"), "345");
  EXPECT_EQ(tiers_of("3"), "3");
}

TEST(TierSetText, RefusesWhatIsNoTier) {
  for (const std::string_view bad : {"0", "6", "1-", "-1", "4-1", "1,,2", ",", "tcp", "1-4-5", "direct,"}) {
    const auto set = TierSet::parse(bad);
    ASSERT_FALSE(set) << bad;
    EXPECT_EQ(set.error().code(), Errc::invalid_argument) << bad;
  }
}

TEST(AttemptLog, PlansWhatCanBeUsedAndExplainsTheRest) {
  const Instant start{5s};
  AttemptLog log(start);
  const auto usable = log.plan(start, *TierSet::parse("1,3"));
  ASSERT_EQ(usable.size(), 1U);
  EXPECT_EQ(usable[0]->name, "tcp");
  EXPECT_EQ(log.attempts().size(), methods().size() - 1);
  for (const dignet::Attempt& attempt : log.attempts()) {
    EXPECT_EQ(attempt.outcome, dignet::Outcome::skipped);
    ASSERT_TRUE(attempt.error);
    const bool is_allowed = attempt.tier == 1 || attempt.tier == 3;
    EXPECT_EQ(attempt.error->code(), is_allowed ? Errc::tier_unavailable : Errc::tier_disabled) << attempt.method;
  }
}

TEST(AttemptLog, MeasuresEachAttemptAndReportsItOnce) {
  AttemptLog log(Instant{1s});
  const auto& row = method_row(Tier::direct, Method::tcp);
  const auto lost = log.begin(Instant{1s + 10ms}, row, "/ip4/192.0.2.1/tcp/1");
  const auto won = log.begin(Instant{1s + 260ms}, row, "/ip4/192.0.2.2/tcp/1");
  EXPECT_TRUE(log.take_completed().empty());
  log.end(lost, Instant{1s + 300ms}, dignet::Outcome::failed, Error(Errc::connection_refused));
  log.end(lost, Instant{2s}, dignet::Outcome::won);
  log.end(won, Instant{1s + 400ms}, dignet::Outcome::won);
  const auto completed = log.take_completed();
  ASSERT_EQ(completed.size(), 2U);
  EXPECT_EQ(completed[0].started_ms, 10);
  EXPECT_EQ(completed[0].elapsed_ms, 290);
  EXPECT_EQ(completed[0].outcome, dignet::Outcome::failed);
  EXPECT_EQ(completed[1].target, "/ip4/192.0.2.2/tcp/1");
  EXPECT_EQ(completed[1].outcome, dignet::Outcome::won);
  EXPECT_FALSE(completed[1].error);
  EXPECT_TRUE(log.take_completed().empty());
}

TEST(AttemptLog, CancelsWhatIsStillOpen) {
  AttemptLog log(Instant{});
  const auto& row = method_row(Tier::direct, Method::tcp);
  log.begin(Instant{}, row, "a");
  const auto done = log.begin(Instant{}, row, "b");
  log.end(done, Instant{1ms}, dignet::Outcome::won);
  log.cancel_open(Instant{2ms});
  EXPECT_EQ(log.attempts()[0].outcome, dignet::Outcome::cancelled);
  EXPECT_EQ(log.attempts()[0].error->code(), Errc::cancelled);
  EXPECT_EQ(log.attempts()[1].outcome, dignet::Outcome::won);
}

}  // namespace
}  // namespace dig::ladder
