// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "proto/autonat/testing/prober_fixture.hpp"

namespace dig::autonat {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using ReachabilityProberTest = ProberFixture;

TEST_F(ReachabilityProberTest, ThreeServersConfirmAnAddress) {
  set_one();
  EXPECT_THAT(asked, IsEmpty());
  add_servers(5);
  ASSERT_EQ(asked.size(), 3u) << "as many as are wanted";
  EXPECT_EQ(asked[0].request.addresses, std::vector{k_mapped});
  EXPECT_NE(asked[0].request.nonce, asked[1].request.nonce);
  EXPECT_NE(asked[0].server, asked[1].server);
  succeed(take());
  succeed(take());
  EXPECT_THAT(told(), IsEmpty());
  succeed(take());
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 3", "v4 reachable"));
  EXPECT_THAT(asked, IsEmpty()) << "no more is asked than needed";
  EXPECT_EQ(prober.snapshot().v4, Verdict::reachable);
  EXPECT_EQ(prober.snapshot().v6, Verdict::unknown);
}

TEST_F(ReachabilityProberTest, ThreeServersRefuteAnAddress) {
  set_one();
  add_servers(5);
  for (int i = 0; i < 3; ++i) respond(take(), k_failed);
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 refuted by 3", "v4 unreachable"));
  EXPECT_THAT(asked, IsEmpty());
}

TEST_F(ReachabilityProberTest, AnotherServerIsAskedWhereTwoDisagree) {
  set_one();
  add_servers(5);
  succeed(take());
  succeed(take());
  respond(take(), k_failed);
  ASSERT_EQ(asked.size(), 1u);
  succeed(take());
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 3", "v4 reachable"));
}

TEST_F(ReachabilityProberTest, ASingleServerIsBelievedAndItShows) {
  set_one();
  add_servers(1);
  succeed(take());
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 1", "v4 reachable"));
  add_server("1.0.0.2");
  succeed(take());
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 2")) << "who comes later adds to it";
}

TEST_F(ReachabilityProberTest, OneAgainstOneSaysNothing) {
  set_one();
  add_servers(2);
  succeed(take());
  respond(take(), k_failed);
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(prober.snapshot().v4, Verdict::unknown);
}

TEST_F(ReachabilityProberTest, ServersOfOnePrefixHaveOneVote) {
  set_one();
  add_server("1.0.0.1");
  add_server("1.0.0.1");
  add_server("1.0.0.1");
  ASSERT_EQ(asked.size(), 1u);
  succeed(take());
  EXPECT_THAT(asked, IsEmpty());
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 1", "v4 reachable"));
}

TEST_F(ReachabilityProberTest, ServersThatWouldSeeUsFromInsideAreNotAsked) {
  set_one();
  add_server("192.168.1.1");
  add_server("8.8.8.8");
  EXPECT_THAT(asked, IsEmpty());
}

TEST_F(ReachabilityProberTest, AnAddressIsProbedByServersOfItsScope) {
  const auto private_address = Multiaddr::parse("/ip4/192.168.1.2/tcp/4001").value();
  const auto loopback = Multiaddr::parse("/ip4/127.0.0.1/tcp/4001").value();
  set({{private_address}, {loopback}, {k_mapped}});
  add_server("192.168.1.2");
  EXPECT_THAT(asked, IsEmpty()) << "that is this node itself";
  add_server("192.168.1.1");
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked.front().request.addresses, std::vector{private_address});
  respond(take(), k_failed);
  EXPECT_THAT(told(), ElementsAre("/ip4/192.168.1.2/tcp/4001 refuted by 1", "v4 unreachable"));
  add_server("127.0.0.1");
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked.front().request.addresses, std::vector{loopback});
  respond(take(), k_failed);
  add_server("1.0.0.1");
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked.front().request.addresses, std::vector{k_mapped});
}

TEST_F(ReachabilityProberTest, TheWidestScopeOfWhichSomethingIsKnownDecides) {
  const auto private_address = Multiaddr::parse("/ip4/192.168.1.2/tcp/4001").value();
  set({{private_address}, {k_mapped}});
  add_server("192.168.1.1");
  succeed(take());
  EXPECT_THAT(told(), ElementsAre("/ip4/192.168.1.2/tcp/4001 confirmed by 1", "v4 reachable"));
  add_server("1.0.0.1");
  EXPECT_THAT(told(), ElementsAre("v4 unknown")) << "somebody can say it of the Internet";
  respond(take(), k_failed);
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 refuted by 1", "v4 unreachable"));
  EXPECT_EQ(prober.snapshot().v4, Verdict::unreachable);
}

TEST_F(ReachabilityProberTest, AnAddressOfWhichNobodySaysAnythingKeepsNoVerdictWaiting) {
  const auto other = Multiaddr::parse("/ip4/8.8.4.4/tcp/4001").value();
  set({{other}, {k_mapped}});
  add_server("1.0.0.1");
  respond(take(), DialResponse{.status = ResponseStatus::dial_refused});
  pass(6s);
  respond(take(), k_failed);
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 refuted by 1", "v4 unreachable"));
}

TEST_F(ReachabilityProberTest, WithNobodyToAskNothingIsDue) {
  set_one();
  EXPECT_FALSE(prober.next_timeout());
}

TEST_F(ReachabilityProberTest, AClaimThatNothingBearsOutIsALie) {
  set_one();
  const PeerId liar = add_server("1.0.0.1");
  respond(take(), k_dialled);
  EXPECT_THAT(told(), IsEmpty());
  pass(5s - 1ns);
  EXPECT_EQ(prober.snapshot().lies, 0u) << "the nonce may still be on its way";
  pass(1ns);
  EXPECT_EQ(prober.snapshot().lies, 1u);
  EXPECT_THAT(told(), IsEmpty());
  pass(2h - 1s);
  EXPECT_THAT(asked, IsEmpty()) << "left alone, whatever is due";
  prober.remove_server(now, liar);
  prober.add_server(now, liar, IpAddress::parse("1.0.0.1").value());
  drain();
  EXPECT_THAT(asked, IsEmpty()) << "also when it comes again";
  pass(1s);
  EXPECT_EQ(asked.size(), 1u);
}

TEST_F(ReachabilityProberTest, ADialBackMayComeALittleAfterItsClaim) {
  set_one();
  add_servers(1);
  const AskServer question = take();
  respond(question, k_dialled);
  pass(4s);
  EXPECT_TRUE(dial_back(arrival(question)));
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 1", "v4 reachable"));
  EXPECT_EQ(prober.snapshot().lies, 0u);
}

TEST_F(ReachabilityProberTest, WhatArrivedCountsWhateverTheServerSays) {
  for (const Result<DialResponse>& response :
       {Result<DialResponse>(k_failed), Result<DialResponse>(DialResponse{}),
        Result<DialResponse>(fail(Errc::timed_out)),
        Result<DialResponse>(DialResponse{ResponseStatus::ok, 0, DialStatus::dial_back_error})}) {
    set({});
    set_one();
    static_cast<void>(told());
    if (prober.snapshot().servers == 0) add_servers(1);
    pass(6s);
    const AskServer question = take();
    EXPECT_TRUE(dial_back(arrival(question)));
    respond(question, response);
    EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 1", "v4 reachable"));
  }
}

TEST_F(ReachabilityProberTest, ServersThatDoNotServeRestAndSayNothing) {
  const std::vector<Result<DialResponse>> answers = {DialResponse{.status = ResponseStatus::request_rejected},
                                                     DialResponse{.status = ResponseStatus::internal_error},
                                                     fail(Errc::timed_out), fail(Errc::limit_reached)};
  for (std::size_t i = 0; i < answers.size(); ++i) {
    set({});
    set({{k_mapped, CandidateSource::mapped}, {k_v6, CandidateSource::observed}});
    const PeerId server = add_server("1.0.1." + std::to_string(i));
    respond(take(), answers[i]);
    pass(1min);
    EXPECT_THAT(asked, IsEmpty()) << "not even about the other address";
    pass(4min);
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked.front().request.addresses, std::vector{k_v6});
    respond(take(), DialResponse{.status = ResponseStatus::dial_refused});
    prober.remove_server(now, server);
  }
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(ReachabilityProberTest, AServerThatRefusesSaysNothingAndMayBeAskedAboutAnotherAddress) {
  set({{k_mapped, CandidateSource::mapped}, {k_v6, CandidateSource::observed}});
  add_servers(1);
  respond(take(), DialResponse{.status = ResponseStatus::dial_refused});
  EXPECT_THAT(asked, IsEmpty());
  pass(6s);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked.front().request.addresses, std::vector{k_v6});
  respond(take(), DialResponse{ResponseStatus::ok, 0, DialStatus::dial_back_error});
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(ReachabilityProberTest, AnOwnerThatNeverReportsHoldsNothingUp) {
  set_one();
  add_servers(1);
  static_cast<void>(take());
  pass(30s - 1ns);
  EXPECT_EQ(prober.snapshot().probes, 1u);
  EXPECT_EQ(prober.snapshot().dial_data, 100'000u);
  pass(1ns);
  EXPECT_EQ(prober.snapshot().probes, 0u);
  EXPECT_EQ(prober.snapshot().dial_data, 100'000u) << "all of it may have been sent";
}

TEST_F(ReachabilityProberTest, OneServerIsAskedOneThingAtATimeAndNotTooOften) {
  std::vector<Candidate> candidates;
  for (int i = 0; i < 5; ++i) {
    candidates.push_back({Multiaddr::parse("/ip4/8.8.8.8/tcp/400" + std::to_string(i)).value()});
  }
  set(candidates);
  add_servers(1);
  Instant last = now;
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(asked.size(), 1u);
    if (i > 0) {
      EXPECT_EQ(now - last, 6s);
    }
    last = now;
    respond(take(), k_failed);
    pass(6s);
  }
  EXPECT_THAT(asked, IsEmpty());
}

TEST_F(ReachabilityProberTest, ThreeProbesRunAtOnce) {
  set({{k_mapped, CandidateSource::mapped}, {k_v6, CandidateSource::observed}});
  add_servers(10);
  ASSERT_EQ(asked.size(), 3u);
  for (int i = 0; i < 3; ++i) respond(take(), k_failed);
  EXPECT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked.front().request.addresses, std::vector{k_v6}) << "in the order of priority";
}

TEST_F(ReachabilityProberTest, CandidatesAreProbedInOrderAndOnlyUsableOnes) {
  const auto at = [](const std::string& text) { return Multiaddr::parse(text).value(); };
  set({{at("/ip4/8.8.8.8/tcp/1"), CandidateSource::observed, 1},
       {at("/ip4/8.8.8.8/tcp/2"), CandidateSource::observed, 2},
       {at("/ip4/8.8.8.8/tcp/3"), CandidateSource::listening},
       {at("/ip4/8.8.8.8/tcp/4"), CandidateSource::mapped},
       {at("/ip4/8.8.8.8/tcp/4"), CandidateSource::observed, 9},
       {at("/ip4/192.168.1.1/tcp/4001"), CandidateSource::listening},
       {at("/ip4/8.8.8.8/tcp/0"), CandidateSource::listening},
       {at("/ip4/8.8.8.8/udp/4001/quic-v1"), CandidateSource::listening},
       {Multiaddr(), CandidateSource::listening}});
  std::vector<Multiaddr> kept;
  for (const CandidateStatus& candidate : prober.snapshot().candidates) kept.push_back(candidate.address);
  EXPECT_THAT(kept, ElementsAre(at("/ip4/8.8.8.8/tcp/4"), at("/ip4/8.8.8.8/tcp/3"), at("/ip4/8.8.8.8/tcp/2"),
                                at("/ip4/8.8.8.8/tcp/1"), at("/ip4/192.168.1.1/tcp/4001")));
  std::vector<Candidate> many;
  for (int i = 1; i < 100; ++i) many.push_back({at("/ip4/8.8.8.8/tcp/" + std::to_string(i))});
  set(many);
  EXPECT_EQ(prober.snapshot().candidates.size(), 16u);
}

TEST_F(ReachabilityProberTest, AsksAgainAtGrowingIntervals) {
  set_one();
  add_servers(1);
  succeed(take());
  static_cast<void>(told());
  std::vector<Duration> intervals;
  Instant last = now;
  while (intervals.size() < 8) {
    pass(1s);
    if (asked.empty()) continue;
    intervals.push_back(now - last);
    last = now;
    succeed(take());
  }
  EXPECT_THAT(told(), IsEmpty()) << "nothing has changed";
  for (std::size_t i = 1; i < intervals.size(); ++i) EXPECT_GE(intervals[i] + 1s, intervals[i - 1]);
  EXPECT_LE(intervals.front(), 12min);
  EXPECT_GE(intervals.back(), 6h);
  EXPECT_LE(intervals.back(), 6h + 45min + 1s);

  while (asked.empty()) pass(1s);
  respond(take(), k_failed);
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 refuted by 1", "v4 unreachable"));
  pass(12min);
  EXPECT_EQ(asked.size(), 1u) << "what has changed may change again";
}

TEST_F(ReachabilityProberTest, AnAddressThatIsGoneIsForgotten) {
  set_one();
  add_servers(2);
  succeed(take());
  const AskServer pending = take();
  set({});
  EXPECT_FALSE(dial_back(arrival(pending)));
  respond(pending, k_failed);
  EXPECT_THAT(told(), IsEmpty());
  set_one();
  pass(6s);
  for (int i = 0; i < 2; ++i) succeed(take());
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 2", "v4 reachable"));
  set({});
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 forgotten", "v4 unknown"));
}

TEST_F(ReachabilityProberTest, ThatOneOfTwoProvenAddressesIsGoneIsTold) {
  const Candidate mapped{k_mapped, CandidateSource::mapped};
  set({mapped, {Multiaddr::parse("/ip4/8.8.4.4/tcp/4001").value(), CandidateSource::mapped}});
  add_servers(2);
  while (!asked.empty()) {
    succeed(take());
    pass(6s);
  }
  EXPECT_EQ(told().size(), 3u);
  set({mapped});
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.4.4/tcp/4001 forgotten"));
  set({mapped});
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(ReachabilityProberTest, NarrowerAddressesHaveNoSayWhereTheNodeIsAskedForFromFurtherAway) {
  set({{Multiaddr::parse("/ip4/192.168.1.2/tcp/4001").value(), CandidateSource::listening}});
  add_server("192.168.1.9");
  succeed(take());
  EXPECT_EQ(prober.snapshot().v4, Verdict::reachable);
  EXPECT_EQ(told().size(), 2u);
  prober.set_narrowest_scope(now, AddressScope::internet);
  drain();
  EXPECT_THAT(told(), ElementsAre("v4 unknown"));
  prober.set_narrowest_scope(now, AddressScope::local);
  drain();
  EXPECT_THAT(told(), ElementsAre("v4 reachable"));
}

TEST_F(ReachabilityProberTest, AFamilyIsAsReachableAsItsBestAddress) {
  set({{k_mapped, CandidateSource::mapped}, {k_v6, CandidateSource::observed}});
  add_servers(1);
  respond(take(), k_failed);
  pass(6s);
  succeed(take());
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 refuted by 1", "v4 unreachable",
                                  "/ip6/2a00::8/tcp/4001 confirmed by 1", "v6 reachable"));
  set({{k_mapped, CandidateSource::mapped},
       {Multiaddr::parse("/ip4/8.8.4.4/tcp/4001").value(), CandidateSource::observed},
       {k_v6, CandidateSource::observed}});
  EXPECT_THAT(told(), ElementsAre("v4 unknown")) << "the new address may be reachable";
}

TEST_F(ReachabilityProberTest, DialDataIsBudgeted) {
  ReachabilityProber::Limits limits;
  limits.dial_data_per_hour = 150'000;
  ReachabilityProber small(rng, limits);
  std::vector<AskServer> questions;
  const std::vector<Candidate> candidates = {{k_mapped, CandidateSource::mapped}};
  small.set_candidates(now, candidates);
  for (int i = 0; i < 2; ++i) {
    small.add_server(now, Identity::generate(keys).peer_id(), IpAddress::parse("1.0.0." + std::to_string(i)).value());
  }
  while (auto event = small.poll_event()) {
    if (auto* question = std::get_if<AskServer>(&*event)) questions.push_back(*question);
  }
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].max_dial_data, 100'000u);
  EXPECT_EQ(questions[1].max_dial_data, 0u) << "what the first may send is gone until it has not";
  small.handle_result(now, questions[0].probe, k_failed, 40'000);
  EXPECT_EQ(small.snapshot().dial_data, 40'000u);
}

TEST_F(ReachabilityProberTest, KeepsOnlySoManyServersAndForgetsThoseThatAreGone) {
  std::vector<PeerId> servers;
  for (int i = 0; i < 200; ++i) servers.push_back(add_server("1.0.1." + std::to_string(i)));
  EXPECT_EQ(prober.snapshot().servers, 128u);
  for (const PeerId& server : servers) prober.remove_server(now, server);
  EXPECT_EQ(prober.snapshot().servers, 0u);
  // Liars are remembered, as far as there is room.
  set_one();
  for (int i = 0; i < 300; ++i) {
    const PeerId liar = add_server("1.1." + std::to_string(i / 250) + "." + std::to_string(i % 250));
    if (!asked.empty()) respond(take(), k_dialled);
    prober.remove_server(now, liar);
    pass(5s);
    ASSERT_LE(prober.snapshot().servers, 128u);
  }
  EXPECT_EQ(prober.snapshot().servers, 128u);
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(ReachabilityProberTest, NobodyWaitsForAServerThatRests) {
  set_one();
  add_servers(2);
  succeed(take());
  EXPECT_THAT(told(), IsEmpty());
  respond(take(), DialResponse{.status = ResponseStatus::request_rejected});
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 1", "v4 reachable"));
}

TEST_F(ReachabilityProberTest, AServerIsNotForgottenWhileItIsAsked) {
  ReachabilityProber::Limits limits;
  limits.max_servers = 1;
  ReachabilityProber small(rng, limits);
  const std::vector<Candidate> candidates = {{k_mapped, CandidateSource::mapped}};
  small.set_candidates(now, candidates);
  const PeerId first = Identity::generate(keys).peer_id();
  const PeerId second = Identity::generate(keys).peer_id();
  small.add_server(now, first, IpAddress::parse("1.0.0.1").value());
  const auto question = small.poll_event();
  ASSERT_TRUE(question && std::holds_alternative<AskServer>(*question));
  small.remove_server(now, first);
  small.add_server(now, second, IpAddress::parse("1.0.0.2").value());
  EXPECT_FALSE(small.poll_event()) << "there is no room";
  small.handle_result(now, std::get<AskServer>(*question).probe, fail(Errc::connection_closed), 0);
  small.add_server(now, second, IpAddress::parse("1.0.0.2").value());
  EXPECT_TRUE(small.poll_event()) << "now there is";
  EXPECT_EQ(small.snapshot().servers, 1u);
}

TEST_F(ReachabilityProberTest, AServerThatLeavesInTheMiddleIsNoMatter) {
  set_one();
  const PeerId server = add_server("1.0.0.1");
  const AskServer question = take();
  prober.remove_server(now, server);
  respond(question, fail(Errc::connection_closed));
  EXPECT_EQ(prober.snapshot().probes, 0u);
  respond(question, k_dialled);
  EXPECT_THAT(told(), IsEmpty());
}

}  // namespace
}  // namespace dig::autonat
