// SPDX-License-Identifier: Apache-2.0
// What holds whatever servers do: no address is confirmed that nobody dialled, no more dial data is sent than the
// budget allows, liars are left alone; and where enough servers are honest, the truth is found.
#include <gtest/gtest.h>

#include "proto/autonat/testing/probe_world.hpp"

namespace dig::autonat {
namespace {

using testing::Habit;
using testing::ProbeWorld;

const Multiaddr k_seen = Multiaddr::parse("/ip4/8.8.8.8/tcp/4001").value();   // where servers see the node
const Multiaddr k_other = Multiaddr::parse("/ip4/8.8.4.4/tcp/4001").value();  // costs dial data
const Multiaddr k_v6 = Multiaddr::parse("/ip6/2a00::8/tcp/4001").value();     // too
const std::vector<Candidate> k_candidates = {
    {k_seen, CandidateSource::mapped}, {k_other, CandidateSource::observed, 2}, {k_v6, CandidateSource::listening}};
constexpr std::size_t k_habits = static_cast<std::size_t>(Habit::garbage) + 1;

IpAddress address_of(std::uint64_t number) {
  return IpAddress::v4({1, 0, static_cast<std::uint8_t>(number / 250), static_cast<std::uint8_t>(number % 250)});
}

Habit random_liar(SeededRng& rng) { return static_cast<Habit>(1 + rng.below(k_habits - 1)); }

ReachabilityProber::Limits random_limits(SeededRng& rng) {
  ReachabilityProber::Limits limits;
  limits.dial_data_per_hour = 100'000 + rng.below(1'000'000);
  limits.max_probes = 1 + rng.below(5);
  return limits;
}

void expect_lawful(const ProbeWorld& world) { EXPECT_TRUE(world.violations.empty()) << world.violations.front(); }

TEST(ProberProperty, AmongLiarsNothingIsConfirmed) {
  std::uint64_t probes = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    SeededRng rng(seed);
    ProbeWorld world(seed, random_limits(rng));
    world.set_candidates(k_candidates);
    for (std::uint64_t i = 3 + rng.below(10); i > 0; --i) world.add_server(random_liar(rng), address_of(i));
    world.run(12h);
    expect_lawful(world);
    EXPECT_EQ(world.confirmations, 0u);
    probes += world.probes;
  }
  EXPECT_GT(probes, 2000u);
}

TEST(ProberProperty, EachHabitByItselfConfirmsNothingUnlessItIsHonest) {
  for (std::size_t habit = 0; habit < k_habits; ++habit) {
    SCOPED_TRACE(habit);
    ProbeWorld world(habit, {});
    world.reachable = {k_seen, k_other, k_v6};
    world.set_candidates(k_candidates);
    for (std::uint64_t i = 1; i <= 5; ++i) world.add_server(static_cast<Habit>(habit), address_of(i));
    world.run(6h);
    expect_lawful(world);
    EXPECT_EQ(world.confirmations > 0, static_cast<Habit>(habit) == Habit::honest);
  }
}

TEST(ProberProperty, WithEnoughHonestServersTheTruthIsFound) {
  for (std::uint64_t seed = 100; seed < 140; ++seed) {
    SCOPED_TRACE(seed);
    SeededRng rng(seed);
    ReachabilityProber::Limits limits;
    limits.max_probes = 1 + rng.below(5);
    ProbeWorld world(seed, limits);
    for (const Multiaddr& address : {k_seen, k_other, k_v6}) {
      if (rng.below(2) == 0) world.reachable.insert(address);
    }
    world.set_candidates(k_candidates);
    std::uint64_t deniers = 0;
    for (std::uint64_t i = 1; i <= 12; ++i) {
      Habit habit = i <= 4 ? Habit::honest : random_liar(rng);
      // As many as are believed can deny what is there.
      if (habit == Habit::denies && ++deniers > 2) habit = Habit::silent;
      const Duration when = std::chrono::seconds(rng.below(3600));
      world.at(when, [&world, habit, i] { world.add_server(habit, address_of(i)); });
    }
    world.run(24h);
    expect_lawful(world);
    for (const Multiaddr& address : {k_seen, k_other, k_v6}) {
      EXPECT_EQ(world.verdict(address), world.reachable.contains(address) ? Verdict::reachable : Verdict::unreachable)
          << address.to_string();
    }
  }
}

TEST(ProberProperty, WhatChangesIsNoticed) {
  for (std::uint64_t seed = 200; seed < 210; ++seed) {
    SCOPED_TRACE(seed);
    ProbeWorld world(seed, {});
    world.reachable = {k_seen};
    world.set_candidates(k_candidates);
    for (std::uint64_t i = 1; i <= 5; ++i) world.add_server(Habit::honest, address_of(i));
    world.run(1h);
    EXPECT_EQ(world.verdict(k_seen), Verdict::reachable);
    EXPECT_EQ(world.verdict(k_v6), Verdict::unreachable);
    world.reachable = {k_v6};
    world.run(8h);
    EXPECT_EQ(world.verdict(k_seen), Verdict::unreachable);
    EXPECT_EQ(world.verdict(k_v6), Verdict::reachable);
    expect_lawful(world);
  }
}

// Everything at once: servers of every habit come and go, addresses appear, vanish and become reachable.
TEST(ProberProperty, HoldsInAnyWorld) {
  std::uint64_t confirmations = 0, dial_data = 0;
  for (std::uint64_t seed = 300; seed < 340; ++seed) {
    SCOPED_TRACE(seed);
    SeededRng rng(seed);
    ProbeWorld world(seed, random_limits(rng));
    std::vector<PeerId> servers;
    std::function<void()> step = [&] {
      switch (rng.below(5)) {
        case 0:
          world.set_candidates(
              {k_candidates.begin(), k_candidates.begin() + static_cast<std::ptrdiff_t>(rng.below(4))});
          break;
        case 1:
          if (!servers.empty()) {
            const std::size_t which = rng.below(servers.size());
            world.remove_server(servers[which]);
            servers.erase(servers.begin() + static_cast<std::ptrdiff_t>(which));
          }
          break;
        case 2:
          world.reachable.clear();
          for (const Multiaddr& address : {k_seen, k_other, k_v6}) {
            if (rng.below(2) == 0) world.reachable.insert(address);
          }
          break;
        default:
          servers.push_back(
              world.add_server(rng.below(2) == 0 ? Habit::honest : random_liar(rng), address_of(rng.below(20))));
      }
      world.at(std::chrono::seconds(rng.below(120)), step);
    };
    step();
    world.run(4h);
    expect_lawful(world);
    confirmations += world.confirmations;
    dial_data += world.dial_data;
  }
  EXPECT_GT(confirmations, 300u);
  EXPECT_GT(dial_data, 20'000'000u);
}

TEST(ProberProperty, TheSameSeedGivesTheSameWorld) {
  const auto trace = [](std::uint64_t seed) {
    SeededRng rng(seed);
    ProbeWorld world(seed, random_limits(rng));
    world.reachable = {k_other};
    world.set_candidates(k_candidates);
    for (std::uint64_t i = 1; i <= 8; ++i) {
      world.add_server(i <= 3 ? Habit::honest : random_liar(rng), address_of(i));
    }
    world.run(6h);
    return std::tuple(world.probes, world.dial_data, world.confirmations);
  };
  for (std::uint64_t seed = 400; seed < 405; ++seed) EXPECT_EQ(trace(seed), trace(seed));
}

}  // namespace
}  // namespace dig::autonat
