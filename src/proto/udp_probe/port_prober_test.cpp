// SPDX-License-Identifier: Apache-2.0
#include "proto/udp_probe/port_prober.hpp"

#include <gtest/gtest.h>

#include "wire/identity.hpp"

namespace dig::udp_probe {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

class UdpPortProber : public testing::Test {
 protected:
  UdpPortProber() {
    for (int i = 0; i < 5; ++i) servers.push_back(Identity::generate(rng).peer_id());
  }
  static IpAddress place_of(std::size_t server) { return ip("9.9." + std::to_string(server) + ".9"); }
  void add(std::size_t server, bool is_preferred = true) {
    prober.add_server(now, servers[server], place_of(server), is_preferred);
  }
  std::vector<ProberEvent> drain() {
    std::vector<ProberEvent> events;
    while (const auto event = prober.poll_event()) events.push_back(*event);
    return events;
  }
  template <class Event>
  std::vector<Event> drain_all_of() {
    std::vector<Event> found;
    for (const ProberEvent& event : drain()) {
      if (const auto* one = std::get_if<Event>(&event)) found.push_back(*one);
    }
    return found;
  }
  // Opens the port that is wanted, and says who is asked then.
  std::vector<WantDatagram> open() {
    const auto wanted = drain_all_of<WantPort>();
    EXPECT_EQ(wanted.size(), 1U);
    if (wanted.empty()) return {};
    EXPECT_EQ(wanted[0].target, target);
    prober.handle_listening(now, wanted[0].probe, Endpoint{target, 50000});
    return drain_all_of<WantDatagram>();
  }
  // A probe under way with one server asked.
  WantDatagram start() {
    prober.set_target(now, target);
    add(0);
    return ask();
  }
  WantDatagram ask() {
    const auto asked = open();
    EXPECT_EQ(asked.size(), 1U);
    return asked.empty() ? WantDatagram{} : asked[0];
  }
  void answer(const WantDatagram& wanted, const Result<Response>& response) {
    prober.handle_answer(now, wanted.probe, wanted.server, response);
  }
  void come(const WantDatagram& wanted) {
    prober.handle_datagram(now, wanted.probe, Datagram{wanted.request.nonce}.encode());
  }
  void pass(Duration time) {
    now = now + time;
    prober.handle_timeout(now);
  }

  SeededRng rng{1};
  Instant now{1h};
  IpAddress target = ip("8.8.4.4");
  std::vector<PeerId> servers;
  PortProber::Limits limits;
  PortProber prober{rng, limits};
  const Response sent{Status::sent};
};

TEST_F(UdpPortProber, BelievesTheNonceThatHasComeWhateverTheServerSays) {
  const std::optional<Result<Response>> answers[] = {std::nullopt, sent, Response{Status::busy},
                                                     fail(Errc::protocol_not_supported)};
  for (const auto& said_before : answers) {
    prober.set_target(now, std::nullopt);
    prober.remove_server(now, servers[0]);
    prober.remove_server(now, servers[1]);
    (void)drain();
    now = now + 1min;
    prober.set_target(now, target);
    add(0);
    add(1);
    const auto asked = open();
    ASSERT_EQ(asked.size(), 2U);
    EXPECT_EQ(asked[0].request.target, (Endpoint{target, 50000}));
    EXPECT_NE(asked[0].request.nonce, asked[1].request.nonce);
    if (said_before) answer(asked[0], *said_before);
    EXPECT_FALSE(prober.is_reached());
    come(asked[0]);
    EXPECT_TRUE(prober.is_reached());
    EXPECT_EQ(prober.why_not(), "");
    const auto events = drain();
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(std::get<DropPort>(events[0]).probe, asked[0].probe);
    EXPECT_TRUE(std::holds_alternative<VerdictChanged>(events[1]));
  }
}

TEST_F(UdpPortProber, BelievesNoServerThatSaysIt) {
  const WantDatagram wanted = start();
  answer(wanted, sent);
  EXPECT_FALSE(prober.is_reached());
  pass(limits.patience - 1ms);
  EXPECT_EQ(prober.why_not(), "its relay ports are being tried");
  pass(1ms);
  EXPECT_FALSE(prober.is_reached());
  EXPECT_EQ(prober.why_not(), "no datagram from outside has reached a relay port");
  EXPECT_EQ(prober.next_timeout(), now + limits.retry);
}

TEST_F(UdpPortProber, BelievesNoOtherDatagram) {
  const WantDatagram wanted = start();
  answer(wanted, sent);
  WantDatagram other = wanted;
  other.request.nonce[3] ^= std::byte{1};
  come(other);
  prober.handle_datagram(now, wanted.probe, as_bytes("something else"));
  prober.handle_datagram(now, wanted.probe + 1, Datagram{wanted.request.nonce}.encode());
  EXPECT_FALSE(prober.is_reached());
  pass(limits.patience);
  come(wanted);  // too late
  EXPECT_FALSE(prober.is_reached());
}

TEST_F(UdpPortProber, AsksAFewServersAtDifferentPlacesAndPreferredOnesFirst) {
  prober.add_server(now, servers[0], ip("9.9.1.9"), false);
  prober.add_server(now, servers[1], ip("9.9.1.9"), false);
  prober.add_server(now, servers[2], ip("9.9.2.9"), true);
  prober.add_server(now, servers[3], ip("9.9.2.9"), true);
  prober.add_server(now, servers[4], ip("9.9.1.9"), true);
  prober.set_target(now, target);
  const auto asked = open();
  ASSERT_EQ(asked.size(), 2U);
  for (const WantDatagram& one : asked) {
    EXPECT_NE(one.server, servers[0]);
    EXPECT_NE(one.server, servers[1]);
  }
}

TEST_F(UdpPortProber, AsksNoMoreServersThanItsLimit) {
  for (std::size_t i = 0; i < servers.size(); ++i) add(i);
  prober.set_target(now, target);
  EXPECT_EQ(open().size(), limits.max_servers);
}

TEST_F(UdpPortProber, AsksNobodyWhoIsInside) {
  for (const char* inside : {"8.8.4.4", "192.168.1.7", "127.0.0.1", "169.254.1.1"}) {
    prober.remove_server(now, servers[0]);
    prober.add_server(now, servers[0], ip(inside), true);
    prober.set_target(now, target);
    EXPECT_TRUE(open().empty()) << inside;
    EXPECT_EQ(prober.why_not(), "no peer is connected that can try its relay ports");
    now = now + 1min;
    prober.set_target(now, std::nullopt);
    (void)drain();
  }
}

TEST_F(UdpPortProber, ANodeInAPrivateNetworkIsProbedInIt) {
  target = ip("192.168.1.2");
  prober.add_server(now, servers[0], ip("192.168.1.7"), true);
  add(1);
  prober.set_target(now, target);
  const auto asked = open();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].server, servers[0]);
}

TEST_F(UdpPortProber, WithoutAServerItSaysSoAndDoesNothing) {
  prober.set_target(now, target);
  EXPECT_EQ(drain().size(), 1U);
  EXPECT_EQ(prober.why_not(), "no peer is connected that can try its relay ports");
  EXPECT_EQ(prober.next_timeout(), std::nullopt);
  pass(24h);
  EXPECT_TRUE(drain().empty());
}

TEST_F(UdpPortProber, EndsAtOnceWhenNobodyTries) {
  const std::pair<Result<Response>, std::string> cases[] = {
      {Response{Status::busy}, "a server is too busy to try its relay ports"},
      {Response{Status::refused}, "a server sends nothing to its relay address"},
      {fail(Errc::timed_out), "a server does not try relay ports: " + Error(Errc::timed_out).message()}};
  (void)start();
  prober.set_target(now, std::nullopt);
  for (const auto& [response, why] : cases) {
    (void)drain();
    now = now + 1min;
    prober.set_target(now, target);
    const WantDatagram wanted = ask();
    answer(wanted, response);
    EXPECT_EQ(drain_all_of<DropPort>().size(), 1U);
    EXPECT_EQ(prober.why_not(), why);
    EXPECT_EQ(prober.next_timeout(), now + limits.retry);
    prober.set_target(now, std::nullopt);
  }
}

TEST_F(UdpPortProber, ASilentServerIsNotWaitedForLongerThanItsPatience) {
  (void)start();
  pass(limits.patience);
  EXPECT_EQ(prober.why_not(), "no server has answered");
}

TEST_F(UdpPortProber, AServerThatGoesIsNotWaitedFor) {
  (void)start();
  prober.remove_server(now, servers[0]);
  EXPECT_EQ(drain_all_of<DropPort>().size(), 1U);
  EXPECT_EQ(prober.next_timeout(), std::nullopt);
}

TEST_F(UdpPortProber, RepeatsAtGrowingIntervals) {
  come(start());
  Duration interval = limits.first_interval;
  for (int round = 0; round < 8; ++round) {
    EXPECT_EQ(prober.next_timeout(), now + interval) << round;
    pass(interval);
    come(ask());
    EXPECT_TRUE(prober.is_reached());
    interval = std::min(interval * 2, limits.max_interval);
  }
  EXPECT_EQ(interval, limits.max_interval);
}

TEST_F(UdpPortProber, ForgivesOneLostDatagramAndNotTwo) {
  come(start());
  pass(limits.first_interval);
  answer(ask(), sent);
  pass(limits.patience);
  EXPECT_TRUE(prober.is_reached());
  EXPECT_TRUE(drain_all_of<VerdictChanged>().empty());
  EXPECT_EQ(prober.next_timeout(), now + limits.min_gap);
  pass(limits.min_gap);
  answer(ask(), sent);
  EXPECT_TRUE(prober.is_reached());  // until it is known better
  pass(limits.patience);
  EXPECT_FALSE(prober.is_reached());
  EXPECT_EQ(drain_all_of<VerdictChanged>().size(), 1U);
  pass(limits.retry);
  come(ask());
  EXPECT_TRUE(prober.is_reached());
}

TEST_F(UdpPortProber, WhatStandsIsNotGivenUpBecauseNobodyCouldTry) {
  come(start());
  pass(limits.first_interval);
  answer(ask(), Response{Status::busy});
  EXPECT_TRUE(prober.is_reached());
  EXPECT_EQ(prober.next_timeout(), now + limits.retry);
  prober.remove_server(now, servers[0]);
  EXPECT_EQ(prober.next_timeout(), std::nullopt);
  pass(24h);
  EXPECT_TRUE(prober.is_reached());
  (void)drain();
  add(0);
  EXPECT_EQ(drain_all_of<WantPort>().size(), 1U) << "it is late";
}

TEST_F(UdpPortProber, APortThatCannotBeHad) {
  for (const bool is_in_use : {true, false}) {
    prober.set_target(now, std::nullopt);
    (void)drain();
    now = now + 1min;
    prober.set_target(now, target);
    add(0);
    come(ask());
    EXPECT_TRUE(prober.is_reached());
    for (int round = 0; round < 2; ++round) {
      (void)drain();
      now = prober.next_timeout().value();
      prober.handle_timeout(now);
      const auto wanted = drain_all_of<WantPort>();
      ASSERT_EQ(wanted.size(), 1U);
      prober.handle_listening(now, wanted[0].probe, fail(is_in_use ? Errc::port_in_use : Errc::invalid_argument));
    }
    EXPECT_EQ(prober.is_reached(), is_in_use);
  }
  EXPECT_EQ(prober.why_not(), "no relay port can be opened: " + Error(Errc::invalid_argument).message());
}

TEST_F(UdpPortProber, OfANewTargetNothingIsKnown) {
  const WantDatagram wanted = start();
  come(wanted);
  EXPECT_TRUE(prober.is_reached());
  target = ip("8.8.8.8");
  prober.set_target(now, target);
  EXPECT_FALSE(prober.is_reached());
  come(wanted);
  EXPECT_FALSE(prober.is_reached());
  EXPECT_EQ(prober.next_timeout(), now + limits.min_gap);
  (void)drain();
  pass(limits.min_gap);
  EXPECT_EQ(ask().request.target.address, target);
  prober.set_target(now, std::nullopt);
  EXPECT_EQ(drain_all_of<DropPort>().size(), 1U);
  EXPECT_EQ(prober.next_timeout(), std::nullopt);
}

TEST_F(UdpPortProber, AServerThatComesLaterIsAskedSoonAndNotAtOnce) {
  answer(start(), fail(Errc::timed_out));
  (void)drain();
  add(1);
  EXPECT_TRUE(drain_all_of<WantPort>().empty());
  EXPECT_EQ(prober.next_timeout(), now + limits.min_gap);
  pass(limits.min_gap);
  EXPECT_EQ(open().size(), 2U);
}

TEST_F(UdpPortProber, AServerThatComesDuringAProbeIsAskedSoonAfterIt) {
  const WantDatagram wanted = start();
  const Instant started = now;
  now = now + 1s;
  add(1);
  EXPECT_TRUE(drain_all_of<WantPort>().empty());
  answer(wanted, Response{Status::busy});
  EXPECT_EQ(prober.next_timeout(), started + limits.min_gap);
  pass(limits.min_gap - 1s);
  EXPECT_EQ(open().size(), 2U);
}

TEST_F(UdpPortProber, WhoComesBeforeThePortIsOpenIsAskedOnce) {
  prober.set_target(now, target);
  add(0);
  add(1);
  const auto asked = open();
  ASSERT_EQ(asked.size(), 2U);
  for (const WantDatagram& one : asked) answer(one, Response{Status::busy});
  EXPECT_EQ(prober.next_timeout(), now + limits.retry);
}

TEST_F(UdpPortProber, AStrangersWordCountsOnlyWhereNoPreferredServerJudges) {
  const std::pair<std::optional<Status>, bool> cases[] = {
      {Status::busy, false}, {std::nullopt, false}, {Status::sent, true}, {Status::refused, true}};
  for (const auto& [said, is_closed] : cases) {
    prober.set_target(now, std::nullopt);
    (void)drain();
    now = now + 1min;
    prober.set_target(now, target);
    add(0);
    add(1, false);
    for (const WantDatagram& one : open()) {
      if (one.server == servers[1]) {
        answer(one, sent);
      } else if (said) {
        answer(one, Response{*said});
      }
    }
    pass(limits.patience);
    EXPECT_EQ(prober.why_not() == "no datagram from outside has reached a relay port", is_closed) << prober.why_not();
  }
}

TEST_F(UdpPortProber, InAnotherNetworkItTriesAgainSoon) {
  come(start());
  pass(limits.first_interval);
  come(ask());
  pass(1h);
  come(ask());
  now = now + 20min;
  prober.handle_network_changed(now);
  EXPECT_TRUE(prober.is_reached()) << "until it is known better";
  come(ask());
  EXPECT_EQ(prober.next_timeout(), now + limits.first_interval);
  prober.handle_network_changed(now);
  EXPECT_TRUE(drain_all_of<WantPort>().empty());
  EXPECT_EQ(prober.next_timeout(), now + limits.min_gap);
}

TEST_F(UdpPortProber, AProbeAtAnAddressThatIsGoneIsBegunAnew) {
  const WantDatagram before = start();
  prober.handle_network_changed(now);
  EXPECT_TRUE(drain().empty()) << "it was begun for this change";
  now = now + 1s;
  prober.handle_network_changed(now);
  EXPECT_EQ(drain_all_of<DropPort>().size(), 1U);
  come(before);
  EXPECT_FALSE(prober.is_reached());
  pass(limits.min_gap - 1s);
  come(ask());
  EXPECT_TRUE(prober.is_reached());
}

}  // namespace
}  // namespace dig::udp_probe
