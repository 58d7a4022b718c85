// SPDX-License-Identifier: Apache-2.0
#include "net/udp_errors.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "net/port_manager.hpp"
#include "net/udp_scatter.hpp"

namespace dig::net {
namespace {

class UdpErrors : public ::testing::TestWithParam<IpFamily> {
 protected:
  static BoundSocket bind() {
    PortManager ports;
    auto lease = ports.acquire({.purpose = "test", .tcp = false, .addresses = {IpAddress::loopback(GetParam())}});
    return std::move(lease.value().take_udp().at(0));
  }
  // Waits for an error of the socket to be queued: on loopback it is there when the send returns, or soon.
  bool has_error() const {
    pollfd ready{sender.fd.value(), 0, 0};
    return ::poll(&ready, 1, 10'000) == 1 && (ready.revents & POLLERR) != 0;
  }
  void send(const Endpoint& to) {
    scatter.add(sender.fd.value(), {}, to, {}, as_bytes(std::string_view("hello")), 0);
    scatter.flush();
  }
  void SetUp() override { ask_for_udp_errors(sender.fd.value(), GetParam()); }

  BoundSocket sender = bind();
  BoundSocket receiver = bind();
  Endpoint closed = bind().local;  // the socket is gone again
  UdpScatter scatter{false};
};

TEST_P(UdpErrors, TheDestinationOfADatagramThatNobodyTookIsTold) {
  send(closed);
  ASSERT_TRUE(has_error());
  const auto error = next_udp_error(sender.fd.value());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->destination, closed);
  EXPECT_EQ(error->icmp_type, GetParam() == IpFamily::v4 ? 3 : 1);  // port unreachable: RFC 792, RFC 4443 §3.1
  EXPECT_EQ(error->icmp_code, GetParam() == IpFamily::v4 ? 3 : 4);
  EXPECT_EQ(error->mtu, 0u);
  EXPECT_FALSE(next_udp_error(sender.fd.value()));
}

TEST_P(UdpErrors, AnErrorAboutOneDatagramCostsNoOther) {
  send(closed);
  ASSERT_TRUE(has_error());
  send(receiver.local);
  EXPECT_EQ(scatter.snapshot().datagrams, 2u);
  EXPECT_EQ(scatter.snapshot().lost_refused, 0u);
  std::array<char, 16> got{};
  pollfd ready{receiver.fd.value(), POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
  EXPECT_EQ(::recv(receiver.fd.value(), got.data(), got.size(), 0), 5);
}

TEST_P(UdpErrors, NobodyIsToldWithoutAsking) {
  scatter.add(receiver.fd.value(), {}, closed, {}, as_bytes(std::string_view("hello")), 0);
  scatter.flush();
  send(closed);  // when this one is told, the other would have been
  ASSERT_TRUE(has_error());
  EXPECT_FALSE(next_udp_error(receiver.fd.value()));
}

INSTANTIATE_TEST_SUITE_P(Families, UdpErrors, ::testing::Values(IpFamily::v4, IpFamily::v6),
                         [](const auto& item) { return item.param == IpFamily::v4 ? "V4" : "V6"; });

}  // namespace
}  // namespace dig::net
