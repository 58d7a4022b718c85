// SPDX-License-Identifier: Apache-2.0
#include "node/circuit_race.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "wire/identity.hpp"

namespace dig::node {
namespace {

PeerId peer(std::uint64_t seed) {
  SeededRng rng(seed);
  return Identity::generate(rng).peer_id();
}
Multiaddr through(std::uint64_t relay, std::string_view address = "/ip4/192.0.2.1/tcp/4001") {
  return Multiaddr::parse(std::string(address) + "/p2p/" + peer(relay).to_string() + "/p2p-circuit/p2p/" +
                          peer(99).to_string())
      .value();
}

struct CircuitRaceTest : ::testing::Test {
  CircuitRace& make(std::vector<Multiaddr> addresses) {
    race.emplace(addresses, log, CircuitRace::Limits());
    race->start(now);
    return *race;
  }
  template <class Event>
  std::optional<Event> next() {
    auto event = race->poll_event();
    if (!event) return std::nullopt;
    Event* const found = std::get_if<Event>(&*event);
    EXPECT_NE(found, nullptr) << "another event: " << event->index();
    return found == nullptr ? std::nullopt : std::optional(std::move(*found));
  }
  void pass(Duration time) {
    now = now + time;
    race->handle_timeout(now);
  }

  Instant now{100s};
  ladder::AttemptLog log{now};
  std::optional<CircuitRace> race;
};

using enum dignet::Outcome;

TEST_F(CircuitRaceTest, AddressesOfOneRelayAreOneAttempt) {
  make({through(1), through(1, "/ip4/192.0.2.2/tcp/1"), through(2), Multiaddr::parse("/ip4/192.0.2.9/tcp/1").value()});
  const auto first = next<CircuitRace::Dial>();
  EXPECT_EQ(first->relay, peer(1));
  EXPECT_EQ(first->addresses.size(), 2U);
  EXPECT_FALSE(race->poll_event());
  EXPECT_EQ(race->next_timeout(), now + 500ms);
  pass(500ms);
  EXPECT_EQ(next<CircuitRace::Dial>()->relay, peer(2));
}

TEST_F(CircuitRaceTest, TheNextStartsAtOnceWhenOneFailsAndTheFirstToProveItselfWins) {
  make({through(1), through(2), through(3)});
  const auto first = next<CircuitRace::Dial>();
  race->handle_failed(now, first->index, Error(Errc::relay_no_reservation));
  const auto second = next<CircuitRace::Dial>();
  pass(500ms);
  const auto third = next<CircuitRace::Dial>();
  race->handle_established(now, third->index);
  EXPECT_EQ(next<CircuitRace::Cancel>()->index, second->index);
  EXPECT_EQ(*next<CircuitRace::Done>()->result, third->index);
  EXPECT_FALSE(race->next_timeout());
  ASSERT_EQ(log.attempts().size(), 3U);
  EXPECT_EQ(log.attempts()[0].outcome, failed);
  EXPECT_EQ(log.attempts()[1].outcome, cancelled);
  EXPECT_EQ(log.attempts()[2].outcome, won);
  EXPECT_EQ(log.attempts()[2].target, through(3).to_string());
  race->handle_failed(now, second->index, Error(Errc::cancelled));  // too late
  EXPECT_FALSE(race->poll_event());
}

TEST_F(CircuitRaceTest, WhenAllFailAProvenWrongIdentityIsTheReason) {
  make({through(1), through(2)});
  race->handle_failed(now, next<CircuitRace::Dial>()->index, Error(Errc::peer_id_mismatch));
  race->handle_failed(now, next<CircuitRace::Dial>()->index, Error(Errc::relay_no_reservation));
  EXPECT_EQ(next<CircuitRace::Done>()->result.error().code(), Errc::peer_id_mismatch);
}

TEST_F(CircuitRaceTest, ARelayThatIsSilentIsGivenUp) {
  make({through(1)});
  const auto first = next<CircuitRace::Dial>();
  const Instant deadline = *race->next_timeout();
  pass(deadline - now - 1ms);
  EXPECT_FALSE(race->poll_event());
  pass(1ms);
  EXPECT_EQ(next<CircuitRace::Cancel>()->index, first->index);
  EXPECT_EQ(next<CircuitRace::Done>()->result.error().code(), Errc::connect_timeout);
}

TEST_F(CircuitRaceTest, ItsCancellationIsItsEnd) {
  make({through(1)});
  const auto first = next<CircuitRace::Dial>();
  race->cancel(now);
  EXPECT_EQ(next<CircuitRace::Cancel>()->index, first->index);
  EXPECT_EQ(next<CircuitRace::Done>()->result.error().code(), Errc::cancelled);
  race->cancel(now);
  EXPECT_FALSE(race->poll_event());
}

}  // namespace
}  // namespace dig::node
