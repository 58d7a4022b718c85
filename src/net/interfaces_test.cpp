// SPDX-License-Identifier: Apache-2.0
#include "net/interfaces.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dig::net {
namespace {

using testing::ElementsAre;

IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }

TEST(Interfaces, LoopbackIsListedAndMarked) {
  bool has_loopback = false;
  for (const InterfaceAddress& item : interface_addresses()) {
    if (item.address != IpAddress::loopback(IpFamily::v4)) continue;
    has_loopback = true;
    EXPECT_TRUE(item.is_loopback);
    EXPECT_FALSE(item.interface.empty());
  }
  EXPECT_TRUE(has_loopback);
}

TEST(Interfaces, AnyBecomesTheAddressesOfItsFamilyWithLoopbackLast) {
  const std::vector<InterfaceAddress> addresses = {
      {"lo", address("127.0.0.1"), true},      {"lo", address("::1"), true},
      {"eth0", address("192.0.2.7"), false},   {"eth0", address("fe80::1"), false},
      {"eth0", address("2001:db8::7"), false}, {"eth1", address("192.0.2.7"), false}};
  EXPECT_THAT(dialable_endpoints({IpAddress::any(IpFamily::v4), 4001}, addresses),
              ElementsAre(Endpoint{address("192.0.2.7"), 4001}, Endpoint{address("127.0.0.1"), 4001}));
  EXPECT_THAT(dialable_endpoints({IpAddress::any(IpFamily::v6), 4001}, addresses),
              ElementsAre(Endpoint{address("2001:db8::7"), 4001}, Endpoint{address("::1"), 4001}));
}

TEST(Interfaces, OnlyLinkLocalAddressesThatNeedAScopeAreLeftOut) {
  const std::vector<InterfaceAddress> addresses = {{"eth0", address("169.254.3.4"), false},
                                                   {"eth0", address("febf::1"), false},
                                                   {"eth0", address("fec0::1"), false}};
  EXPECT_THAT(dialable_endpoints({IpAddress::any(IpFamily::v4), 1}, addresses),
              ElementsAre(Endpoint{address("169.254.3.4"), 1}));
  EXPECT_THAT(dialable_endpoints({IpAddress::any(IpFamily::v6), 1}, addresses),
              ElementsAre(Endpoint{address("fec0::1"), 1}));
}

TEST(Interfaces, SpecificAddressIsItself) {
  EXPECT_THAT(dialable_endpoints({address("192.0.2.9"), 1}, {}), ElementsAre(Endpoint{address("192.0.2.9"), 1}));
  EXPECT_TRUE(dialable_endpoints({IpAddress::any(IpFamily::v4), 1}, {}).empty());
}

}  // namespace
}  // namespace dig::net
