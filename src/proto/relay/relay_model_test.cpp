// SPDX-License-Identifier: Apache-2.0
// Random schedules of a relay and its clients against a plain model: no limit is ever exceeded, no byte is lost or
// changed, and nothing is left when all connections are gone.
#include <gtest/gtest.h>

#include "proto/relay/testing/relay_world.hpp"

namespace dig::relay::testing {
namespace {

// Small, so that every schedule meets every limit.
RelayServer::Limits small_limits(bool has_circuit_limit) {
  RelayServer::Limits limits;
  limits.reservation_lifetime = 30s;
  limits.reservations = 5;
  limits.reservations_per_source = 2;
  limits.circuits = 6;
  limits.circuits_per_peer = 3;
  limits.circuits_per_source = 3;
  limits.circuit = has_circuit_limit ? circuit::Limit{.duration = 10, .data = 400} : circuit::Limit{};
  limits.requests.per_peer = {};
  limits.requests.per_source = {};
  return limits;
}

void add(RelayWorldTally& total, const RelayWorldTally& one) {
  total.granted += one.granted;
  total.refreshed += one.refreshed;
  total.refused += one.refused;
  total.given_up += one.given_up;
  total.circuits += one.circuits;
  total.connects_refused += one.connects_refused;
  total.offers_refused += one.offers_refused;
  total.ended_well += one.ended_well;
  total.bytes_used_up += one.bytes_used_up;
  total.time_used_up += one.time_used_up;
  total.broken += one.broken;
  total.bytes += one.bytes;
}

RelayWorldTally run(std::uint64_t first_seed, std::size_t schedules, bool has_circuit_limit) {
  RelayWorldTally total;
  for (std::uint64_t seed = first_seed; seed < first_seed + schedules; ++seed) {
    RelayWorld world(seed, small_limits(has_circuit_limit));
    for (int i = 0; i < 4000 && world.complaint().empty(); ++i) world.step();
    world.close_everything();
    EXPECT_EQ(world.complaint(), "") << "seed " << seed;
    add(total, world.tally());
  }
  return total;
}

TEST(RelayModel, SchedulesWithLimitedCircuits) {
  const RelayWorldTally seen = run(1, 60, true);
  EXPECT_GT(seen.granted, 200U);
  EXPECT_GT(seen.refreshed, 100U);
  EXPECT_GT(seen.refused, 100U);
  EXPECT_GT(seen.given_up, 100U);
  EXPECT_GT(seen.circuits, 200U);
  EXPECT_GT(seen.connects_refused, 200U);
  EXPECT_GT(seen.offers_refused, 20U);
  EXPECT_GT(seen.ended_well, 20U);
  EXPECT_GT(seen.bytes_used_up, 20U);
  EXPECT_GT(seen.time_used_up, 20U);
  EXPECT_GT(seen.broken, 50U);
  EXPECT_GT(seen.bytes, 50'000U);
}

TEST(RelayModel, SchedulesWithUnlimitedCircuits) {
  const RelayWorldTally seen = run(1000, 30, false);
  EXPECT_GT(seen.circuits, 100U);
  EXPECT_GT(seen.ended_well, 20U);
  EXPECT_EQ(seen.bytes_used_up + seen.time_used_up, 0U);
  EXPECT_GT(seen.bytes, 50'000U);
}

}  // namespace
}  // namespace dig::relay::testing
