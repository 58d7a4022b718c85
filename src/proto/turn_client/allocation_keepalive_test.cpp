// SPDX-License-Identifier: Apache-2.0
// An allocation, its permissions and its channels over hours of virtual time.
#include <gtest/gtest.h>

#include "proto/turn_client/testing/allocation_pair.hpp"

namespace dig::turn {
namespace {

using namespace testing;

// When each request of the method was sent, in seconds from now on.
std::vector<long> times_of(AllocationPair& pair, Method method, Duration duration) {
  std::vector<long> times;
  const Instant begin = pair.now;
  pair.loses_request = [&, method](BytesView bytes) {
    const auto message = stun::Message::parse(bytes);
    if (message && message->is(method, Class::request)) {
      times.push_back(static_cast<long>((pair.now - begin) / 1s));
    }
    return false;
  };
  pair.pass(duration);
  pair.loses_request = [](BytesView) { return false; };
  return times;
}

TEST(AllocationKeepalive, IsRefreshedAMinuteBeforeItsEndForHours) {
  AllocationPair pair;
  pair.drain();
  std::vector<long> expected;
  for (long at = 540; at <= 4 * 3600; at += 540) expected.push_back(at);
  EXPECT_EQ(times_of(pair, Method::refresh, 4h), expected);
  EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000"});
  EXPECT_EQ(pair.client->snapshot(pair.now).refreshes, expected.size());
}

TEST(AllocationKeepalive, IsRefreshedHalfWayWhenItsLifetimeIsShort) {
  AllocationPair pair({.lifetime = 60});
  pair.drain();
  EXPECT_EQ(times_of(pair, Method::refresh, 120s), (std::vector<long>{30, 60, 90, 120}));
  AllocationPair edge({.lifetime = 120});
  edge.drain();
  EXPECT_EQ(times_of(edge, Method::refresh, 121s), (std::vector<long>{60, 120}));
}

TEST(AllocationKeepalive, ManyOtherRequestsDoNotKeepItFromBeingRefreshed) {
  AllocationPair pair({.lifetime = 10}, config_with(), {.max_transactions = 4});
  pair.open();
  for (std::uint16_t port = 1; port <= 10; ++port) {
    EXPECT_TRUE(pair.client->bind_channel(pair.now, {k_peer.address, port}));
  }
  pair.loses_request = [](BytesView bytes) {
    const auto message = stun::Message::parse(bytes);
    return message && message->method() == Method::channel_bind;
  };
  pair.drain();
  pair.pass(6s);  // the requests for channels are repeated for eight
  EXPECT_EQ(pair.server.count(Method::refresh), 1u);
}

TEST(AllocationKeepalive, LifetimesBeyondReasonAreNotReliedOn) {
  AllocationPair endless({.lifetime = 0xFFFFFFFF});
  endless.drain();
  EXPECT_EQ(endless.client->snapshot(endless.now).lifetime, Duration(1h));
  EXPECT_EQ(times_of(endless, Method::refresh, 2h), (std::vector<long>{3540, 7080}));

  for (const std::uint32_t seconds : {0u, 1u, 9u}) {
    AllocationPair tiny({.lifetime = seconds});
    tiny.drain();
    EXPECT_EQ(tiny.take_events(),
              Lines{ended(Errc::stun_bad_response, "a lifetime of " + std::to_string(seconds) + " s")});
    EXPECT_EQ(tiny.server.count(Method::refresh), 1u);  // given back
    EXPECT_EQ(tiny.client->next_timeout(), std::nullopt);
  }
}

TEST(AllocationKeepalive, ARefreshToNothingIsTheEnd) {
  AllocationPair pair;
  pair.drain();
  pair.take_events();
  pair.server.script.lifetime = 0;
  pair.pass(540s);
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::allocation_lost,
                                            "the answer of the STUN or TURN server is not acceptable: "
                                            "a lifetime of 0 s (DN-STUN-003)")});
}

TEST(AllocationKeepalive, LostRefreshesAreRepeatedUntilTheLifetimeIsOver) {
  AllocationPair pair;
  pair.drain();
  pair.take_events();
  pair.loses_request = [](BytesView) { return true; };
  pair.pass(599'999ms);
  EXPECT_EQ(pair.client->phase(), AllocationPhase::active);
  pair.pass(1ms);
  EXPECT_EQ(pair.take_events(),
            Lines{ended(Errc::allocation_lost, "the STUN or TURN server did not answer: 20.0.0.1:3478 (DN-STUN-001)")});
  EXPECT_EQ(pair.client->next_timeout(), std::nullopt);

  AllocationPair saved;
  saved.drain();
  saved.take_events();
  saved.loses_request = [](BytesView) { return true; };
  saved.pass(595s);
  saved.loses_request = [](BytesView) { return false; };
  saved.pass(3600s);
  EXPECT_EQ(saved.take_events(), Lines{});
  EXPECT_EQ(saved.client->phase(), AllocationPhase::active);
}

TEST(AllocationKeepalive, RefusalsOfARefreshEndItOrAreTriedAgain) {
  for (const int code : {400, 403, 437, 441, 486}) {
    AllocationPair pair({.refusals = {{Method::refresh, static_cast<std::uint16_t>(code)}}});
    pair.drain();
    pair.take_events();
    pair.pass(540s);
    ASSERT_EQ(pair.events.size(), 1u) << code;
    EXPECT_TRUE(pair.events[0].starts_with(ended(Errc::allocation_lost, ""))) << pair.events[0];
    EXPECT_NE(pair.events[0].find(std::to_string(code) + " because"), std::string::npos) << pair.events[0];
  }
  for (const int code : {500, 508}) {
    AllocationPair pair({.refusals = {{Method::refresh, static_cast<std::uint16_t>(code)}}});
    pair.drain();
    pair.take_events();
    pair.pass(555s);
    EXPECT_EQ(pair.server.count(Method::refresh), 4u) << code;
    pair.server.script.refusals.clear();
    pair.pass(5s);
    EXPECT_EQ(pair.client->phase(), AllocationPhase::active);
    EXPECT_EQ(pair.take_events(), Lines{});
  }
}

TEST(AllocationKeepalive, AnyRequestThatFindsNoAllocationEndsIt) {
  for (const Method method : {Method::create_permission, Method::channel_bind}) {
    AllocationPair pair({.refusals = {{method, 437}}});
    pair.drain();
    pair.take_events();
    EXPECT_TRUE(pair.client->bind_channel(pair.now, k_peer));
    pair.drain();
    ASSERT_FALSE(pair.events.empty());
    EXPECT_TRUE(pair.events.back().starts_with(ended(Errc::allocation_lost, ""))) << pair.events.back();
  }
}

TEST(AllocationKeepalive, PermissionsAreRenewedEveryFourMinutes) {
  AllocationPair pair;
  pair.open();
  EXPECT_EQ(times_of(pair, Method::create_permission, 1000s), (std::vector<long>{240, 480, 720, 960}));
  pair.client->revoke(pair.now, k_peer.address);
  EXPECT_EQ(times_of(pair, Method::create_permission, 1000s), std::vector<long>{});
  EXPECT_EQ(pair.take_events(), Lines{});
}

TEST(AllocationKeepalive, PermissionsOfOneMomentAreOneRequest) {
  AllocationPair pair;
  pair.drain();
  pair.take_events();
  for (std::uint8_t i = 0; i < 10; ++i) EXPECT_TRUE(pair.client->permit(pair.now, IpAddress::v4({40, 0, 1, i})));
  EXPECT_TRUE(pair.client->permit(pair.now, IpAddress::v4({40, 0, 1, 0})));  // again: nothing new
  pair.drain();
  EXPECT_EQ(pair.server.count(Method::create_permission), 2u);  // eight and two
  EXPECT_EQ(pair.server.permissions.size(), 10u);
  EXPECT_EQ(pair.take_events().size(), 10u);
  pair.pass(230s);
  EXPECT_TRUE(pair.client->permit(pair.now, k_peer.address));
  pair.drain();  // those that would be due in ten seconds go along
  EXPECT_EQ(pair.server.count(Method::create_permission), 4u);
  pair.pass(20s);
  EXPECT_EQ(pair.server.count(Method::create_permission), 4u);
}

TEST(AllocationKeepalive, AForbiddenPeerCostsTheOthersNothing) {
  AllocationPair pair({.forbidden = {k_peer.address}});
  pair.drain();
  pair.take_events();
  for (std::uint8_t i = 0; i < 3; ++i) EXPECT_TRUE(pair.client->permit(pair.now, IpAddress::v4({40, 0, 1, i})));
  EXPECT_TRUE(pair.client->permit(pair.now, k_peer.address));
  pair.drain();
  EXPECT_EQ(pair.server.count(Method::create_permission), 5u);  // all, then each
  EXPECT_EQ(pair.take_events(), (Lines{"permission 40.0.1.0", "permission 40.0.1.1", "permission 40.0.1.2",
                                       lost(k_peer, Errc::turn_peer_forbidden)}));
  EXPECT_EQ(times_of(pair, Method::create_permission, 500s), (std::vector<long>{240, 480}));  // together again
}

TEST(AllocationKeepalive, APermissionThatIsNotRenewedIsLost) {
  AllocationPair pair;
  pair.open();
  pair.loses_request = [](BytesView bytes) {
    const auto message = stun::Message::parse(bytes);
    return message && message->method() == Method::create_permission;
  };
  pair.pass(299'999ms);
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("x")), SendResult::taken);
  pair.pass(1ms);
  EXPECT_EQ(pair.take_events(), Lines{"permission lost 40.0.0.9 stun_silent"});
  pair.loses_request = [](BytesView) { return false; };
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("x")), SendResult::no_permission);
  pair.drain();
  EXPECT_EQ(pair.take_events(), (Lines{"permission 40.0.0.9"}));
}

TEST(AllocationKeepalive, AServerErrorIsNoReasonToLoseAPermission) {
  AllocationPair pair;
  pair.open();
  pair.server.script.refusals = {{Method::create_permission, 500}};
  pair.pass(280s);
  pair.server.script.refusals.clear();
  pair.pass(1000s);
  EXPECT_EQ(pair.take_events(), Lines{});
}

TEST(AllocationKeepalive, PermissionsAreBounded) {
  AllocationPair pair({}, config_with(), {.max_permissions = 2});
  pair.drain();
  EXPECT_TRUE(pair.client->permit(pair.now, IpAddress::v4({40, 0, 0, 1})));
  EXPECT_TRUE(pair.client->permit(pair.now, IpAddress::v4({40, 0, 0, 2})));
  EXPECT_EQ(pair.client->permit(pair.now, IpAddress::v4({40, 0, 0, 3})).error().code(), Errc::limit_reached);
  EXPECT_EQ(pair.client->send(pair.now, {IpAddress::v4({40, 0, 0, 3}), 1}, as_bytes("x")), SendResult::refused);
  pair.client->revoke(pair.now, IpAddress::v4({40, 0, 0, 1}));
  EXPECT_TRUE(pair.client->permit(pair.now, IpAddress::v4({40, 0, 0, 3})));
}

TEST(AllocationKeepalive, ChannelsAreBounded) {
  AllocationPair pair({}, config_with(), {.max_channels = 1});
  pair.drain();
  EXPECT_TRUE(pair.client->bind_channel(pair.now, k_peer));
  const Endpoint another{IpAddress::v4({40, 0, 0, 10}), 1};
  EXPECT_EQ(pair.client->bind_channel(pair.now, another).error().code(), Errc::limit_reached);
  pair.drain();
  EXPECT_EQ(pair.server.permissions.size(), 1u);  // nothing is left of what failed
  EXPECT_EQ(pair.client->send(pair.now, another, as_bytes("x")), SendResult::no_permission);
}

TEST(AllocationKeepalive, ChannelsAreRefreshedBeforeTheirTenMinutes) {
  AllocationPair pair;
  pair.open();
  ASSERT_TRUE(pair.client->bind_channel(pair.now, k_peer));
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"channel 40.0.0.9:7000"});
  EXPECT_EQ(times_of(pair, Method::channel_bind, 2000s), (std::vector<long>{540, 1080, 1620}));
  EXPECT_EQ(pair.server.channels.size(), 1u);
  EXPECT_EQ(pair.take_events(), Lines{});
}

TEST(AllocationKeepalive, AChannelBindGivesThePermissionToo) {
  AllocationPair pair;
  pair.drain();
  pair.take_events();
  pair.loses_request = [](BytesView bytes) {
    const auto message = stun::Message::parse(bytes);
    return message && message->method() == Method::create_permission;
  };
  ASSERT_TRUE(pair.client->bind_channel(pair.now, k_peer));
  pair.drain();
  // The CreatePermission that is under way must be answered first; a later one is spared.
  EXPECT_EQ(pair.take_events(), Lines{"channel 40.0.0.9:7000"});
  pair.loses_request = [](BytesView) { return false; };
  pair.pass(1s);
  EXPECT_EQ(pair.take_events(), Lines{"permission 40.0.0.9"});
}

TEST(AllocationKeepalive, AChannelThatIsNotRefreshedGivesWayToSendIndications) {
  AllocationPair pair;
  pair.open();
  ASSERT_TRUE(pair.client->bind_channel(pair.now, k_peer));
  pair.drain();
  pair.take_events();
  pair.loses_request = [](BytesView bytes) {
    const auto message = stun::Message::parse(bytes);
    return message && message->method() == Method::channel_bind;
  };
  pair.pass(599s);
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("a")), SendResult::taken);
  pair.drain();
  EXPECT_EQ(pair.server.channel_messages, 1u);
  pair.pass(1s);
  EXPECT_EQ(pair.take_events(), Lines{"channel lost 40.0.0.9:7000 stun_silent"});
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("b")), SendResult::taken);
  pair.drain();
  EXPECT_EQ(pair.server.send_indications, 1u);
  EXPECT_EQ(pair.server.channel_messages, 1u);
}

TEST(AllocationKeepalive, ARefusedChannelIsNotAskedForWithEveryPacket) {
  AllocationPair pair({.refusals = {{Method::channel_bind, 400}}});
  pair.open();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("a")), SendResult::taken);
    pair.drain();
    pair.pass(10s);
  }
  EXPECT_EQ(pair.server.count(Method::channel_bind), 1u);
  EXPECT_EQ(pair.server.send_indications, 5u);
  EXPECT_EQ(pair.take_events(), Lines{"channel lost 40.0.0.9:7000 turn_refused"});
}

}  // namespace
}  // namespace dig::turn
