// SPDX-License-Identifier: Apache-2.0
// Circuits: two peers without a route to each other, and a relay that both can reach.
#include <gtest/gtest.h>

#include "tests/sim/scenario.hpp"

namespace dig::sim::testing {
namespace {

class Circuits : public ::testing::Test {
 protected:
  explicit Circuits() {
    scenario.world.network().silence(scenario.fetcher.endpoint().address, holder.endpoint().address);
  }

  static HostSpec holder_spec() { return {.name = "holder"}; }
  static HostSpec relay_spec(circuit::Limit limit = {.duration = 120, .data = 131'072}) {
    HostSpec spec{.name = "relay"};
    spec.limits.relay.circuit = limit;
    return spec;
  }
  Host& make_relay(HostSpec spec) {
    Host& relay = scenario.world.add_host(std::move(spec));
    others.push_back(&relay);
    be_relay(relay);
    return relay;
  }
  static void be_relay(Host& relay) {
    relay.run([](Instant now, node::NodeCore& core) {
      core.force_roles(now, true);
      core.set_relay(now, true);
      return 0;
    });
  }
  void reserve_at(const Host& relay) {
    const Result<void> added = holder.run(
        [&](Instant now, node::NodeCore& core) { return core.add_relay(now, relay.peer_id(), {relay.address()}); });
    ASSERT_TRUE(added) << added.error().message();
    ASSERT_TRUE(scenario.world.run_until([&] { return has_relayed_address(); }, 1min));
  }
  [[nodiscard]] bool has_relayed_address() const {
    const dignet::ListenAddressesChanged* last = nullptr;
    for (const auto& event : holder.events()) {
      if (const auto* changed = std::get_if<dignet::ListenAddressesChanged>(&event)) last = changed;
    }
    return last != nullptr && std::ranges::any_of(last->addresses, [](const std::string& address) {
             return address.find("/p2p-circuit") != std::string::npos;
           });
  }
  [[nodiscard]] Multiaddr through(const Host& relay) const {
    return Multiaddr::parse(relay.address().to_string() + "/p2p/" + relay.peer_id().to_string() + "/p2p-circuit/p2p/" +
                            holder.peer_id().to_string())
        .value();
  }
  const node::ConnectEnded* connect(std::vector<Multiaddr> addresses) {
    const auto operation = scenario.fetcher.connect(holder.peer_id(), std::move(addresses));
    EXPECT_TRUE(scenario.world.run_until([&] { return scenario.fetcher.connected(operation) != nullptr; }, 1min));
    return scenario.fetcher.connected(operation);
  }
  const node::FetchEnded* fetch(const Host& relay) {
    return scenario.wait(
        scenario.fetcher.fetch(scenario.store, {{holder.peer_id(), {holder.address(), through(relay)}}}));
  }
  [[nodiscard]] static const dignet::Attempt* failed_with(const std::vector<dignet::Attempt>& attempts, Errc code) {
    const auto found = std::ranges::find_if(
        attempts, [&](const dignet::Attempt& attempt) { return attempt.error && attempt.error->code() == code; });
    return found == attempts.end() ? nullptr : &*found;
  }
  void expect_nothing_left() {
    for (Host* other : others) scenario.holders.push_back(other);
    scenario.expect_nothing_left();
  }

  Scenario scenario{70};
  Host& holder = [this]() -> Host& {
    scenario.make_store(100'000);
    return scenario.add_holder(holder_spec());
  }();
  std::vector<Host*> others;
};

TEST_F(Circuits, APeerThatCannotBeDialledIsReachedThroughItsRelay) {
  Host& relay = make_relay(relay_spec());
  reserve_at(relay);
  const node::ConnectEnded* ended = connect({holder.address(), through(relay)});
  ASSERT_TRUE(ended->result) << ended->result.error().message();
  EXPECT_EQ(ended->result->path.method, "circuit");
  EXPECT_EQ(ended->result->path.to, through(relay).to_string());
  EXPECT_EQ(ended->result->path.peer_id, holder.peer_id().to_string());
  // Its own address had a head start, and no more.
  EXPECT_LT(scenario.world.now().since_origin, 5s);
  EXPECT_EQ(relay.snapshot().established, 2U);
  expect_nothing_left();
}

TEST_F(Circuits, ASmallStoreIsFetchedThroughARelay) {
  Host& relay = make_relay(relay_spec());
  reserve_at(relay);
  const node::FetchSummary summary = scenario.expect_complete(fetch(relay));
  EXPECT_EQ(summary.path, through(relay).to_string());
  expect_nothing_left();
}

TEST_F(Circuits, WhatTheRelayDoesNotAllowIsNotBegun) {
  scenario.make_store(k_mebibyte);
  scenario.store = holder.disk().add(scenario.archive, *scenario.owner);
  Host& relay = make_relay(relay_spec());
  reserve_at(relay);
  const node::FetchEnded* ended = fetch(relay);
  ASSERT_NE(ended, nullptr);
  ASSERT_FALSE(ended->result);
  const dignet::Attempt* attempt = failed_with(ended->attempts, Errc::circuit_limit_reached);
  ASSERT_NE(attempt, nullptr);
  EXPECT_EQ(attempt->method, "circuit");
  expect_nothing_left();
}

TEST_F(Circuits, AnUnlimitedRelayCarriesAnything) {
  scenario.make_store(4 * k_mebibyte);
  scenario.store = holder.disk().add(scenario.archive, *scenario.owner);
  Host& relay = make_relay(relay_spec({}));
  reserve_at(relay);
  std::ignore = scenario.expect_complete(fetch(relay));
  expect_nothing_left();
}

TEST_F(Circuits, WithoutAReservationTheRelaySaysSo) {
  Host& relay = make_relay(relay_spec());
  const node::ConnectEnded* ended = connect({through(relay)});
  ASSERT_FALSE(ended->result);
  EXPECT_NE(failed_with(ended->attempts, Errc::relay_no_reservation), nullptr);
  expect_nothing_left();
}

TEST_F(Circuits, ANodeThatIsNoRelayIsToldByItsProtocols) {
  Host& other = scenario.world.add_host("other");
  others.push_back(&other);
  const node::ConnectEnded* ended = connect({through(other)});
  ASSERT_FALSE(ended->result);
  EXPECT_NE(failed_with(ended->attempts, Errc::protocol_not_supported), nullptr);
  expect_nothing_left();
}

TEST_F(Circuits, TheSecondRelayIsAskedWhenTheFirstDoesNotAnswer) {
  Host& silent = make_relay(relay_spec());
  scenario.world.network().silence(scenario.fetcher.endpoint().address, silent.endpoint().address);
  Host& relay = make_relay({.name = "second"});
  reserve_at(relay);
  const node::ConnectEnded* ended = connect({through(silent), through(relay)});
  ASSERT_TRUE(ended->result) << ended->result.error().message();
  EXPECT_EQ(ended->result->path.to, through(relay).to_string());
  EXPECT_LT(scenario.world.now().since_origin, 3s);
  expect_nothing_left();
}

TEST_F(Circuits, WhenTheRelayDiesTheCircuitDiesAndTheReservationIsMadeAgain) {
  Host& relay = make_relay(relay_spec());
  reserve_at(relay);
  ASSERT_TRUE(connect({through(relay)})->result);
  scenario.world.run_for(1s);
  EXPECT_EQ(holder.snapshot().established, 2U);  // the relay, and the peer behind it
  relay.crash();
  scenario.world.run_for(1s);
  EXPECT_EQ(holder.snapshot().established, 0U);
  EXPECT_EQ(scenario.fetcher.snapshot().established, 0U);
  EXPECT_FALSE(has_relayed_address());
  relay.restart();
  be_relay(relay);
  ASSERT_TRUE(scenario.world.run_until([&] { return has_relayed_address(); }, 2min));
  ASSERT_TRUE(connect({through(relay)})->result);
}

TEST_F(Circuits, AReservationIsRefreshedBeforeItExpires) {
  HostSpec spec = relay_spec();
  spec.limits.relay.reservation_lifetime = 10min;
  Host& relay = make_relay(std::move(spec));
  reserve_at(relay);
  scenario.world.run_for(1h);
  EXPECT_TRUE(has_relayed_address());
  const node::ConnectEnded* ended = connect({through(relay)});
  EXPECT_TRUE(ended->result) << ended->result.error().message();
}

// circuit-v2 spec: the relay ends what has lasted too long.
TEST_F(Circuits, ACircuitEndsAfterItsTime) {
  Host& relay = make_relay(relay_spec({.duration = 30, .data = 0}));
  reserve_at(relay);
  ASSERT_TRUE(connect({through(relay)})->result);
  scenario.world.run_for(29s);
  EXPECT_EQ(holder.snapshot().established, 2U);
  scenario.world.run_for(3s);
  EXPECT_EQ(holder.snapshot().established, 1U);
  EXPECT_EQ(relay.snapshot().established, 2U);
}

// A relay that leads to somebody else than it was asked for.
TEST_F(Circuits, AnotherPeerAtTheEndOfACircuitIsRefused) {
  Host& relay = make_relay(relay_spec());
  reserve_at(relay);
  Host& meant = scenario.world.add_host("meant");
  others.push_back(&meant);
  const Multiaddr wrong = Multiaddr::parse(relay.address().to_string() + "/p2p/" + relay.peer_id().to_string() +
                                           "/p2p-circuit/p2p/" + meant.peer_id().to_string())
                              .value();
  const auto operation = scenario.fetcher.connect(meant.peer_id(), {wrong});
  ASSERT_TRUE(scenario.world.run_until([&] { return scenario.fetcher.connected(operation) != nullptr; }, 1min));
  EXPECT_NE(failed_with(scenario.fetcher.connected(operation)->attempts, Errc::relay_no_reservation), nullptr);
  expect_nothing_left();
}

TEST_F(Circuits, NoRelayOverARelay) {
  Host& relay = make_relay(relay_spec());
  reserve_at(relay);
  be_relay(holder);
  ASSERT_TRUE(connect({through(relay)})->result);
  // The holder is connected by a circuit only: a reservation at it is refused.
  ASSERT_TRUE(scenario.fetcher.run(
      [&](Instant now, node::NodeCore& core) { return core.add_relay(now, holder.peer_id(), {}); }));
  scenario.world.run_for(1min);
  const auto& events = scenario.fetcher.events();
  EXPECT_TRUE(std::ranges::none_of(events, [](const dignet::NodeEvent& event) {
    return std::holds_alternative<dignet::ListenAddressesChanged>(event);
  }));
}

}  // namespace
}  // namespace dig::sim::testing
