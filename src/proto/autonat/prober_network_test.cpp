// SPDX-License-Identifier: Apache-2.0
// What the prober does when this machine is in another network.
#include <gmock/gmock.h>

#include "proto/autonat/testing/prober_fixture.hpp"

namespace dig::autonat {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ProberNetworkTest = ProberFixture;

TEST_F(ProberNetworkTest, ANewNetworkIsProbedAtOnce) {
  set_one();
  add_servers(3);
  for (int i = 0; i < 3; ++i) succeed(take());
  static_cast<void>(told());
  pass(1min);
  EXPECT_THAT(asked, IsEmpty());
  prober.handle_network_changed(now);
  drain();
  EXPECT_EQ(asked.size(), 3u);
  EXPECT_THAT(told(), IsEmpty()) << "what was known stands until more is";
  for (int i = 0; i < 3; ++i) respond(take(), k_failed);
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 refuted by 3", "v4 unreachable"));
}

TEST_F(ProberNetworkTest, AnswersFromBeforeTheChangeDoNotCount) {
  set_one();
  add_servers(1);
  const AskServer before = take();
  prober.handle_network_changed(now);
  succeed(before);
  EXPECT_THAT(told(), IsEmpty());
  pass(6s);
  respond(take(), k_failed);
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 refuted by 1", "v4 unreachable"));
}

// Those of containers come and go all day.
TEST_F(ProberNetworkTest, RoundsEndWhereNetworksChangeAllTheTime) {
  set_one();
  add_servers(1);
  std::optional<AskServer> slow;
  for (int i = 0; i < 20; ++i) {
    if (slow) {
      succeed(*std::exchange(slow, std::nullopt));
    } else if (!asked.empty()) {
      slow = take();
    }
    prober.handle_network_changed(now);
    drain();
    pass(5s);
  }
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 confirmed by 1", "v4 reachable"));
}

// Its connection was made in the network that this machine has left.
TEST_F(ProberNetworkTest, AServerThatAChangeHasCutOffIsAskedAgainWhenItIsBack) {
  set_one();
  const PeerId server = add_server("1.0.0.1");
  succeed(take());
  static_cast<void>(told());
  pass(1min);
  prober.handle_network_changed(now);
  drain();
  respond(take(), fail(Errc::connection_reset));
  prober.remove_server(now, server);
  pass(10s);
  EXPECT_THAT(asked, IsEmpty());
  prober.add_server(now, server, IpAddress::parse("1.0.0.1").value());
  drain();
  respond(take(), k_failed);
  EXPECT_THAT(told(), ElementsAre("/ip4/8.8.8.8/tcp/4001 refuted by 1", "v4 unreachable"));
}

TEST_F(ProberNetworkTest, AServerThatHangsAfterAChangeIsAskedAgain) {
  set_one();
  add_server("1.0.0.1");
  succeed(take());
  pass(1min);
  prober.handle_network_changed(now);
  drain();
  static_cast<void>(take());
  pass(30s);
  respond(take(), k_failed);
}

TEST_F(ProberNetworkTest, LongAfterAChangeAServerThatDoesNotAnswerIsLeftAlone) {
  set_one();
  prober.handle_network_changed(now);
  pass(2min);
  add_server("1.0.0.1");
  respond(take(), fail(Errc::connection_reset));
  pass(4min);
  EXPECT_THAT(asked, IsEmpty());
}

}  // namespace
}  // namespace dig::autonat
