// SPDX-License-Identifier: Apache-2.0
// Rounds in which servers disagree. Whoever says that nobody is there need not have looked; a nonce that came is a
// fact.
#include <gtest/gtest.h>

#include <vector>

#include "proto/autonat/reachability_prober.hpp"
#include "wire/identity.hpp"

namespace dig::autonat {
namespace {

class ReachabilityDisagreementTest : public ::testing::Test {
 protected:
  ReachabilityDisagreementTest() {
    const std::vector<Candidate> candidates = {{address, CandidateSource::mapped}};
    prober.set_candidates(now, candidates);
  }
  // A new server, of a prefix of its own. Whether it was asked.
  bool ask() {
    const auto number = static_cast<std::uint8_t>(++servers);
    prober.add_server(now, Identity::generate(keys).peer_id(), IpAddress::v4({1, 0, 0, number}));
    return drain();
  }
  bool drain() {
    bool is_asked = false;
    while (auto event = prober.poll_event()) {
      if (auto* asked = std::get_if<AskServer>(&*event)) {
        question = std::move(*asked);
        is_asked = true;
      }
    }
    return is_asked;
  }
  void succeed() {
    EXPECT_TRUE(prober.handle_dial_back(now, {.nonce = question.request.nonce,
                                              .local = Endpoint::parse("192.168.1.2:4001").value(),
                                              .remote = Endpoint::parse("1.0.0.1:5000").value(),
                                              .established = now}));
    prober.handle_result(now, question.probe, DialResponse{ResponseStatus::ok, 0, DialStatus::ok}, 0);
    static_cast<void>(drain());
  }
  void deny() {
    prober.handle_result(now, question.probe, DialResponse{ResponseStatus::ok, 0, DialStatus::dial_error}, 0);
    static_cast<void>(drain());
  }

  const Multiaddr address = Multiaddr::parse("/ip4/8.8.8.8/tcp/4001").value();
  SeededRng keys{7};
  SeededRng rng{1};
  Instant now{1h};
  ReachabilityProber prober{rng};
  AskServer question;
  int servers = 0;
};

TEST_F(ReachabilityDisagreementTest, ThreeWhoDenyDoNotBeatANonceThatCame) {
  ASSERT_TRUE(ask());
  succeed();
  EXPECT_EQ(prober.snapshot().v4, Verdict::reachable);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(ask());
    deny();
    EXPECT_EQ(prober.snapshot().v4, Verdict::reachable);
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(ask()) << "the round goes on";
    succeed();
  }
  EXPECT_EQ(prober.snapshot().candidates.front().confidence.servers, 3u);
  EXPECT_FALSE(ask()) << "it is over";
}

TEST_F(ReachabilityDisagreementTest, ARoundHasAnEnd) {
  ASSERT_TRUE(ask());
  succeed();
  int denied = 0;
  for (int i = 0; i < 30; ++i) {
    if (!ask()) continue;
    ++denied;
    deny();
  }
  EXPECT_EQ(denied, 8);
  EXPECT_EQ(prober.snapshot().v4, Verdict::reachable);
}

// Without a nonce, those who say that nobody is there are believed.
TEST_F(ReachabilityDisagreementTest, WithoutANonceThoseWhoDenyAreBelieved) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(ask());
    deny();
  }
  EXPECT_EQ(prober.snapshot().v4, Verdict::unreachable);
}

}  // namespace
}  // namespace dig::autonat
