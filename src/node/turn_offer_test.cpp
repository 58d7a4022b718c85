// SPDX-License-Identifier: Apache-2.0
#include "node/turn_offer.hpp"

#include <gtest/gtest.h>

namespace dig::node {
namespace {

std::vector<Multiaddr> addresses(std::initializer_list<std::string_view> texts) {
  std::vector<Multiaddr> parsed;
  for (const std::string_view text : texts) parsed.push_back(Multiaddr::parse(text).value());
  return parsed;
}

std::vector<std::string> uris(const std::optional<TurnRole>& role) {
  std::vector<std::string> texts;
  if (!role) return texts;
  for (const StunUri& server : role->offer.servers) texts.push_back(server.to_string());
  return texts;
}

using Texts = std::vector<std::string>;

TEST(TurnOffer, ThePortThatIsReachedTakesUdpAndTcp) {
  const auto role = make_turn_role({}, addresses({"/ip4/192.0.2.1/tcp/4001"}));
  EXPECT_EQ(uris(role), (Texts{"turn:192.0.2.1:4001", "turn:192.0.2.1:4001?transport=tcp"}));
  EXPECT_EQ(role->offer.kind, TurnRelayKind::pair);
  EXPECT_EQ(role->relay_v4, IpAddress::parse("192.0.2.1").value());
  EXPECT_FALSE(role->relay_v6);
}

TEST(TurnOffer, TlsOnlyWithACertificateThatOthersBelieve) {
  const auto role =
      make_turn_role({.kind = TurnRelayKind::open, .has_tls = true}, addresses({"/ip4/192.0.2.1/tcp/443"}));
  EXPECT_EQ(uris(role), (Texts{"turn:192.0.2.1:443", "turn:192.0.2.1:443?transport=tcp", "turns:192.0.2.1:443"}));
  EXPECT_EQ(role->offer.kind, TurnRelayKind::open);
}

TEST(TurnOffer, EachPlaceIsNamedOnce) {
  EXPECT_EQ(uris(make_turn_role({}, addresses({"/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.1/tcp/4001/ws",
                                               "/ip4/192.0.2.1/tcp/4001"})))
                .size(),
            2U);
}

TEST(TurnOffer, BothFamiliesNameAllocations) {
  const auto role = make_turn_role({}, addresses({"/ip6/2001:db8::1/tcp/4001", "/ip4/192.0.2.1/tcp/4001"}));
  EXPECT_EQ(uris(role), (Texts{"turn:[2001:db8::1]:4001", "turn:[2001:db8::1]:4001?transport=tcp",
                               "turn:192.0.2.1:4001", "turn:192.0.2.1:4001?transport=tcp"}));
  EXPECT_EQ(role->relay_v6, IpAddress::parse("2001:db8::1").value());
  EXPECT_EQ(role->relay_v4, IpAddress::parse("192.0.2.1").value());
}

TEST(TurnOffer, ANameStandsBesideAnAddressButNotAlone) {
  EXPECT_FALSE(make_turn_role({}, addresses({"/dns4/turn.example/tcp/443"})));
  EXPECT_EQ(uris(make_turn_role({}, addresses({"/dns4/turn.example/tcp/443", "/ip4/192.0.2.1/tcp/443"}))).front(),
            "turn:turn.example:443");
}

TEST(TurnOffer, BesideNamesAloneAllocationsAreNamedUnderOwnAddressesOnTheInternet) {
  const auto named = addresses({"/dns4/turn.example/tcp/443"});
  const auto role = make_turn_role({}, named, addresses({"/ip4/10.0.0.1/tcp/443", "/ip4/8.8.8.8/tcp/443"}));
  ASSERT_TRUE(role);
  EXPECT_EQ(uris(role), (Texts{"turn:turn.example:443", "turn:turn.example:443?transport=tcp"}));
  EXPECT_EQ(role->relay_v4, IpAddress::parse("8.8.8.8").value());
  EXPECT_FALSE(role->relay_v6);
  EXPECT_FALSE(make_turn_role({}, named, addresses({"/ip4/10.0.0.1/tcp/443"})));
  EXPECT_FALSE(make_turn_role({}, {}, addresses({"/ip4/8.8.8.8/tcp/443"})));
  const auto announced = make_turn_role({}, addresses({"/ip4/8.8.4.4/tcp/443"}), addresses({"/ip6/2600::1/tcp/443"}));
  EXPECT_FALSE(announced->relay_v6) << "what is announced counts in place of all others";
}

TEST(TurnOffer, WhatIsReachedInAnotherWayIsNoPlace) {
  EXPECT_FALSE(make_turn_role({}, {}));
  EXPECT_FALSE(make_turn_role({}, addresses({"/ip4/192.0.2.1/udp/4001/quic-v1", "/ip4/192.0.2.1/tcp/4001/ws"})));
}

TEST(TurnOffer, NoMoreServersThanAnAnswerMayHave) {
  std::vector<Multiaddr> many;
  for (std::uint16_t port = 1; port <= 20; ++port) {
    many.push_back(Multiaddr::tcp({IpAddress::parse("192.0.2.1").value(), port}));
  }
  EXPECT_EQ(uris(make_turn_role({}, many)).size(), TurnCredentials::max_servers);
}

}  // namespace
}  // namespace dig::node
