// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/dial_policy.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "wire/identity.hpp"

namespace dig::autonat {
namespace {

class DialPolicyTest : public ::testing::Test {
 protected:
  bool allows(const std::string& text, const DialPolicy& policy = {}, const std::string& seen_at = "9.9.9.9") const {
    const auto address = Multiaddr::parse(text);
    EXPECT_TRUE(address) << text;
    return dialable(*address, client, IpAddress::parse(seen_at).value(), policy).has_value();
  }

  SeededRng rng{1};
  const PeerId client = Identity::generate(rng).peer_id();
  const PeerId other = Identity::generate(rng).peer_id();
};

TEST_F(DialPolicyTest, DialsTcpAddressesOfTheInternet) {
  EXPECT_TRUE(allows("/ip4/8.8.8.8/tcp/4001"));
  EXPECT_TRUE(allows("/ip6/2a00::1/tcp/443"));
  EXPECT_EQ(dialable(Multiaddr::parse("/ip4/8.8.8.8/tcp/4001").value(), client, {}, {}),
            Endpoint::parse("8.8.8.8:4001"));
}

TEST_F(DialPolicyTest, DialsNothingElse) {
  for (const char* text : {"/ip4/10.1.2.3/tcp/4001",
                           "/ip4/127.0.0.1/tcp/4001",
                           "/ip4/169.254.169.254/tcp/80",
                           "/ip4/100.64.0.1/tcp/4001",
                           "/ip4/192.0.2.1/tcp/4001",
                           "/ip4/0.0.0.0/tcp/4001",
                           "/ip4/255.255.255.255/tcp/1",
                           "/ip4/224.0.0.1/tcp/4001",
                           "/ip4/198.18.0.1/tcp/4001",
                           "/ip4/240.0.0.1/tcp/4001",
                           "/ip6/::1/tcp/4001",
                           "/ip6/::/tcp/4001",
                           "/ip6/fd00::1/tcp/4001",
                           "/ip6/2001:db8::1/tcp/4001",
                           "/ip6/::ffff:127.0.0.1/tcp/4001",
                           "/ip6/64:ff9b::a00:1/tcp/4001",
                           "/ip6/2002:7f00:1::/tcp/4001",
                           "/ip6/ff02::1/tcp/4001",
                           "/ip6zone/1/ip6/fe80::1/tcp/4001",
                           "/ip4/8.8.8.8/tcp/0",
                           "/ip4/8.8.8.8/udp/4001/quic-v1",
                           "/ip4/8.8.8.8/tcp/4001/ws",
                           "/ip4/8.8.8.8/tcp/4001/tls/ws",
                           "/dns4/example.org/tcp/4001"}) {
    EXPECT_FALSE(allows(text)) << text;
  }
  EXPECT_FALSE(dialable(Multiaddr(), client, {}, {}));
}

TEST_F(DialPolicyTest, DialsTheClientAndNobodyElse) {
  EXPECT_TRUE(allows("/ip4/8.8.8.8/tcp/4001/p2p/" + client.to_string()));
  EXPECT_FALSE(allows("/ip4/8.8.8.8/tcp/4001/p2p/" + other.to_string()));
  EXPECT_FALSE(allows("/ip4/8.8.8.8/tcp/4001/p2p/" + other.to_string() + "/p2p-circuit"));
}

TEST_F(DialPolicyTest, DialsOnlyFamiliesThatTheServerHas) {
  EXPECT_FALSE(allows("/ip6/2a00::1/tcp/443", {.has_v6 = false}));
  EXPECT_TRUE(allows("/ip4/8.8.8.8/tcp/4001", {.has_v6 = false}));
  EXPECT_FALSE(allows("/ip4/8.8.8.8/tcp/4001", {.has_v4 = false}));
  EXPECT_TRUE(allows("/ip6/2a00::1/tcp/443", {.has_v4 = false}));
}

TEST_F(DialPolicyTest, DialsPrivateAddressesWhereTheOwnerSaysSo) {
  const DialPolicy policy{.addresses = stun::AddressPolicy::any_unicast};
  EXPECT_TRUE(allows("/ip4/10.1.2.3/tcp/4001", policy));
  EXPECT_FALSE(allows("/ip4/10.1.2.3/tcp/0", policy));
  EXPECT_FALSE(allows("/ip4/224.0.0.1/tcp/4001", policy));
}

TEST_F(DialPolicyTest, DialsAPrivateAddressWhereTheClientWasSeenAndOnlyThere) {
  EXPECT_TRUE(allows("/ip4/10.1.2.3/tcp/4001", {}, "10.1.2.3"));
  EXPECT_TRUE(allows("/ip4/127.0.0.1/tcp/4001", {}, "127.0.0.1"));
  EXPECT_TRUE(allows("/ip4/203.0.113.1/tcp/4001", {}, "203.0.113.1"));
  EXPECT_TRUE(allows("/ip6/fd00::1/tcp/4001", {.has_v6 = false}, "fd00::1")) << "it has come that way";
  EXPECT_FALSE(allows("/ip4/10.1.2.4/tcp/4001", {}, "10.1.2.3"));
  EXPECT_FALSE(allows("/ip4/127.0.0.2/tcp/4001", {}, "127.0.0.1"));
  EXPECT_FALSE(allows("/ip4/10.1.2.3/tcp/0", {}, "10.1.2.3"));
  EXPECT_FALSE(allows("/ip4/224.0.0.1/tcp/4001", {}, "224.0.0.1"));
  EXPECT_FALSE(allows("/ip4/169.254.0.1/tcp/4001", {}, "169.254.0.1"));
  EXPECT_FALSE(dialable(Multiaddr::parse("/ip4/10.1.2.3/tcp/4001").value(), client, {}, {}));
}

// All clients of a server behind a proxy seem to be the proxy.
TEST_F(DialPolicyTest, APublicServerDialsNoPrivateAddressWhoeverSeemsToBeThere) {
  const DialPolicy policy{.is_public = true};
  EXPECT_FALSE(allows("/ip4/10.1.2.3/tcp/4001", policy, "10.1.2.3"));
  EXPECT_FALSE(allows("/ip4/127.0.0.1/tcp/22", policy, "127.0.0.1"));
  EXPECT_FALSE(allows("/ip6/fd00::1/tcp/4001", policy, "fd00::1"));
  EXPECT_TRUE(allows("/ip4/203.0.113.1/tcp/4001", policy, "203.0.113.1"));
  EXPECT_TRUE(allows("/ip4/8.8.8.8/tcp/4001", policy, "10.1.2.3"));
}

}  // namespace
}  // namespace dig::autonat
