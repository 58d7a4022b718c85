// SPDX-License-Identifier: Apache-2.0
#include "node/reacher.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.hpp"
#include "wire/identity.hpp"

namespace dig::node {
namespace {

const Multiaddr k_own = Multiaddr::parse("/ip4/192.0.2.1/tcp/1").value();

Multiaddr relayed() {
  SeededRng rng(1);
  const std::string relay = Identity::generate(rng).peer_id().to_string();
  return Multiaddr::parse("/ip4/192.0.2.7/tcp/7/p2p/" + relay + "/p2p-circuit").value();
}

struct ReacherTest : ::testing::Test {
  Reacher& make(std::vector<Multiaddr> addresses, std::string_view tiers = "") {
    return reacher.emplace(now, addresses, ladder::TierSet::parse(tiers).value(), log, Reacher::Limits());
  }
  template <class Event>
  std::optional<Event> next() {
    auto event = reacher->poll_event();
    if (!event) return std::nullopt;
    Event* const found = std::get_if<Event>(&*event);
    EXPECT_NE(found, nullptr) << "another event: " << event->index();
    return found == nullptr ? std::nullopt : std::optional(std::move(*found));
  }
  [[nodiscard]] std::size_t skipped_circuits() const {
    return static_cast<std::size_t>(std::ranges::count_if(log.attempts(), [](const dignet::Attempt& attempt) {
      return attempt.method == "circuit" && attempt.outcome == dignet::Outcome::skipped;
    }));
  }

  Instant now{100s};
  ladder::AttemptLog log{now};
  std::optional<Reacher> reacher;
};

TEST_F(ReacherTest, RelayedAddressesWaitForTheHeadStartOfThePeersOwn) {
  make({relayed(), k_own});
  const auto direct = next<Reacher::DialDirect>();
  EXPECT_EQ(direct->remote.to_string(), "192.0.2.1:1");
  EXPECT_FALSE(reacher->poll_event());
  const Duration head_start = ladder::method_row(ladder::Tier::direct, ladder::Method::tcp).head_start;
  reacher->handle_timeout(now + head_start - 1ms);
  EXPECT_FALSE(reacher->poll_event());
  reacher->handle_timeout(now + head_start);
  const auto circuit = next<Reacher::DialCircuit>();
  ASSERT_TRUE(circuit);
  reacher->handle_established(now + 2s, circuit->dial);
  EXPECT_EQ(next<Reacher::Cancel>()->dial, direct->dial);
  const auto done = next<Reacher::Done>();
  EXPECT_EQ(*done->result, circuit->dial);
  EXPECT_EQ(reacher->method_of(*done->result).name, "circuit");
  EXPECT_FALSE(reacher->next_timeout());
}

TEST_F(ReacherTest, TheyDoNotWaitWhenThePeersOwnHaveFailed) {
  make({k_own, relayed()});
  const auto direct = next<Reacher::DialDirect>();
  reacher->handle_failed(now, direct->dial, Error(Errc::connection_refused));
  const auto circuit = next<Reacher::DialCircuit>();
  ASSERT_TRUE(circuit);
  reacher->handle_failed(now, circuit->dial, Error(Errc::peer_id_mismatch));
  EXPECT_EQ(next<Reacher::Done>()->result.error().code(), Errc::peer_id_mismatch);
}

TEST_F(ReacherTest, TheyAreNotNeededWhenThePeersOwnWin) {
  make({k_own, relayed()});
  const auto direct = next<Reacher::DialDirect>();
  reacher->handle_established(now + 10ms, direct->dial);
  EXPECT_EQ(*next<Reacher::Done>()->result, direct->dial);
  EXPECT_FALSE(reacher->next_timeout());
  reacher->handle_timeout(now + 1h);
  EXPECT_FALSE(reacher->poll_event());
}

TEST_F(ReacherTest, WithoutOwnAddressesTheyStartAtOnce) {
  make({relayed()});
  const auto circuit = next<Reacher::DialCircuit>();
  ASSERT_TRUE(circuit);
  reacher->handle_failed(now, circuit->dial, Error(Errc::relay_no_reservation));
  EXPECT_EQ(next<Reacher::Done>()->result.error().code(), Errc::relay_no_reservation);
}

TEST_F(ReacherTest, TiersThatAreNotAllowedAreNotUsed) {
  make({k_own, relayed()}, "direct");
  const auto direct = next<Reacher::DialDirect>();
  reacher->handle_failed(now, direct->dial, Error(Errc::connection_refused));
  EXPECT_EQ(next<Reacher::Done>()->result.error().code(), Errc::connection_refused);
  EXPECT_EQ(skipped_circuits(), 0U);  // the plan of the operation has told it
  make({k_own, relayed()}, "traversal");
  EXPECT_TRUE(next<Reacher::DialCircuit>());
  EXPECT_FALSE(reacher->poll_event());
}

TEST_F(ReacherTest, ThatThereIsNoRelayedAddressIsToldOnce) {
  make({k_own});
  make({k_own});
  EXPECT_EQ(skipped_circuits(), 1U);
}

TEST_F(ReacherTest, WithoutAnyAddressItEndsAtOnce) {
  make({});
  EXPECT_EQ(next<Reacher::Done>()->result.error().code(), Errc::address_not_dialable);
}

TEST_F(ReacherTest, ItsCancellationIsItsEnd) {
  for (const auto& addresses : {std::vector{k_own, relayed()}, std::vector{relayed()}, std::vector{k_own}}) {
    make(addresses);
    while (reacher->poll_event()) {
    }
    reacher->cancel(now);
    std::optional<Errc> end;
    while (auto event = reacher->poll_event()) {
      if (const auto* done = std::get_if<Reacher::Done>(&*event)) end = done->result.error().code();
    }
    EXPECT_EQ(end, Errc::cancelled);
    EXPECT_FALSE(reacher->next_timeout());
  }
}

}  // namespace
}  // namespace dig::node
