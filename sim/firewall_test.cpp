// SPDX-License-Identifier: Apache-2.0
#include "sim/firewall.hpp"

#include <gtest/gtest.h>

namespace dig::sim {
namespace {

constexpr Endpoint k_inside{IpAddress::v4({198, 51, 100, 10}), 4001};
constexpr Endpoint k_remote{IpAddress::v4({198, 51, 100, 20}), 80};
constexpr Endpoint k_other_port{k_remote.address, 81};
constexpr Endpoint k_other_address{IpAddress::v4({198, 51, 100, 21}), 80};
constexpr Instant k_start{1h};

TEST(Firewall, WhoIsOutsideMayAnswerButNotBegin) {
  Firewall firewall({});
  EXPECT_FALSE(firewall.inbound(k_start, k_remote, k_inside));
  firewall.outbound(k_start, k_inside, k_remote);
  EXPECT_TRUE(firewall.inbound(k_start, k_remote, k_inside));
  EXPECT_FALSE(firewall.inbound(k_start, k_remote, {k_inside.address, 4002}));
}

TEST(Firewall, FiltersAsItsDependenceSays) {
  for (const auto& [filtering, other_port, other_address] :
       {std::tuple(Dependence::endpoint_independent, true, true),
        std::tuple(Dependence::address_dependent, true, false),
        std::tuple(Dependence::address_and_port_dependent, false, false)}) {
    Firewall firewall({.filtering = filtering});
    firewall.outbound(k_start, k_inside, k_remote);
    EXPECT_TRUE(firewall.inbound(k_start, k_remote, k_inside));
    EXPECT_EQ(firewall.inbound(k_start, k_other_port, k_inside), other_port);
    EXPECT_EQ(firewall.inbound(k_start, k_other_address, k_inside), other_address);
  }
}

TEST(Firewall, AStateEndsWithoutRefreshAndInboundRefreshesWhereItIsToldTo) {
  for (const bool refreshes : {false, true}) {
    Firewall firewall({.lifetime = 30s, .inbound_refreshes = refreshes});
    firewall.outbound(k_start, k_inside, k_remote);
    EXPECT_TRUE(firewall.inbound(k_start + 20s, k_remote, k_inside));
    EXPECT_EQ(firewall.inbound(k_start + 40s, k_remote, k_inside), refreshes);
    EXPECT_FALSE(firewall.inbound(k_start + 70s, k_remote, k_inside));
    firewall.outbound(k_start + 70s, k_inside, k_remote);
    EXPECT_TRUE(firewall.inbound(k_start + 99s, k_remote, k_inside));
  }
}

TEST(Firewall, ARebootForgetsEverything) {
  Firewall firewall({});
  firewall.outbound(k_start, k_inside, k_remote);
  firewall.flush();
  EXPECT_FALSE(firewall.inbound(k_start, k_remote, k_inside));
  EXPECT_EQ(firewall.inside_endpoints(), 0u);
}

TEST(Firewall, ItsTableIsBounded) {
  Firewall firewall({.lifetime = 30s, .max_inside_endpoints = 2});
  const auto inside = [](std::uint16_t port) { return Endpoint{k_inside.address, port}; };
  firewall.outbound(k_start, inside(1), k_remote);
  firewall.outbound(k_start + 1s, inside(2), k_remote);
  firewall.outbound(k_start + 2s, inside(1), k_remote);
  firewall.outbound(k_start + 3s, inside(3), k_remote);
  EXPECT_EQ(firewall.inside_endpoints(), 2u);
  EXPECT_FALSE(firewall.inbound(k_start + 4s, k_remote, inside(2))) << "the one that was silent longest";
  EXPECT_TRUE(firewall.inbound(k_start + 4s, k_remote, inside(1)));
  // Those that have ended go first.
  firewall.outbound(k_start + 60s, inside(4), k_remote);
  EXPECT_EQ(firewall.inside_endpoints(), 1u);
}

}  // namespace
}  // namespace dig::sim
