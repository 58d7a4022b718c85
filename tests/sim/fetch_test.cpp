// SPDX-License-Identifier: Apache-2.0
// Fetches over the whole stack (Noise, yamux, store exchange, node core) in virtual time.
#include <gtest/gtest.h>

#include "tests/sim/scenario.hpp"

namespace dig::sim::testing {
namespace {

constexpr std::size_t k_store_size = 3 * k_mebibyte - 12'345;

class FetchOverDelay : public ::testing::TestWithParam<int> {};

TEST_P(FetchOverDelay, CompletesAndLeavesNothingBehind) {
  Scenario scenario(1);
  scenario.make_store(k_store_size);
  Host& holder = scenario.add_holder("holder");
  const Duration delay = std::chrono::milliseconds(GetParam());
  scenario.link(holder, {.delay = delay, .jitter = delay / 4});
  const node::FetchSummary ended = scenario.expect_complete(scenario.fetch());
  EXPECT_EQ(ended.fetched_bytes, k_store_size);
  EXPECT_EQ(ended.reused_bytes, 0u);
  // TCP, multistream, Noise, stream and question take some round trips; the rest is waiting for windows.
  EXPECT_LT(scenario.world.now().since_origin, 1s + 30 * delay);
  EXPECT_EQ(scenario.fetcher.disk().snapshot().writes_refused, 0u);
  scenario.expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(Milliseconds, FetchOverDelay, ::testing::Values(1, 20, 200));

TEST(Fetch, TwoRunsOfOneSeedAreTheSameAndOthersAreNot) {
  const auto run = [](std::uint64_t seed) {
    Scenario scenario(seed);
    scenario.make_store(600'000);
    scenario.link(scenario.add_holder("near"), {.delay = 2ms, .jitter = 1ms});
    scenario.link(scenario.add_holder("far"), {.delay = 30ms, .jitter = 10ms});
    std::ignore = scenario.expect_complete(scenario.fetch());
    scenario.expect_nothing_left();
    EXPECT_GT(scenario.world.trace().records(), 100u);
    return scenario.world.trace().hash();
  };
  const Hash256 first = run(7);
  EXPECT_EQ(run(7), first);
  EXPECT_NE(run(8), first);
}

}  // namespace
}  // namespace dig::sim::testing
