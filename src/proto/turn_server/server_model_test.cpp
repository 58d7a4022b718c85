// SPDX-License-Identifier: Apache-2.0
// The server against its model, on schedules drawn from fixed seeds; fuzz/turn_server_fuzz.cpp looks for others.
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "proto/turn_server/testing/server_schedule.hpp"

namespace dig::turn {
namespace {

constexpr std::uint64_t k_schedules = 400;

TEST(TurnServerModel, ServerAndModelAgreeOnEverySchedule) {
  std::map<std::string, std::size_t> answers;
  for (std::uint64_t seed = 1; seed <= k_schedules; ++seed) {
    SeededRng rng(seed);
    Bytes input(200 + rng.below(1800));
    rng.fill(input);
    const auto result = testing::run_server_schedule(input);
    ASSERT_EQ(result.failure, "") << "seed " << seed;
    for (const auto& [what, times] : result.answers) answers[what] += times;
  }
  // Schedules in which nothing happens would agree as well.
  for (const std::string_view what :
       {"allocate ok",    "allocate 300",   "allocate 400",   "allocate 401",    "allocate 420",   "allocate 437",
        "allocate 438",   "allocate 440",   "allocate 442",   "allocate 486",    "allocate 508",   "refresh ok",
        "refresh 437",    "refresh 440",    "refresh 441",    "refresh 443",     "permission ok",  "permission 400",
        "permission 403", "permission 437", "permission 441", "permission 443",  "permission 508", "channel ok",
        "channel 400",    "channel 403",    "channel 437",    "channel 441",     "channel 443",    "channel 508",
        "binding ok",     "binding 420",    "channel data",   "data indication", "data to a peer"}) {
    EXPECT_GE(answers[std::string(what)], 3u) << what;
  }
}

}  // namespace
}  // namespace dig::turn
