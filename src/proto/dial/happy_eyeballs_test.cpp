// SPDX-License-Identifier: Apache-2.0
#include "proto/dial/happy_eyeballs.hpp"

#include <gtest/gtest.h>

namespace dig::dial {
namespace {

constexpr Instant k_start{100s};

Endpoint v4(std::uint8_t last) { return {IpAddress::v4({192, 0, 2, last}), 4001}; }
Endpoint v6(std::uint8_t last) {
  return {IpAddress::v6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}), 4001};
}

std::vector<std::string> drain(HappyEyeballs& machine) {
  std::vector<std::string> lines;
  while (const auto event = machine.poll_event()) {
    if (const auto* start = std::get_if<Start>(&*event)) lines.push_back("start " + start->remote.to_string());
    if (const auto* cancel = std::get_if<Cancel>(&*event)) lines.push_back("cancel " + std::to_string(cancel->index));
    if (const auto* won = std::get_if<Won>(&*event)) lines.push_back("won " + std::to_string(won->index));
    if (const auto* failed = std::get_if<Failed>(&*event)) {
      lines.push_back("failed " + std::string(failed->error.info().name));
    }
  }
  return lines;
}
using Lines = std::vector<std::string>;

TEST(HappyEyeballs, FamiliesAlternateAndTheFirstCandidateLeads) {
  HappyEyeballs machine(k_start, {v6(1), v6(2), v6(3), v4(1), v4(2)});
  std::vector<Endpoint> order;
  for (const Attempt& attempt : machine.snapshot()) order.push_back(attempt.remote);
  EXPECT_EQ(order, (std::vector<Endpoint>{v6(1), v4(1), v6(2), v4(2), v6(3)}));
}

TEST(HappyEyeballs, NextAttemptStartsAfterTheDelayAndNotBefore) {
  HappyEyeballs machine(k_start, {v6(1), v4(1)});
  EXPECT_EQ(drain(machine), Lines{"start [2001:db8::1]:4001"});
  EXPECT_EQ(machine.next_timeout(), k_start + 250ms);
  machine.handle_timeout(k_start + 249ms);
  EXPECT_EQ(drain(machine), Lines{});
  machine.handle_timeout(k_start + 250ms);
  machine.handle_timeout(k_start + 250ms);
  EXPECT_EQ(drain(machine), Lines{"start 192.0.2.1:4001"});
}

TEST(HappyEyeballs, FailureStartsTheNextAtOnce) {
  HappyEyeballs machine(k_start, {v6(1), v4(1)});
  drain(machine);
  machine.handle_failed(k_start + 3ms, 0, Error(Errc::no_route));
  EXPECT_EQ(drain(machine), Lines{"start 192.0.2.1:4001"});
  EXPECT_EQ(machine.snapshot()[0].outcome, Outcome::failed);
  EXPECT_EQ(machine.snapshot()[0].elapsed, Duration(3ms));
}

TEST(HappyEyeballs, FirstToConnectWinsAndTheOthersAreCancelled) {
  HappyEyeballs machine(k_start, {v6(1), v4(1), v4(2)});
  machine.handle_timeout(k_start + 250ms);
  drain(machine);
  machine.handle_connected(k_start + 300ms, 1);
  EXPECT_EQ(drain(machine), (Lines{"cancel 0", "won 1"}));
  EXPECT_TRUE(machine.is_done());
  EXPECT_EQ(machine.next_timeout(), std::nullopt);
  EXPECT_EQ(machine.snapshot()[0].outcome, Outcome::cancelled);
  EXPECT_EQ(machine.snapshot()[1].outcome, Outcome::won);
  EXPECT_EQ(machine.snapshot()[2].outcome, Outcome::waiting);
}

TEST(HappyEyeballs, LateAndForeignResultsChangeNothing) {
  HappyEyeballs machine(k_start, {v6(1), v4(1)});
  drain(machine);
  machine.handle_connected(k_start, 1);  // not started
  machine.handle_connected(k_start, 7);  // no such attempt
  machine.handle_failed(k_start, 1, Error(Errc::no_route));
  EXPECT_EQ(drain(machine), Lines{});
  machine.handle_connected(k_start, 0);
  drain(machine);
  machine.handle_failed(k_start, 0, Error(Errc::no_route));
  machine.handle_timeout(k_start + 60s);
  machine.cancel(k_start + 60s);
  EXPECT_EQ(drain(machine), Lines{});
}

TEST(HappyEyeballs, SilentAddressTimesOutAndIsCancelled) {
  HappyEyeballs machine(k_start, {v4(1)});
  drain(machine);
  EXPECT_EQ(machine.next_timeout(), k_start + 5s);
  machine.handle_timeout(k_start + 5s);
  EXPECT_EQ(drain(machine), (Lines{"cancel 0", "failed connect_timeout"}));
}

TEST(HappyEyeballs, TotalTimeoutEndsAllAttempts) {
  HappyEyeballs machine(k_start, {v4(1), v4(2), v4(3)}, {.attempt_delay = 8s, .attempt_timeout = 30s});
  machine.handle_timeout(k_start + 8s);
  drain(machine);
  machine.handle_timeout(k_start + 10s);
  EXPECT_EQ(drain(machine), (Lines{"cancel 0", "cancel 1", "failed connect_timeout"}));
}

TEST(HappyEyeballs, TheErrorThatSaysMostIsReported) {
  HappyEyeballs machine(k_start, {v6(1), v4(1), v4(2)});
  machine.handle_failed(k_start, 0, Error(Errc::no_route));
  machine.handle_failed(k_start, 1, Error(Errc::connection_refused));
  drain(machine);
  machine.handle_failed(k_start, 2, Error(Errc::connect_timeout));
  EXPECT_EQ(drain(machine), Lines{"failed connection_refused"});
}

TEST(HappyEyeballs, CancelEndsRunningAttempts) {
  HappyEyeballs machine(k_start, {v4(1), v4(2)});
  drain(machine);
  machine.cancel(k_start + 1ms);
  EXPECT_EQ(drain(machine), (Lines{"cancel 0", "failed cancelled"}));
}

TEST(HappyEyeballs, NothingToDialFailsWithACode) {
  HappyEyeballs machine(k_start, {});
  EXPECT_EQ(drain(machine), Lines{"failed address_not_dialable"});
  EXPECT_EQ(machine.next_timeout(), std::nullopt);
}

TEST(HappyEyeballs, AddressesThatJoinLateAreInterleavedWithThoseThatWait) {
  HappyEyeballs machine(k_start, {v4(1), v4(2)}, {}, HappyEyeballs::Candidates::more_to_come);
  EXPECT_EQ(drain(machine), Lines{"start 192.0.2.1:4001"});
  machine.add(k_start + 100ms, {v6(1), v4(1), v4(2)}, HappyEyeballs::Candidates::complete);
  EXPECT_EQ(drain(machine), Lines{});  // the delay after the first attempt still runs
  EXPECT_EQ(machine.next_timeout(), k_start + 250ms);
  machine.handle_timeout(k_start + 250ms);
  EXPECT_EQ(drain(machine), Lines{"start [2001:db8::1]:4001"});
  ASSERT_EQ(machine.snapshot().size(), 3u);
  EXPECT_EQ(machine.snapshot()[2].remote, v4(2));
}

TEST(HappyEyeballs, AddressThatJoinsWhenNothingRunsStartsAtOnce) {
  HappyEyeballs machine(k_start, {v4(1)}, {}, HappyEyeballs::Candidates::more_to_come);
  machine.handle_failed(k_start + 1ms, 0, Error(Errc::connection_refused));
  EXPECT_EQ(drain(machine), Lines{"start 192.0.2.1:4001"});
  EXPECT_FALSE(machine.is_done());
  machine.add(k_start + 2ms, {v6(1)}, HappyEyeballs::Candidates::more_to_come);
  EXPECT_EQ(drain(machine), Lines{"start [2001:db8::1]:4001"});
  machine.add(k_start + 300ms, {v6(2)}, HappyEyeballs::Candidates::complete);  // the delay is over already
  EXPECT_EQ(drain(machine), Lines{"start [2001:db8::2]:4001"});
}

TEST(HappyEyeballs, RaceThatWaitsForAddressesEndsWithItsTotalTimeoutOrTheLastOfThem) {
  HappyEyeballs silent(k_start, std::vector<Endpoint>{}, {}, HappyEyeballs::Candidates::more_to_come);
  EXPECT_EQ(silent.next_timeout(), k_start + 10s);
  silent.handle_timeout(k_start + 10s);
  EXPECT_EQ(drain(silent), Lines{"failed connect_timeout"});
  silent.add(k_start + 11s, {v4(1)}, HappyEyeballs::Candidates::complete);
  EXPECT_EQ(drain(silent), Lines{});

  HappyEyeballs refused(k_start, {v4(1)}, {}, HappyEyeballs::Candidates::more_to_come);
  refused.handle_failed(k_start, 0, Error(Errc::connection_refused));
  drain(refused);
  refused.add(k_start + 1s, std::vector<Endpoint>{}, HappyEyeballs::Candidates::complete);
  EXPECT_EQ(drain(refused), Lines{"failed connection_refused"});
}

TEST(HappyEyeballs, CandidatesAreBoundedAndDuplicatesDropped) {
  std::vector<Endpoint> candidates(10, v4(1));
  candidates.push_back(v4(2));
  EXPECT_EQ(HappyEyeballs(k_start, candidates).snapshot().size(), 2u);
  candidates.clear();
  for (std::uint8_t i = 0; i < 100; ++i) candidates.push_back(v4(i));
  EXPECT_EQ(HappyEyeballs(k_start, candidates).snapshot().size(), 32u);
}

}  // namespace
}  // namespace dig::dial
