// SPDX-License-Identifier: Apache-2.0
#include "net/port_manager.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <set>

#include "net/sockaddr.hpp"

namespace dig::net {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int k_processes = 50;

// Where searches start: apart for each test process, so that tests may run in parallel.
std::uint16_t base_port() { return static_cast<std::uint16_t>(12'000 + (::getpid() % 150) * 100); }

// Binds as another program would; 0 or errno.
int foreign_bind(SocketKind kind, const Endpoint& endpoint, UniqueFd& held, bool reuse_address = true) {
  const SocketAddress address(endpoint);
  held.reset(::socket(address.family(), kind == SocketKind::tcp ? SOCK_STREAM : SOCK_DGRAM, 0));
  const int on = 1;
  if (kind == SocketKind::tcp && reuse_address) {
    ::setsockopt(held.value(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  }
  if (!endpoint.address.is_v4()) ::setsockopt(held.value(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  if (::bind(held.value(), address.get(), address.size()) != 0) return errno;
  if (kind == SocketKind::tcp && ::listen(held.value(), 1) != 0) return errno;
  return 0;
}

std::uint16_t acquired_port(PortManager& manager, const PortRequest& request) {
  const auto lease = manager.acquire(request);
  return lease ? lease->port() : std::uint16_t{0};
}

const std::vector<IpAddress> k_loopback_v4 = {IpAddress::loopback(IpFamily::v4)};

TEST(PortManager, TakesTcpAndUdpOfBothFamiliesOnOneNumber) {
  PortManager manager;
  const auto lease = manager.acquire({.purpose = "libp2p-main", .preferred = base_port()});
  ASSERT_TRUE(lease) << lease.error().message();
  EXPECT_THAT(lease->status().protocols, ElementsAre("tcp4", "tcp6", "udp4", "udp6"));
  for (const SocketKind kind : {SocketKind::tcp, SocketKind::udp}) {
    for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
      UniqueFd held;
      EXPECT_EQ(foreign_bind(kind, {IpAddress::any(family), lease->port()}, held), EADDRINUSE);
      EXPECT_EQ(foreign_bind(kind, {IpAddress::loopback(family), lease->port()}, held), EADDRINUSE);
    }
  }
}

TEST(PortManager, MovesOnWhenAnyOfTheFourIsTakenAndSaysWhy) {
  struct Case {
    SocketKind kind;
    IpFamily family;
    const char* name;
  };
  for (const Case& taken : {Case{SocketKind::tcp, IpFamily::v4, "tcp4"}, Case{SocketKind::tcp, IpFamily::v6, "tcp6"},
                            Case{SocketKind::udp, IpFamily::v4, "udp4"}, Case{SocketKind::udp, IpFamily::v6, "udp6"}}) {
    PortManager manager;
    const std::uint16_t preferred = acquired_port(manager, {.purpose = "probe", .preferred = base_port()});
    UniqueFd held;
    ASSERT_EQ(foreign_bind(taken.kind, {IpAddress::any(taken.family), preferred}, held), 0);
    const auto lease = manager.acquire({.purpose = "libp2p-main", .preferred = preferred});
    ASSERT_TRUE(lease) << lease.error().message();
    EXPECT_GT(lease->port(), preferred);
    EXPECT_THAT(lease->status().reason, HasSubstr(std::to_string(preferred) + " is taken (" + taken.name + ")"));
    EXPECT_THAT(lease->status().reason, HasSubstr(std::to_string(lease->port()) + " was free"));
  }
}

TEST(PortManager, ExactPortThatIsTakenIsAnError) {
  PortManager manager;
  const auto held = manager.acquire({.purpose = "first", .preferred = base_port()});
  ASSERT_TRUE(held);
  const auto lease = manager.acquire({.purpose = "second", .preferred = held->port(), .exact = true});
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.error().code(), Errc::port_in_use);
}

TEST(PortManager, AnyPortIsTheSameForTcpAndUdp) {
  PortManager manager;
  auto lease = manager.acquire({.purpose = "short-lived"});
  ASSERT_TRUE(lease) << lease.error().message();
  EXPECT_GE(lease->port(), 1024);
  const std::uint16_t port = lease->port();
  for (const BoundSocket& socket : lease->take_tcp()) EXPECT_EQ(socket.local.port, port);
  for (const BoundSocket& socket : lease->take_udp()) EXPECT_EQ(socket.local.port, port);
  EXPECT_TRUE(lease->take_tcp().empty());
}

TEST(PortManager, NeverTakesPrivilegedBlockedOrInspectedPortsByItself) {
  PortManager manager;
  for (const std::uint16_t port :
       {std::uint16_t{1}, std::uint16_t{80}, std::uint16_t{443}, std::uint16_t{1023}, std::uint16_t{1719},
        std::uint16_t{1720}, std::uint16_t{1723}, std::uint16_t{2049}, std::uint16_t{5060}, std::uint16_t{5061},
        std::uint16_t{6000}, std::uint16_t{6566}, std::uint16_t{6665}, std::uint16_t{6669}, std::uint16_t{6697},
        std::uint16_t{10080}}) {
    const auto lease = manager.acquire({.purpose = "p", .preferred = port, .addresses = k_loopback_v4});
    ASSERT_TRUE(lease) << port << ": " << lease.error().message();
    EXPECT_NE(lease->port(), port);
    EXPECT_EQ(classify_port(lease->port()), PortClass::ordinary) << lease->port();
    EXPECT_THAT(lease->status().reason,
                HasSubstr(std::to_string(port) + " is " + std::string(to_text(classify_port(port)))));
  }
}

TEST(PortManager, ExactBlockedPortIsRefusedWithACode) {
  PortManager manager;
  for (const std::uint16_t port : {std::uint16_t{5060}, std::uint16_t{6000}}) {
    const auto lease = manager.acquire({.purpose = "p", .preferred = port, .exact = true});
    ASSERT_FALSE(lease);
    EXPECT_EQ(lease.error().code(), Errc::port_forbidden);
  }
}

TEST(PortManager, ClassesHoldAtTheirBounds) {
  EXPECT_EQ(classify_port(0), PortClass::ordinary);
  EXPECT_EQ(classify_port(1), PortClass::privileged);
  EXPECT_EQ(classify_port(21), PortClass::alg_inspected);
  EXPECT_EQ(classify_port(1023), PortClass::privileged);
  EXPECT_EQ(classify_port(1024), PortClass::ordinary);
  EXPECT_EQ(classify_port(4001), PortClass::ordinary);
  EXPECT_EQ(classify_port(6664), PortClass::ordinary);
  EXPECT_EQ(classify_port(6670), PortClass::ordinary);
  EXPECT_EQ(classify_port(65535), PortClass::ordinary);
}

TEST(PortManager, SearchStopsAtItsBoundAndAtTheLastPort) {
  PortManager manager(PortManager::Limits{.max_moves = 0});
  const auto held = manager.acquire({.purpose = "first", .addresses = k_loopback_v4});
  ASSERT_TRUE(held);
  const auto bounded = manager.acquire({.purpose = "p", .preferred = held->port(), .addresses = k_loopback_v4});
  ASSERT_FALSE(bounded);
  EXPECT_EQ(bounded.error().code(), Errc::no_free_port);

  PortManager wide;
  UniqueFd last;
  ASSERT_EQ(foreign_bind(SocketKind::tcp, {IpAddress::loopback(IpFamily::v4), 65535}, last), 0);
  const auto beyond = wide.acquire({.purpose = "p", .preferred = 65535, .addresses = k_loopback_v4});
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code(), Errc::no_free_port);
}

TEST(PortManager, MachineWithoutIpv6GetsIpv4AndAReason) {
  PortManager manager(PortManager::Limits(), [](int family, int type) {
    if (family == AF_INET) return ::socket(family, type, 0);
    errno = EAFNOSUPPORT;
    return -1;
  });
  const auto lease = manager.acquire({.purpose = "libp2p-main", .preferred = base_port()});
  ASSERT_TRUE(lease) << lease.error().message();
  EXPECT_THAT(lease->status().protocols, ElementsAre("tcp4", "udp4"));
  EXPECT_THAT(lease->status().reason, HasSubstr("IPv6 is missing"));
}

TEST(PortManager, AddressOfAnotherMachineIsRefused) {
  PortManager manager;
  const auto lease = manager.acquire({.purpose = "p", .addresses = {IpAddress::v4({192, 0, 2, 1})}});
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.error().code(), Errc::no_route);
}

TEST(PortManager, RequestWithoutProtocolIsRefused) {
  PortManager manager;
  const auto lease = manager.acquire({.purpose = "p", .tcp = false, .udp = false});
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.error().code(), Errc::invalid_argument);
}

TEST(PortManager, SnapshotListsLiveLeasesAndDestructionFrees) {
  PortManager manager;
  std::uint16_t port = 0;
  {
    auto lease = manager.acquire({.purpose = "libp2p-main", .preferred = base_port()});
    ASSERT_TRUE(lease);
    const PortLease moved = std::move(*lease);
    ASSERT_EQ(manager.snapshot().size(), 1u);
    EXPECT_EQ(manager.snapshot()[0].purpose, "libp2p-main");
    EXPECT_EQ(manager.snapshot()[0].preferred, base_port());
    port = moved.port();
    EXPECT_EQ(manager.snapshot()[0].port, port);
  }
  EXPECT_TRUE(manager.snapshot().empty());
  const auto again = manager.acquire({.purpose = "again", .preferred = port, .exact = true});
  EXPECT_TRUE(again) << again.error().message();
}

TEST(PortManager, SharingWithOurselvesKeepsForeignBindsOut) {
  for (const SocketKind kind : {SocketKind::tcp, SocketKind::udp}) {
    PortManager manager;
    auto lease = manager.acquire({.purpose = "p"});
    ASSERT_TRUE(lease);
    const auto sockets = kind == SocketKind::tcp ? lease->take_tcp() : lease->take_udp();
    for (const BoundSocket& socket : sockets) {
      const auto other = socket.bind_alike();
      ASSERT_TRUE(other) << other.error().message();
      EXPECT_EQ(local_endpoint(other->value()), socket.local);
      UniqueFd held;
      EXPECT_EQ(foreign_bind(kind, socket.local, held), EADDRINUSE);
      EXPECT_EQ(foreign_bind(kind, socket.local, held, false), EADDRINUSE);
    }
  }
}

// A child takes a port, reports it and holds it until its pipe closes.
[[noreturn]] void run_child(std::uint16_t preferred, int report, int release) {
  PortManager manager;
  const auto lease = manager.acquire({.purpose = "libp2p-main", .preferred = preferred});
  const std::uint16_t port = lease ? lease->port() : std::uint16_t{0};
  if (::write(report, &port, sizeof(port)) != sizeof(port)) ::_exit(1);
  char byte;
  const bool is_released = ::read(release, &byte, 1) == 0;
  ::_exit(is_released ? 0 : 1);
}

TEST(PortManager, FiftyProcessesStartedAtOnceGetFiftyPorts) {
  int report[2];
  int release[2];
  ASSERT_EQ(::pipe(report), 0);
  ASSERT_EQ(::pipe(release), 0);
  std::vector<pid_t> children;
  const std::uint16_t preferred = base_port();
  for (int i = 0; i < k_processes; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(release[1]);
      run_child(preferred, report[1], release[0]);
    }
    children.push_back(child);
  }
  std::set<std::uint16_t> ports;
  for (int i = 0; i < k_processes; ++i) {
    pollfd ready{report[0], POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 20'000), 1);
    std::uint16_t port = 0;
    ASSERT_EQ(::read(report[0], &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
    EXPECT_GE(port, preferred);
    ports.insert(port);
  }
  ::close(release[1]);
  for (const pid_t child : children) {
    int status = 1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(ports.size(), static_cast<std::size_t>(k_processes));
  for (const int fd : {report[0], report[1], release[0]}) ::close(fd);
}

}  // namespace
}  // namespace dig::net
