// SPDX-License-Identifier: Apache-2.0
// Connections: who is reached, who is refused, and what hostile dialers cost the honest.
#include <gtest/gtest.h>

#include "sim/raw_peer.hpp"
#include "tests/sim/scenario.hpp"

namespace dig::sim::testing {
namespace {

TEST(Dialling, AnotherPeerThanTheOneMeantIsRefused) {
  Scenario scenario(20);
  Host& other = scenario.world.add_host("other");
  Host& meant = scenario.world.add_host("meant");
  const node::OperationId operation = scenario.fetcher.connect(meant.peer_id(), {other.address()});
  ASSERT_TRUE(scenario.world.run_until([&] { return scenario.fetcher.connected(operation) != nullptr; }, 1min));
  const node::ConnectEnded* ended = scenario.fetcher.connected(operation);
  ASSERT_FALSE(ended->result);
  EXPECT_EQ(ended->result.error().code(), Errc::peer_id_mismatch);
  scenario.holders = {&other, &meant};
  scenario.expect_nothing_left();
}

TEST(Dialling, NobodyListensSoTheErrorSaysRefused) {
  Scenario scenario(21);
  Host& peer = scenario.world.add_host("peer");
  const Endpoint closed{peer.endpoint().address, 9};
  const node::OperationId operation = scenario.fetcher.connect(peer.peer_id(), {Multiaddr::tcp(closed)});
  ASSERT_TRUE(scenario.world.run_until([&] { return scenario.fetcher.connected(operation) != nullptr; }, 1min));
  const node::ConnectEnded* ended = scenario.fetcher.connected(operation);
  ASSERT_FALSE(ended->result);
  EXPECT_EQ(ended->result.error().code(), Errc::all_tiers_failed);
  const auto is_refused = [](const dignet::Attempt& attempt) {
    return attempt.error && attempt.error->code() == Errc::connection_refused;
  };
  EXPECT_EQ(std::ranges::count_if(ended->attempts, is_refused), 1);
  scenario.expect_nothing_left();
}

TEST(Dialling, ASilentAddressLosesTheRaceAgainstAnotherOne) {
  Scenario scenario(22);
  Host& peer = scenario.world.add_host("peer");
  const Endpoint dead{scenario.world.next_address(), 4001};
  scenario.world.network().silence(scenario.fetcher.endpoint().address, dead.address);
  const node::OperationId operation = scenario.fetcher.connect(peer.peer_id(), {Multiaddr::tcp(dead), peer.address()});
  ASSERT_TRUE(scenario.world.run_until([&] { return scenario.fetcher.connected(operation) != nullptr; }, 1min));
  ASSERT_TRUE(scenario.fetcher.connected(operation)->result);
  EXPECT_LT(scenario.world.now().since_origin, 1s);
  scenario.holders = {&peer};
  scenario.expect_nothing_left();
}

TEST(Dialling, NobodyAnswersSoItTimesOut) {
  Scenario scenario(23);
  Host& peer = scenario.world.add_host("peer");
  scenario.world.network().silence(scenario.fetcher.endpoint().address, peer.endpoint().address);
  const node::OperationId operation = scenario.fetcher.connect(peer.peer_id(), {peer.address()});
  ASSERT_TRUE(scenario.world.run_until([&] { return scenario.fetcher.connected(operation) != nullptr; }, 1min));
  ASSERT_FALSE(scenario.fetcher.connected(operation)->result);
  EXPECT_LE(scenario.world.now().since_origin, 10s);
  scenario.expect_nothing_left();
}

TEST(Dialling, BothSidesHearWhoTheOtherIs) {
  Scenario scenario(24);
  Host& peer = scenario.world.add_host("peer");
  const node::OperationId operation = scenario.fetcher.connect(peer.peer_id(), {peer.address()});
  scenario.world.run_for(1s);
  ASSERT_NE(scenario.fetcher.connected(operation), nullptr);
  ASSERT_TRUE(scenario.fetcher.connected(operation)->result);
  for (const auto& [host, other] : {std::pair(&scenario.fetcher, &peer), std::pair(&peer, &scenario.fetcher)}) {
    std::size_t identified = 0;
    for (const dignet::NodeEvent& event : host->events()) {
      const auto* fact = std::get_if<dignet::PeerIdentified>(&event);
      if (fact == nullptr) continue;
      ++identified;
      EXPECT_EQ(fact->peer_id, other->peer_id().to_string());
    }
    EXPECT_EQ(identified, 1u);
  }
  scenario.holders = {&peer};
  scenario.expect_nothing_left();
}

TEST(Dialling, AnIdleConnectionStaysAndABrokenPathIsNoticed) {
  Scenario scenario(25);
  Host& peer = scenario.world.add_host("peer");
  const node::OperationId operation = scenario.fetcher.connect(peer.peer_id(), {peer.address()});
  scenario.world.run_for(10min);
  ASSERT_NE(scenario.fetcher.connected(operation), nullptr);
  EXPECT_EQ(scenario.fetcher.snapshot().established, 1u);
  EXPECT_EQ(peer.snapshot().established, 1u);
  scenario.world.network().silence(scenario.fetcher.endpoint().address, peer.endpoint().address);
  scenario.world.run_for(90s);
  EXPECT_EQ(scenario.fetcher.snapshot().established, 0u);
  EXPECT_EQ(peer.snapshot().established, 0u);
}

class Garbage : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Garbage, FromAHostileDiallerDoesNotDisturbAnHonestFetch) {
  Scenario scenario(26);
  scenario.make_store(k_mebibyte);
  Host& holder = scenario.add_holder("holder");
  scenario.link(holder, {.delay = 10ms, .bytes_per_second = 200'000});
  World& world = scenario.world;
  RawPeer hostile(world.events(), world.network(), world.next_number(), world.next_address(),
                  {.bytes = world.random_bytes(4096), .piece = GetParam(), .pause = 1ms});
  for (int i = 0; i < 20; ++i) hostile.dial(holder.endpoint());
  std::ignore = scenario.expect_complete(scenario.fetch());
  EXPECT_EQ(hostile.connected(), 20u);
  EXPECT_EQ(hostile.ended(), 20u);
  EXPECT_EQ(holder.snapshot().connections, 1u);
  EXPECT_EQ(holder.snapshot().accepts.half_open, 0u);
  scenario.expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(Pieces, Garbage, ::testing::Values(1, 4096));

TEST(Dialling, SilentDiallersAreBoundedAndRunOut) {
  Scenario scenario(27);
  scenario.make_store(100'000);
  Host& holder = scenario.add_holder("holder");
  World& world = scenario.world;
  RawPeer silent(world.events(), world.network(), world.next_number(), world.next_address(), {});
  for (int i = 0; i < 50; ++i) silent.dial(holder.endpoint());
  world.run_for(1s);
  const AcceptLimiter::Limits limits;
  EXPECT_EQ(holder.snapshot().accepts.half_open, limits.half_open_per_source);
  EXPECT_EQ(silent.open(), limits.half_open_per_source);
  // They cost nobody else anything.
  std::ignore = scenario.expect_complete(scenario.fetch());
  EXPECT_LT(world.now().since_origin, 3s);
  world.run_for(15s);
  EXPECT_EQ(holder.snapshot().accepts.half_open, 0u);
  EXPECT_EQ(silent.open(), 0u);
  scenario.expect_nothing_left();
}

TEST(Dialling, ADiallerThatReadsNothingIsGivenUp) {
  Scenario scenario(28);
  Host& host = scenario.world.add_host("host");
  World& world = scenario.world;
  RawPeer deaf(world.events(), world.network(), world.next_number(), world.next_address(),
               {.bytes = to_bytes("\x13/multistream/1.0.0\n"), .piece = 3, .reads = false});
  deaf.dial(host.endpoint());
  world.run_for(30s);
  EXPECT_EQ(deaf.connected(), 1u);
  EXPECT_EQ(host.snapshot().connections, 0u);
  scenario.holders = {&host};
  scenario.expect_nothing_left();
}

}  // namespace
}  // namespace dig::sim::testing
