// SPDX-License-Identifier: Apache-2.0
// The sockets of UDP probes, over loopback.
#include "net/udp_probes.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <set>
#include <vector>

#include "crypto/system_rng.hpp"
#include "net/sockaddr.hpp"
#include "net/unique_fd.hpp"

namespace dig::net {
namespace {

constexpr Duration k_patience = 20s;
const IpAddress k_here = IpAddress::loopback(IpFamily::v4);

class UdpProbesTest : public testing::Test {
 protected:
  bool wait_for(std::size_t datagrams) {
    return loop.run_until([&] { return heard.size() >= datagrams; }, k_patience);
  }
  struct Heard {
    UdpProbes::Id id = 0;
    std::string text;
    friend bool operator==(const Heard&, const Heard&) = default;
  };

  Loop loop;
  crypto::SystemRng rng;
  std::vector<Heard> heard;
  UdpProbes probes{loop, rng, [this](Instant, UdpProbes::Id id, BytesView datagram) {
                     heard.push_back({id, std::string(as_text(datagram))});
                     if (heard.back().text == "close") probes.close(id);
                   }};
};

TEST_F(UdpProbesTest, ADatagramReachesThePortThatIsOpen) {
  const auto first = probes.open(1, k_here, 50000, 50099);
  const auto second = probes.open(2, k_here, 50000, 50099);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(*first >= 50000 && *first <= 50099 && *first != *second);
  EXPECT_TRUE(UdpProbes::send({k_here, *second}, as_bytes("two")));
  ASSERT_TRUE(wait_for(1));
  EXPECT_TRUE(UdpProbes::send({k_here, *first}, as_bytes("one")));
  ASSERT_TRUE(wait_for(2));
  EXPECT_EQ(heard, (std::vector<Heard>{{2, "two"}, {1, "one"}}));
}

TEST_F(UdpProbesTest, APortThatIsClosedHearsNothingMore) {
  const auto port = probes.open(1, k_here, 50000, 50099);
  const auto other = probes.open(2, k_here, 50000, 50099);
  ASSERT_TRUE(port && other);
  for (const char* text : {"close", "more"}) EXPECT_TRUE(UdpProbes::send({k_here, *port}, as_bytes(text)));
  ASSERT_TRUE(wait_for(1));
  EXPECT_TRUE(UdpProbes::send({k_here, *other}, as_bytes("last")));
  ASSERT_TRUE(wait_for(2));
  EXPECT_EQ(heard, (std::vector<Heard>{{1, "close"}, {2, "last"}}));
  EXPECT_TRUE(probes.open(3, k_here, *port, *port)) << "the port is free again";
}

TEST_F(UdpProbesTest, ThePortOfAnIdIsReplaced) {
  const auto before = probes.open(1, k_here, 50000, 50099);
  const auto after = probes.open(1, k_here, 50000, 50099);
  ASSERT_TRUE(before && after);
  EXPECT_TRUE(UdpProbes::send({k_here, *before}, as_bytes("before")));
  EXPECT_TRUE(UdpProbes::send({k_here, *after}, as_bytes("after")));
  ASSERT_TRUE(wait_for(1));
  EXPECT_EQ(heard, (std::vector<Heard>{{1, "after"}}));
}

TEST_F(UdpProbesTest, ARangeThatIsTaken) {
  const auto port = probes.open(1, k_here, 50000, 50099);
  ASSERT_TRUE(port);
  EXPECT_EQ(probes.open(2, k_here, *port, *port).error().code(), Errc::port_in_use);
  EXPECT_EQ(probes.open(3, IpAddress::parse("192.0.2.1").value(), 50000, 50099).error().code(), Errc::network_error);
}

TEST_F(UdpProbesTest, EachDatagramLeavesFromAFreshPort) {
  const UniqueFd receiver(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketAddress any(Endpoint{k_here, 0});
  ASSERT_EQ(::bind(receiver.value(), any.get(), any.size()), 0);
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  ASSERT_EQ(::setsockopt(receiver.value(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
  const auto port = probes.open(1, k_here, 50000, 50099);
  ASSERT_TRUE(port);
  std::set<Endpoint> from;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(UdpProbes::send(local_endpoint(receiver.value()).value(), as_bytes("x")));
    SocketAddress sender;
    socklen_t size = SocketAddress::capacity();
    char byte = 0;
    ASSERT_EQ(::recvfrom(receiver.value(), &byte, 1, 0, sender.mutable_get(), &size), 1);
    from.insert(sender.endpoint());
  }
  EXPECT_GT(from.size(), 1U);
  EXPECT_FALSE(from.contains({k_here, *port}));
}

// However an IPv4 address is written, what was judged as IPv6 goes by IPv6.
TEST_F(UdpProbesTest, AMappedAddressIsNoWayToIPv4) {
  const auto port = probes.open(1, k_here, 50000, 50099);
  ASSERT_TRUE(port);
  EXPECT_FALSE(UdpProbes::send({IpAddress::parse("::ffff:127.0.0.1").value(), *port}, as_bytes("mapped")));
  EXPECT_TRUE(UdpProbes::send({k_here, *port}, as_bytes("plain")));
  ASSERT_TRUE(wait_for(1));
  EXPECT_EQ(heard, (std::vector<Heard>{{1, "plain"}}));
}

TEST_F(UdpProbesTest, WhatTheSystemDoesNotSendHasNotLeft) {
  EXPECT_FALSE(UdpProbes::send({IpAddress::parse("255.255.255.255").value(), 50000}, as_bytes("to everybody")));
}

}  // namespace
}  // namespace dig::net
