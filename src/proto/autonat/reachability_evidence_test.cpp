// SPDX-License-Identifier: Apache-2.0
// What counts as having arrived, and what does not.
#include <gmock/gmock.h>

#include "proto/autonat/testing/prober_fixture.hpp"

namespace dig::autonat {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using ReachabilityEvidenceTest = ProberFixture;

TEST_F(ReachabilityEvidenceTest, NoncesThatNobodyAwaitsAreRefused) {
  set_one();
  add_servers(1);
  const AskServer question = take();
  DialBackArrival wrong = arrival(question);
  ++wrong.nonce;
  EXPECT_FALSE(dial_back(wrong));
  EXPECT_TRUE(dial_back(arrival(question)));
  EXPECT_FALSE(dial_back(arrival(question))) << "each is good once";
  respond(question, k_dialled);
  EXPECT_FALSE(dial_back(arrival(question))) << "and not after its time";
  EXPECT_EQ(prober.snapshot().unwanted_dial_backs, 3u);
}

TEST_F(ReachabilityEvidenceTest, AConnectionThatStoodBeforeProvesNothing) {
  set_one();
  add_servers(1);
  const AskServer question = take();
  DialBackArrival old = arrival(question);
  old.established = now - 1ns;
  EXPECT_FALSE(dial_back(old));
  respond(question, k_dialled);
  pass(5s);
  EXPECT_EQ(prober.snapshot().lies, 1u);
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(ReachabilityEvidenceTest, ADialBackOfTheOtherFamilyProvesNothing) {
  set({{k_v6, CandidateSource::observed}});
  add_servers(1);
  const AskServer question = take();
  DialBackArrival other = arrival(question);
  other.local = Endpoint::parse("192.168.1.2:4001").value();
  EXPECT_FALSE(dial_back(other));
  EXPECT_TRUE(dial_back(arrival(question)));
}

TEST_F(ReachabilityEvidenceTest, WhereOthersSeeUsIsProvenByWhatComesFromThereOnly) {
  set({{k_mapped, CandidateSource::observed}});
  add_servers(1);
  const AskServer question = take();
  DialBackArrival inside = arrival(question);
  for (const char* remote : {"192.168.1.9:5000", "127.0.0.1:5000", "169.254.1.1:5000"}) {
    inside.remote = Endpoint::parse(remote).value();
    EXPECT_FALSE(dial_back(inside)) << remote;
  }
  EXPECT_TRUE(dial_back(arrival(question)));
}

TEST_F(ReachabilityEvidenceTest, AMappingMayHideTheCaller) {
  set_one();
  add_servers(1);
  DialBackArrival mapped = arrival(take());
  mapped.remote = Endpoint::parse("172.17.0.1:5000").value();
  EXPECT_TRUE(dial_back(mapped));
}

TEST_F(ReachabilityEvidenceTest, AListeningAddressMustBeTheOneThatWasReached) {
  set({{k_v6, CandidateSource::listening}});
  add_servers(1);
  const AskServer question = take();
  DialBackArrival other = arrival(question);
  other.local = Endpoint::parse("[2a00::9]:4001").value();
  EXPECT_FALSE(dial_back(other));
  other.local = Endpoint::parse("[2a00::8]:4002").value();
  EXPECT_FALSE(dial_back(other));
  EXPECT_TRUE(dial_back(arrival(question)));
}

TEST_F(ReachabilityEvidenceTest, SaysWhetherAStrangerGotThrough) {
  set_one();
  add_servers(3);
  succeed(take());
  AskServer question = take();
  DialBackArrival stranger = arrival(question);
  stranger.is_stranger = true;
  EXPECT_TRUE(dial_back(stranger));
  respond(question, k_dialled);
  succeed(take());
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 3 and a stranger", "v4 reachable"));
}

}  // namespace
}  // namespace dig::autonat
