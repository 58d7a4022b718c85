// SPDX-License-Identifier: Apache-2.0
#include "sim/datagram_network.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace dig::sim {
namespace {

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }
Endpoint endpoint(const char* text) { return Endpoint::parse(text).value(); }

struct World {
  void settle(Duration limit = 10s) {
    const Instant end = events.now() + limit;
    while (events.next() && *events.next() <= end) events.step();
    events.advance(end);
  }
  // Every datagram went somewhere, and is counted once.
  void expect_all_accounted_for() const {
    const DatagramNetwork::Status status = network.snapshot();
    EXPECT_EQ(status.sent + status.doubled, status.delivered + status.too_long + status.lost + status.unroutable +
                                                status.refused + status.no_socket + status.under_way);
  }

  EventQueue events;
  Trace trace;
  SeededRng rng{1};
  DatagramNetwork network{events, trace, rng};
  std::uint64_t next_owner = 1;
};

// A host with one socket that keeps what it hears.
class Peer final : public DatagramOwner {
 public:
  struct Heard {
    Endpoint from;
    std::string text;
    friend bool operator==(const Heard&, const Heard&) = default;
  };

  Peer(World& world, RealmId realm, const Endpoint& local) : Peer(world) {
    world_.network.attach(realm, local.address);
    socket = world_.network.open(*this, realm, local);
  }
  explicit Peer(World& world) : world_(world), number_{world.next_owner++} {}
  ~Peer() override { world_.network.forget(*this); }

  void send(const Endpoint& remote, std::string_view text) { world_.network.send(socket, remote, as_bytes(text)); }
  // The last one; everything else is forgotten.
  std::optional<Heard> take() {
    if (heard.empty()) return std::nullopt;
    const Heard last = heard.back();
    heard.clear();
    return last;
  }
  [[nodiscard]] const Endpoint& local() const { return world_.network.local(socket); }

  DatagramSocketId socket;
  std::vector<Heard> heard;
  std::vector<DatagramSocketId> heard_at;
  std::function<void(const Received&)> on_datagram;

 private:
  [[nodiscard]] OwnerNumber number() const override { return number_; }
  void handle_datagram(DatagramSocketId at, const Received& in) override {
    EXPECT_EQ(in.now, world_.events.now());
    EXPECT_EQ(in.local, world_.network.local(at));
    heard_at.push_back(at);
    heard.push_back({in.remote, std::string(as_text(in.bytes))});
    if (on_datagram) on_datagram(in);
  }

  World& world_;
  OwnerNumber number_;
};

using Heard = Peer::Heard;

RealmSpec behind_nat(const NatSpec& nat, const char* outside) { return {.nat = nat, .outside = {address(outside)}}; }

// --- the Internet
// -----------------------------------------------------------------------------------------------------

TEST(DatagramNetwork, DeliversBetweenHostsOfTheInternetAfterTheDelay) {
  World world;
  Peer a(world, k_internet, endpoint("198.51.100.1:1"));
  Peer b(world, k_internet, endpoint("198.51.100.2:2"));
  world.network.set_link(k_internet, a.local().address, b.local().address, {.delay = 30ms});
  a.send(b.local(), "hello");
  world.settle(30ms - 1ns);
  EXPECT_FALSE(b.take());
  world.settle(1ns);
  EXPECT_EQ(b.take(), (Heard{a.local(), "hello"}));
  b.on_datagram = [&](const Received& in) { b.send(in.remote, in.bytes.empty() ? "empty" : "full"); };
  a.send(b.local(), "");
  world.settle();
  EXPECT_EQ(a.take(), (Heard{b.local(), "empty"}));
  world.expect_all_accounted_for();
}

TEST(DatagramNetwork, CarriesIpv6AndDoesNotMixTheFamilies) {
  World world;
  Peer a(world, k_internet, endpoint("[2001:db8::1]:1"));
  Peer b(world, k_internet, endpoint("[2001:db8::2]:2"));
  Peer v4(world, k_internet, endpoint("198.51.100.1:3"));
  a.send(b.local(), "six");
  a.send(v4.local(), "mixed");
  world.settle();
  EXPECT_EQ(b.take(), (Heard{a.local(), "six"}));
  EXPECT_FALSE(v4.take());
  EXPECT_EQ(world.network.snapshot().unroutable, 1u);
}

// What a STUN server for RFC 5780 needs: two addresses with two ports each.
TEST(DatagramNetwork, AHostOwnsSeveralAddressesAndSockets) {
  World world;
  Peer client(world, k_internet, endpoint("198.51.100.1:1"));
  Peer server(world);
  std::vector<DatagramSocketId> sockets;
  for (const char* own : {"198.51.100.2", "198.51.100.3"}) {
    world.network.attach(k_internet, address(own));
    for (const std::uint16_t port : {std::uint16_t{3478}, std::uint16_t{3479}}) {
      sockets.push_back(world.network.open(server, k_internet, {address(own), port}));
    }
  }
  for (const DatagramSocketId socket : sockets) {
    client.send(world.network.local(socket), "to");
    world.settle();
    EXPECT_EQ(server.heard_at.back(), socket);
    world.network.send(socket, client.local(), as_bytes("from"));
    world.settle();
    EXPECT_EQ(client.take(), (Heard{world.network.local(socket), "from"}));
  }
}

TEST(DatagramNetwork, NobodyHearsOfWhatCanNotBeDelivered) {
  World world;
  Peer a(world, k_internet, endpoint("198.51.100.1:1"));
  Peer b(world, k_internet, endpoint("198.51.100.2:2"));
  a.send(endpoint("198.51.100.9:1"), "nobody has the address");
  a.send({b.local().address, 3}, "nor this port");
  a.send(b.local(), std::string(DatagramNetwork::max_datagram + 1, 'x'));
  a.send(b.local(), std::string(DatagramNetwork::max_datagram, 'y'));
  world.settle();
  ASSERT_EQ(b.heard.size(), 1u);
  EXPECT_EQ(b.heard[0].text.size(), DatagramNetwork::max_datagram);
  const DatagramNetwork::Status status = world.network.snapshot();
  EXPECT_EQ(status.unroutable, 1u);
  EXPECT_EQ(status.no_socket, 1u);
  EXPECT_EQ(status.too_long, 1u);
  EXPECT_EQ(status.delivered, 1u);
  world.expect_all_accounted_for();
}

TEST(DatagramNetwork, FreePortsAreGivenAndClosedOnesAreFreeAgain) {
  World world;
  Peer peer(world, k_internet, endpoint("198.51.100.1:0"));
  const Endpoint first = peer.local();
  EXPECT_GE(first.port, 49'152);
  const DatagramSocketId second = world.network.open(peer, k_internet, {first.address, 0});
  EXPECT_NE(world.network.local(second).port, first.port);
  EXPECT_THROW(std::ignore = world.network.open(peer, k_internet, first), std::logic_error);
  world.network.close(peer.socket);
  world.network.close(peer.socket);
  EXPECT_EQ(world.network.local(world.network.open(peer, k_internet, first)), first);
  EXPECT_EQ(world.network.snapshot().sockets, 2u);
}

TEST(DatagramNetwork, AnOwnerThatIsGoneHearsNothingAndSendsNothing) {
  World world;
  Peer a(world, k_internet, endpoint("198.51.100.1:1"));
  Peer b(world, k_internet, endpoint("198.51.100.2:2"));
  const Endpoint at = b.local();
  a.send(at, "under way");
  world.network.forget(b);
  world.network.send(b.socket, a.local(), as_bytes("from the grave"));
  world.settle();
  EXPECT_TRUE(a.heard.empty());
  EXPECT_TRUE(b.heard.empty());
  EXPECT_EQ(world.network.snapshot().no_socket, 1u);
  // It starts again at the same endpoint.
  b.socket = world.network.open(b, k_internet, at);
  a.send(at, "again");
  world.settle();
  EXPECT_EQ(b.take(), (Heard{a.local(), "again"}));
}

TEST(DatagramNetwork, APathIsCutAndHealedInBothDirectionsOrOne) {
  World world;
  Peer a(world, k_internet, endpoint("198.51.100.1:1"));
  Peer b(world, k_internet, endpoint("198.51.100.2:2"));
  const auto exchange = [&] {
    a.send(b.local(), "there");
    b.send(a.local(), "back");
    world.settle();
    return std::pair(b.take().has_value(), a.take().has_value());
  };
  world.network.cut(k_internet, a.local().address, b.local().address);  // before it was ever used
  EXPECT_EQ(exchange(), std::pair(false, false));
  world.network.heal(k_internet, a.local().address, b.local().address);
  EXPECT_EQ(exchange(), std::pair(true, true));
  world.network.cut_one_way(k_internet, a.local().address, b.local().address);
  EXPECT_EQ(exchange(), std::pair(false, true));
  world.network.heal(k_internet, b.local().address, a.local().address);
  a.send(b.local(), "under way");
  world.network.cut(k_internet, b.local().address, a.local().address);
  world.settle();
  EXPECT_FALSE(b.take());
  EXPECT_EQ(world.network.snapshot().lost, 4u);
  world.expect_all_accounted_for();
}

TEST(DatagramNetwork, LinksLoseDoubleAndReorder) {
  World world;
  Peer a(world, k_internet, endpoint("198.51.100.1:1"));
  Peer b(world, k_internet, endpoint("198.51.100.2:2"));
  world.network.set_default_link(k_internet, {.delay = 5ms, .jitter = 10ms, .loss = 0.2, .duplication = 0.1});
  for (int i = 0; i < 1000; ++i) {
    world.events.after(i * 100us, [&a, &b, i] { a.send(b.local(), std::to_string(10'000 + i)); });
  }
  world.settle();
  const DatagramNetwork::Status status = world.network.snapshot();
  EXPECT_NEAR(static_cast<double>(status.lost), 200, 50);
  EXPECT_NEAR(static_cast<double>(status.doubled), 80, 30);
  EXPECT_EQ(b.heard.size(), status.delivered);
  EXPECT_EQ(status.under_way, 0u);
  EXPECT_FALSE(std::ranges::is_sorted(b.heard, {}, &Heard::text));
  world.expect_all_accounted_for();
  // A link that exists changes with the default, unless it has a spec of its own.
  b.heard.clear();
  world.network.set_default_link(k_internet, {.delay = 7ms});
  a.send(b.local(), "on time");
  world.settle(7ms);
  EXPECT_TRUE(b.take());
  world.network.set_link_one_way(k_internet, a.local().address, b.local().address, {.loss = 1});
  world.network.set_default_link(k_internet, {});
  a.send(b.local(), "never");
  world.settle();
  EXPECT_FALSE(b.take());
}

// --- private networks
// -------------------------------------------------------------------------------------------------

struct Home : World {
  explicit Home(const NatSpec& spec = {}) : realm(network.add_realm(behind_nat(spec, "203.0.113.1"))) {}
  RealmId realm;
  Peer host{*this, realm, endpoint("192.168.1.2:5000")};
  Peer neighbour{*this, realm, endpoint("192.168.1.3:5000")};
  Peer server{*this, k_internet, endpoint("198.51.100.1:80")};
};

TEST(PrivateNetwork, IsSeenThroughItsNat) {
  Home home;
  home.host.send(home.server.local(), "out");
  home.settle();
  const Endpoint mapped = endpoint("203.0.113.1:5000");
  EXPECT_EQ(home.server.take(), (Heard{mapped, "out"}));
  home.server.send(mapped, "in");
  home.settle();
  EXPECT_EQ(home.host.take(), (Heard{home.server.local(), "in"}));
  home.server.send(endpoint("203.0.113.1:5001"), "no mapping");
  home.server.send(home.host.local(), "no private address is on the Internet");
  home.settle();
  EXPECT_TRUE(home.host.heard.empty());
  EXPECT_EQ(home.network.snapshot().refused, 1u);
  EXPECT_EQ(home.network.snapshot().unroutable, 1u);
  home.expect_all_accounted_for();
}

TEST(PrivateNetwork, NeighboursTalkOverTheirLanWithoutTheNat) {
  Home home;
  home.host.send(home.neighbour.local(), "hi");
  home.settle();
  EXPECT_EQ(home.neighbour.take(), (Heard{home.host.local(), "hi"}));
  EXPECT_EQ(home.network.nat(home.realm)->snapshot().mappings, 0u);
}

TEST(PrivateNetwork, IsolatedClientsReachTheInternetOnly) {
  World world;
  RealmSpec spec = behind_nat({.hairpinning = Hairpinning::external_source}, "203.0.113.1");
  spec.isolates_clients = true;
  const RealmId realm = world.network.add_realm(spec);
  Peer host(world, realm, endpoint("192.168.1.2:1"));
  Peer neighbour(world, realm, endpoint("192.168.1.3:2"));
  Peer server(world, k_internet, endpoint("198.51.100.1:80"));
  host.send(neighbour.local(), "isolated");
  neighbour.send(server.local(), "out");
  world.settle();
  EXPECT_TRUE(neighbour.heard.empty());
  const Heard out = server.take().value();
  EXPECT_EQ(out.text, "out");
  // What the router itself sends on still gets through.
  host.send(out.from, "hairpin");
  world.settle();
  EXPECT_TRUE(neighbour.take());
}

TEST(PrivateNetwork, HairpinsAsItsSpecSays) {
  for (const Hairpinning kind : {Hairpinning::none, Hairpinning::internal_source, Hairpinning::external_source}) {
    SCOPED_TRACE(static_cast<int>(kind));
    Home home({.hairpinning = kind});
    home.neighbour.send(home.server.local(), "what am I?");
    home.settle();
    const Endpoint mapped = home.server.take().value().from;
    home.host.send(mapped, "hairpin");
    home.neighbour.on_datagram = [&](const Received& in) { home.neighbour.send(in.remote, "answer"); };
    home.settle();
    const std::optional<Heard> at_neighbour = home.neighbour.take();
    const std::optional<Heard> answer = home.host.take();
    if (kind == Hairpinning::none) {
      EXPECT_FALSE(at_neighbour);
    } else if (kind == Hairpinning::internal_source) {
      // The answer comes from somebody to whom the host has not sent.
      EXPECT_EQ(at_neighbour, (Heard{home.host.local(), "hairpin"}));
      EXPECT_EQ(answer, (Heard{home.neighbour.local(), "answer"}));
    } else {
      EXPECT_EQ(at_neighbour, (Heard{endpoint("203.0.113.1:5001"), "hairpin"}));
      EXPECT_EQ(answer, (Heard{mapped, "answer"}));
    }
    home.expect_all_accounted_for();
  }
}

TEST(PrivateNetwork, TheSameAddressesServeInTwoOfThem) {
  World world;
  const RealmId left = world.network.add_realm(behind_nat(nat_preset("full_cone"), "203.0.113.1"));
  const RealmId right = world.network.add_realm(behind_nat(nat_preset("full_cone"), "203.0.113.2"));
  Peer a(world, left, endpoint("192.168.1.2:5000"));
  Peer b(world, right, endpoint("192.168.1.2:5000"));
  b.send(endpoint("198.51.100.1:1"), "opens its mapping");
  world.settle();
  a.send(endpoint("203.0.113.2:5000"), "to the other");
  world.settle();
  EXPECT_EQ(b.take(), (Heard{endpoint("203.0.113.1:5000"), "to the other"}));
  EXPECT_TRUE(a.heard.empty());
}

TEST(PrivateNetwork, ARebootOfTheNatEndsItsMappings) {
  Home home({.ports = PortAssignment::random});
  home.host.send(home.server.local(), "before");
  home.settle();
  const Endpoint before = home.server.take().value().from;
  home.network.reboot_router(home.realm);
  home.server.send(before, "lost");
  home.settle();
  EXPECT_TRUE(home.host.heard.empty());
  home.host.send(home.server.local(), "after");
  home.settle();
  EXPECT_NE(home.server.take().value().from, before);
}

TEST(PrivateNetwork, BlockedUdpStaysOnTheLan) {
  Home home;
  home.network.block_udp(home.realm, true);
  home.host.send(home.server.local(), "blocked");
  home.server.send(endpoint("203.0.113.1:5000"), "blocked");
  home.host.send(home.neighbour.local(), "local");
  home.settle();
  EXPECT_TRUE(home.server.heard.empty());
  EXPECT_TRUE(home.neighbour.take());
  EXPECT_EQ(home.network.snapshot().refused, 2u);
  home.network.block_udp(home.realm, false);
  home.host.send(home.server.local(), "open");
  home.settle();
  EXPECT_TRUE(home.server.take());
}

TEST(PrivateNetwork, EachHopHasItsLink) {
  Home home;
  home.network.set_link(home.realm, home.host.local().address, k_router_v4, {.delay = 3ms});
  home.network.set_link(k_internet, address("203.0.113.1"), home.server.local().address, {.delay = 40ms});
  home.host.send(home.server.local(), "out");
  home.settle(43ms - 1ns);
  EXPECT_FALSE(home.server.take());
  home.settle(1ns);
  EXPECT_TRUE(home.server.take());
  // A cut of the hop from the router leaves the LAN as it was.
  home.network.cut(k_internet, address("203.0.113.1"), home.server.local().address);
  home.host.send(home.server.local(), "cut");
  home.host.send(home.neighbour.local(), "local");
  home.settle();
  EXPECT_FALSE(home.server.take());
  EXPECT_TRUE(home.neighbour.take());
}

// --- a home behind a carrier
// ------------------------------------------------------------------------------------------

struct Carrier : World {
  RealmId add_home(const char* outside) {
    RealmSpec spec = behind_nat(nat_preset("port_restricted"), outside);
    spec.parent = carrier;
    return network.add_realm(spec);
  }
  RealmId carrier = network.add_realm(behind_nat(nat_preset("cgnat"), "203.0.113.1"));
  RealmId left_home = add_home("100.64.0.2");
  RealmId right_home = add_home("100.64.0.3");
  Peer left{*this, left_home, endpoint("192.168.1.2:5000")};
  Peer right{*this, right_home, endpoint("192.168.1.2:5000")};
  Peer server{*this, k_internet, endpoint("198.51.100.1:80")};
};

TEST(DoubleNat, BothTranslate) {
  Carrier world;
  world.left.send(world.server.local(), "out");
  world.settle();
  const Heard out = world.server.take().value();
  EXPECT_EQ(out.from.address, address("203.0.113.1"));
  world.server.send(out.from, "in");
  world.settle();
  EXPECT_EQ(world.left.take(), (Heard{world.server.local(), "in"}));
  EXPECT_EQ(world.network.nat(world.left_home)->snapshot().mappings, 1u);
  EXPECT_EQ(world.network.nat(world.carrier)->snapshot().mappings, 1u);
  EXPECT_EQ(world.network.nat(world.right_home)->snapshot().mappings, 0u);
}

TEST(DoubleNat, TwoHomesOfOneCarrierMeetWhereItHairpins) {
  Carrier world;
  world.left.send(world.server.local(), "who");
  world.settle();
  const Endpoint left = world.server.take().value().from;
  world.right.send(world.server.local(), "who");
  world.settle();
  const Endpoint right = world.server.take().value().from;
  EXPECT_NE(left, right);
  // The first one opens the sender's home router only.
  world.left.send(right, "punch");
  world.settle();
  EXPECT_TRUE(world.right.heard.empty());
  world.right.send(left, "punch");
  world.settle();
  EXPECT_EQ(world.left.take(), (Heard{right, "punch"}));
  world.left.send(right, "answer");
  world.settle();
  EXPECT_EQ(world.right.take(), (Heard{left, "answer"}));
  EXPECT_EQ(world.network.nat(world.carrier)->snapshot().hairpinned, 3u);
  world.expect_all_accounted_for();
}

// --- without translation
// ----------------------------------------------------------------------------------------------

TEST(FirewalledNetwork, WhoIsInsideBeginsAtItsOwnAddress) {
  World world;
  const RealmId office = world.network.add_realm({.firewall = FirewallSpec{}});
  Peer inside(world, office, endpoint("198.51.100.10:1"));
  Peer outside(world, k_internet, endpoint("198.51.100.1:2"));
  outside.send(inside.local(), "unasked");
  world.settle();
  EXPECT_TRUE(inside.heard.empty());
  inside.send(outside.local(), "question");
  world.settle();
  EXPECT_EQ(outside.take(), (Heard{inside.local(), "question"}));
  outside.send(inside.local(), "answer");
  world.settle();
  EXPECT_EQ(inside.take(), (Heard{outside.local(), "answer"}));
  world.network.reboot_router(office);
  EXPECT_EQ(world.network.firewall(office)->inside_endpoints(), 0u);
  outside.send(inside.local(), "late");
  world.settle();
  EXPECT_TRUE(inside.heard.empty());
  world.expect_all_accounted_for();
}

TEST(FirewalledNetwork, Ipv6PassesTheNatAndMeetsTheFirewall) {
  for (const bool has_firewall : {false, true}) {
    World world;
    RealmSpec spec = behind_nat({}, "203.0.113.1");
    if (has_firewall) spec.firewall.emplace();
    const RealmId home = world.network.add_realm(spec);
    Peer v6(world, home, endpoint("[2001:db8:1::2]:1"));
    Peer v4(world, home, endpoint("192.168.1.2:1"));
    Peer server_v6(world, k_internet, endpoint("[2001:db8::1]:2"));
    Peer server_v4(world, k_internet, endpoint("198.51.100.1:2"));
    server_v6.send(v6.local(), "unasked");
    world.settle();
    EXPECT_EQ(v6.take().has_value(), !has_firewall);
    v6.send(server_v6.local(), "out");
    v4.send(server_v4.local(), "out");
    world.settle();
    EXPECT_EQ(server_v6.take(), (Heard{v6.local(), "out"}));
    EXPECT_EQ(server_v4.take(), (Heard{endpoint("203.0.113.1:1024"), "out"}));
    server_v6.send(v6.local(), "answer");
    world.settle();
    EXPECT_TRUE(v6.take());
  }
}

TEST(FirewalledNetwork, ARouterWithNeitherLetsEverythingPassAndCanBeNested) {
  World world;
  const RealmId campus = world.network.add_realm({});
  const RealmId room = world.network.add_realm({.parent = campus});
  Peer inside(world, room, endpoint("198.51.100.10:1"));
  Peer outside(world, k_internet, endpoint("198.51.100.1:2"));
  outside.send(inside.local(), "hello");
  world.settle();
  EXPECT_EQ(inside.take(), (Heard{outside.local(), "hello"}));
  // What nobody has does not go round and round between the routers.
  inside.send(endpoint("198.51.100.11:1"), "nobody");
  world.settle();
  EXPECT_EQ(world.network.snapshot().unroutable, 1u);
}

TEST(DatagramNetwork, MistakesInTheTopologyAreErrorsOfTheTest) {
  World world;
  const RealmId home = world.network.add_realm(behind_nat({}, "203.0.113.1"));
  const RealmId office = world.network.add_realm({.firewall = FirewallSpec{}});
  world.network.attach(office, address("198.51.100.10"));
  EXPECT_THROW(world.network.attach(k_internet, address("203.0.113.1")), std::logic_error);
  EXPECT_THROW(world.network.attach(k_internet, address("198.51.100.10")), std::logic_error);
  EXPECT_THROW(world.network.attach(office, address("203.0.113.1")), std::logic_error);
  EXPECT_THROW(world.network.attach(home, IpAddress()), std::logic_error);
  EXPECT_NO_THROW(world.network.attach(home, address("198.51.100.10"))) << "nobody sees it from outside";
  EXPECT_THROW(std::ignore = world.network.add_realm({.nat = NatSpec{}}), std::logic_error);
  EXPECT_THROW(std::ignore = world.network.add_realm({.outside = {address("203.0.113.9")}}), std::logic_error);
  EXPECT_THROW(std::ignore = world.network.add_realm(behind_nat({}, "198.51.100.10")), std::logic_error);
  EXPECT_THROW(std::ignore = world.network.add_realm(behind_nat({}, "2001:db8::9")), std::logic_error);
  Peer peer(world);
  EXPECT_THROW(std::ignore = world.network.open(peer, k_internet, endpoint("198.51.100.77:1")), std::logic_error);
}

}  // namespace
}  // namespace dig::sim
