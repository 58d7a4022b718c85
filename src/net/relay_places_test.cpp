// SPDX-License-Identifier: Apache-2.0
#include "net/relay_places.hpp"

#include <gtest/gtest.h>

namespace dig::net {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

// A cloud's machine with a private address first, one behind a NAT, one with IPv6 too.
const std::vector<InterfaceAddress> k_many = {{"lo", ip("127.0.0.1"), true},
                                              {"bridge", ip("172.17.0.1"), false},
                                              {"eth0", ip("8.8.4.4"), false},
                                              {"eth0", ip("8.8.4.5"), false}};
const std::vector<InterfaceAddress> k_private = {{"lo", ip("127.0.0.1"), true}, {"eth0", ip("10.0.0.5"), false}};

RelayPlace same(std::string_view text) { return {ip(text), ip(text)}; }

TEST(RelayPlaces, AreWhereOthersReachThisMachine) {
  EXPECT_EQ(find_relay_place({}, IpFamily::v4, ip("8.8.4.5"), k_many), same("8.8.4.5"));
  EXPECT_EQ(find_relay_place({}, IpFamily::v4, ip("172.17.0.1"), k_many), same("172.17.0.1"));
}

TEST(RelayPlaces, AreOfTheInternetWhereThatIsNotKnown) {
  EXPECT_EQ(find_relay_place({}, IpFamily::v4, std::nullopt, k_many), same("8.8.4.4"));
  EXPECT_EQ(find_relay_place({}, IpFamily::v4, std::nullopt, k_private), same("10.0.0.5"));
}

TEST(RelayPlaces, BehindANatAreToldAsTheyAreReached) {
  EXPECT_EQ(find_relay_place({}, IpFamily::v4, ip("8.8.8.8"), k_private), (RelayPlace{ip("10.0.0.5"), ip("8.8.8.8")}));
  const RelayWish wish{.relay_ips = {ip("10.0.0.5")}, .public_ips = {ip("8.8.8.8")}};
  EXPECT_EQ(find_relay_place(wish, IpFamily::v4, std::nullopt, k_many), (RelayPlace{ip("10.0.0.5"), ip("8.8.8.8")}));
}

TEST(RelayPlaces, AreWhereTheOwnerWantsThem) {
  const RelayWish wish{.relay_ips = {ip("8.8.4.5")}, .public_ips = {}};
  EXPECT_EQ(find_relay_place(wish, IpFamily::v4, ip("8.8.4.4"), k_many), same("8.8.4.5"));
  const RelayWish in_front{.relay_ips = {}, .public_ips = {ip("8.8.8.8")}};
  EXPECT_EQ(find_relay_place(in_front, IpFamily::v4, ip("8.8.8.8"), k_many),
            (RelayPlace{ip("8.8.4.4"), ip("8.8.8.8")}));
}

TEST(RelayPlaces, AreOfOneFamily) {
  EXPECT_EQ(find_relay_place({}, IpFamily::v6, std::nullopt, k_many), std::nullopt);
  const RelayWish wish{.relay_ips = {ip("10.0.0.5")}, .public_ips = {ip("2600::1")}};
  EXPECT_EQ(find_relay_place(wish, IpFamily::v6, std::nullopt, k_private), std::nullopt);
  EXPECT_EQ(find_relay_place(wish, IpFamily::v4, std::nullopt, k_private), same("10.0.0.5"));
}

}  // namespace
}  // namespace dig::net
