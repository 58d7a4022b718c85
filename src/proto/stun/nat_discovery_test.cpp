// SPDX-License-Identifier: Apache-2.0
// NAT discovery against every NAT of RFC 4787 and servers of every kind, in virtual time.
#include "proto/stun/nat_discovery.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "base/testing/machine_contract.hpp"
#include "wire/stun_integrity.hpp"

namespace dig::stun {
namespace {

constexpr Instant k_start{1000s};
constexpr Duration k_trip = 20ms;
const Endpoint k_local{IpAddress::v4({192, 168, 1, 5}), 4001};
const IpAddress k_outside = IpAddress::v4({30, 0, 0, 7});
const Endpoint k_dual{IpAddress::v4({20, 0, 0, 1}), 3478};
const Endpoint k_dual_other{IpAddress::v4({20, 0, 0, 2}), 3479};
const Endpoint k_plain{IpAddress::v4({21, 0, 0, 1}), 3478};
const Endpoint k_plain_second{IpAddress::v4({22, 0, 0, 1}), 3478};

enum class By : std::uint8_t { endpoint, address, port };  // how a NAT maps or filters

// One NAT, one dual server and two ordinary ones, with time between them.
struct World {
  struct Nat {
    bool exists = true;
    By mapping = By::endpoint;
    By filtering = By::endpoint;
    bool hairpins = false;
  };
  struct Packet {
    Instant at;
    Endpoint source;  // as the client sees it
    Bytes bytes;
  };

  explicit World(Nat behaviour) : nat(behaviour) {}

  void run(NatDiscoveryConfig config) {
    NatDiscovery machine(now, config, rng);
    for (int i = 0; i < 1000 && !machine.is_done(); ++i) {
      std::array<std::byte, 100> out;
      while (const auto transmit = machine.poll_transmit(now, out)) {
        send(to_bytes(BytesView(out).first(transmit->size)), transmit->remote);
      }
      std::optional<Instant> next = machine.next_timeout();
      if (!in_flight.empty()) next = earliest(next, in_flight.front().at);
      ASSERT_TRUE(next);
      now = std::max(now, *next);
      while (!in_flight.empty() && in_flight.front().at <= now) {
        const Packet packet = in_flight.front();
        in_flight.pop_front();
        machine.handle_datagram({.now = now, .local = k_local, .remote = packet.source, .bytes = packet.bytes});
      }
      machine.handle_timeout(now);
    }
    const auto event = machine.poll_event();
    ASSERT_TRUE(event);
    found = *event;
    EXPECT_FALSE(machine.poll_event());
    EXPECT_EQ(machine.next_timeout(), std::nullopt);
  }

  // From the socket to the outside.
  void send(const Bytes& bytes, const Endpoint& to) {
    targets.insert(to);
    const Endpoint outer = map(to);
    if (to.address == k_outside) {
      if (nat.hairpins && passes(to, outer)) deliver(bytes, outer);
      return;
    }
    serve(bytes, to, outer);
  }
  Endpoint map(const Endpoint& to) {
    if (!nat.exists) return k_local;
    const Endpoint key = nat.mapping == By::endpoint  ? Endpoint{}
                         : nat.mapping == By::address ? Endpoint{to.address, 0}
                                                      : to;
    const auto [place, is_new] = mappings.try_emplace(key, Endpoint{k_outside, next_port});
    if (is_new) ++next_port;
    allowed.insert({place->second, to});
    return place->second;
  }
  bool passes(const Endpoint& outer, const Endpoint& source) const {
    if (nat.filtering == By::endpoint) return true;
    for (const auto& [mapping, target] : allowed) {
      const bool is_same = nat.filtering == By::address ? target.address == source.address : target == source;
      if (mapping == outer && is_same) return true;
    }
    return false;
  }
  void deliver(const Bytes& bytes, const Endpoint& source) { in_flight.push_back({now + k_trip, source, bytes}); }

  void serve(const Bytes& bytes, const Endpoint& at, const Endpoint& outer) {
    const bool is_dual = at.address == k_dual.address || at.address == k_dual_other.address;
    if (silent.contains(at) || (!is_dual && at != k_plain && at != k_plain_second)) return;
    const auto request = Message::parse(bytes);
    ASSERT_TRUE(request && has_valid_fingerprint(*request));
    const auto change = request->find(Attribute::change_request);
    const std::uint32_t flags = change ? *decode_u32(*change) : 0;
    Endpoint source = at;
    if (!ignores_change) {
      if ((flags & 4U) != 0) source.address = at.address == k_dual.address ? k_dual_other.address : k_dual.address;
      if ((flags & 2U) != 0) source.port = at.port == k_dual.port ? k_dual_other.port : k_dual.port;
    }
    Bytes out(400);
    const bool is_refused = change && refuses_change;
    Writer writer(out, {.method = Method::binding,
                        .message_class = is_refused ? Class::error : Class::success,
                        .transaction = request->transaction()});
    if (is_refused) {
      source = at;
      add_error(writer, 420);
    } else {
      add_xor_address(writer, Attribute::xor_mapped_address, lie.value_or(outer), request->transaction());
      if (is_dual && other) {
        add_address(writer, Attribute::response_origin, origin.value_or(source));
        add_address(writer, Attribute::other_address, *other);
      }
    }
    out.resize(*writer.finish());
    if (passes(outer, source)) deliver(out, source);
  }

  Nat nat;
  Instant now = k_start;
  SeededRng rng{11};
  std::map<Endpoint, Endpoint> mappings;
  std::set<std::pair<Endpoint, Endpoint>> allowed;  // where each mapping has sent to
  std::uint16_t next_port = 50'000;
  std::deque<Packet> in_flight;
  std::set<Endpoint> targets;
  std::set<Endpoint> silent;
  bool ignores_change = false;
  bool refuses_change = false;
  std::optional<Endpoint> other = k_dual_other;
  std::optional<Endpoint> origin;
  std::optional<Endpoint> lie;
  NatBehaviour found;
};

constexpr NatMapping mapping_of(By by) {
  return by == By::endpoint  ? NatMapping::endpoint_independent
         : by == By::address ? NatMapping::address_dependent
                             : NatMapping::address_and_port_dependent;
}
constexpr NatFiltering filtering_of(By by) {
  return by == By::endpoint  ? NatFiltering::endpoint_independent
         : by == By::address ? NatFiltering::address_dependent
                             : NatFiltering::address_and_port_dependent;
}

TEST(NatDiscovery, EveryNatIsRecognisedWithOneDualServer) {
  for (const By mapping : {By::endpoint, By::address, By::port}) {
    for (const By filtering : {By::endpoint, By::address, By::port}) {
      for (const bool hairpins : {false, true}) {
        World world({.mapping = mapping, .filtering = filtering, .hairpins = hairpins});
        world.run({.servers = {k_dual}, .local = k_local});
        EXPECT_EQ(world.found.mapping, mapping_of(mapping));
        EXPECT_EQ(world.found.filtering, filtering_of(filtering));
        // A NAT that maps by destination gives the hairpinned packet another source, which may not be let in.
        const bool comes_back = hairpins && (mapping == By::endpoint || filtering == By::endpoint);
        if (comes_back) {
          EXPECT_EQ(world.found.hairpin, NatHairpin::supported);
        }
        if (!hairpins) {
          EXPECT_EQ(world.found.hairpin, NatHairpin::unsupported);
        }
        ASSERT_EQ(world.found.observations.size(), 1u);
        EXPECT_EQ(world.found.observations[0].rtt, k_trip);
        EXPECT_EQ(world.found.confirmed, std::nullopt);  // one server is no proof
        EXPECT_LT(world.now - k_start, 1500ms);
      }
    }
  }
}

TEST(NatDiscovery, WithoutANatTheFirewallIsStillTested) {
  for (const By filtering : {By::endpoint, By::address, By::port}) {
    World world({.exists = false, .filtering = filtering});
    // Outside, the socket has a public address; the world has only one for it.
    for (const auto& target : {k_dual}) world.allowed.insert({k_local, target});
    world.run({.servers = {k_dual}, .local = k_local, .address_policy = AddressPolicy::any_unicast});
    EXPECT_EQ(world.found.mapping, NatMapping::none);
    EXPECT_EQ(world.found.filtering, filtering_of(filtering));
    EXPECT_EQ(world.found.hairpin, NatHairpin::unknown);
  }
}

TEST(NatDiscovery, OrdinaryServersTellTheMapping) {
  const std::vector<std::pair<By, NatMapping>> cases = {{By::endpoint, NatMapping::endpoint_independent},
                                                        {By::address, NatMapping::dependent},
                                                        {By::port, NatMapping::dependent}};
  for (const auto& [by, expected] : cases) {
    World world({.mapping = by});
    world.run({.servers = {k_plain, k_plain_second}});
    EXPECT_EQ(world.found.mapping, expected);
    EXPECT_EQ(world.found.filtering, NatFiltering::unknown);
    EXPECT_EQ(world.found.observations.size(), 2u);
    EXPECT_EQ(world.found.confirmed.has_value(), by == By::endpoint);
  }
}

TEST(NatDiscovery, OneOrdinaryServerTellsNothingAboutTheMapping) {
  World world({});
  world.run({.servers = {k_plain, k_plain}});
  EXPECT_EQ(world.found.mapping, NatMapping::unknown);
  EXPECT_EQ(world.found.observations.size(), 1u);
  World same({.exists = false});
  same.run({.servers = {k_plain}, .local = k_local});
  EXPECT_EQ(same.found.mapping, NatMapping::none);
}

TEST(NatDiscovery, TwoPortsOfOneServerTellWhetherPortsMatter) {
  const Endpoint second_port{k_dual.address, k_dual_other.port};
  for (const By by : {By::address, By::port}) {
    World world({.mapping = by});
    world.other.reset();  // ordinary servers
    world.run({.servers = {k_dual, second_port, k_plain}});
    EXPECT_EQ(world.found.mapping, mapping_of(by));
  }
}

TEST(NatDiscovery, SilentServersAreWaitedForAndLeftOut) {
  World world({});
  world.silent = {k_plain};
  world.run({.servers = {k_plain, k_dual, k_plain_second}});
  EXPECT_EQ(world.found.mapping, NatMapping::endpoint_independent);
  EXPECT_EQ(world.found.observations.size(), 2u);
  EXPECT_TRUE(world.found.confirmed);

  World nothing({});
  nothing.silent = {k_plain, k_dual};
  nothing.run({.servers = {k_plain, k_dual}});
  EXPECT_EQ(nothing.found.mapping, NatMapping::unknown);
  EXPECT_EQ(nothing.found.filtering, NatFiltering::unknown);
  EXPECT_EQ(nothing.found.hairpin, NatHairpin::unknown);
  EXPECT_EQ(nothing.now - k_start, Duration(5500ms));

  World none({});
  none.run({.servers = {}});
  EXPECT_EQ(none.found.mapping, NatMapping::unknown);
}

TEST(NatDiscovery, AServerThatDoesNotChangeItsAddressSaysNothingAboutFiltering) {
  World ignoring({.filtering = By::port});
  ignoring.ignores_change = true;
  ignoring.run({.servers = {k_dual}});
  EXPECT_EQ(ignoring.found.filtering, NatFiltering::unknown);
  EXPECT_EQ(ignoring.found.mapping, NatMapping::endpoint_independent);
  World refusing({.filtering = By::port});
  refusing.refuses_change = true;
  refusing.run({.servers = {k_dual}});
  EXPECT_EQ(refusing.found.filtering, NatFiltering::unknown);
}

TEST(NatDiscovery, OtherAddressesThatCannotBeAreNotUsed) {
  for (const char* text : {"127.0.0.1:3479", "10.0.0.1:3479", "20.0.0.1:3479", "20.0.0.2:3478", "20.0.0.2:0",
                           "[2a00::1]:3479", "224.0.0.1:3479"}) {
    World world({});
    world.other = *Endpoint::parse(text);
    world.run({.servers = {k_dual}});
    EXPECT_EQ(world.found.filtering, NatFiltering::unknown) << text;
    EXPECT_EQ(world.found.mapping, NatMapping::unknown) << text;
    EXPECT_EQ(world.targets.size(), 2u) << text;  // the server, and ourselves
  }
  World behind_nat({});
  behind_nat.origin = Endpoint{IpAddress::v4({10, 0, 0, 9}), 3478};
  behind_nat.run({.servers = {k_dual}});
  EXPECT_EQ(behind_nat.found.filtering, NatFiltering::unknown);
}

TEST(NatDiscovery, NothingIsSentToMappedAddressesThatAreNotGlobal) {
  World world({});
  world.lie = Endpoint{IpAddress::v4({192, 168, 1, 1}), 80};
  world.run({.servers = {k_plain, k_plain_second}});
  EXPECT_EQ(world.targets, (std::set<Endpoint>{k_plain, k_plain_second}));
  EXPECT_EQ(world.found.hairpin, NatHairpin::unknown);
  EXPECT_EQ(world.found.confirmed, std::nullopt);
}

TEST(NatDiscovery, FilteringIsUnknownWhereTheOtherAddressWasSentToBefore) {
  World world({.filtering = By::port});
  world.run({.servers = {k_dual, {k_dual_other.address, 3478}}});
  EXPECT_EQ(world.found.filtering, NatFiltering::unknown);
  EXPECT_EQ(world.found.mapping, NatMapping::endpoint_independent);
}

TEST(NatDiscovery, ServersAreBounded) {
  SeededRng rng(1);
  std::vector<Endpoint> servers;
  for (std::uint8_t i = 0; i < 50; ++i) servers.push_back({IpAddress::v4({20, 1, 0, i}), 3478});
  servers.push_back({*IpAddress::parse("2a00::1"), 3478});
  NatDiscovery machine(k_start, {.servers = servers}, rng);
  std::array<std::byte, 100> out;
  std::size_t sent = 0;
  while (machine.poll_transmit(k_start, out)) ++sent;
  EXPECT_EQ(sent, NatDiscovery::k_max_servers);
}

// The contract suite sends from one address: the server is there.
class ContractDiscovery : public NatDiscovery {
 public:
  static constexpr Endpoint k_server{IpAddress::v4({192, 0, 2, 1}), 4001};
  explicit ContractDiscovery(Instant now)
      : NatDiscovery(now, {.servers = {k_server}, .address_policy = AddressPolicy::any_unicast}, shared_rng()) {}

 private:
  static SeededRng& shared_rng() {
    static SeededRng rng(0);
    rng = SeededRng(5);  // the same transactions each time, so that the inputs fit
    return rng;
  }
};

struct DiscoveryTraits {
  using Subject = ContractDiscovery;
  static std::unique_ptr<ContractDiscovery> make(Instant now) { return std::make_unique<ContractDiscovery>(now); }
  static std::vector<Bytes> inputs() {
    std::vector<Bytes> messages;
    ContractDiscovery machine(k_start);
    std::array<std::byte, 100> out;
    while (const auto transmit = machine.poll_transmit(k_start, out)) {
      const auto request = Message::parse(BytesView(out).first(transmit->size));
      messages.push_back(to_bytes(request->bytes()));  // as a hairpin would bring it
      Bytes bytes(200);
      Writer writer(
          bytes, {.method = Method::binding, .message_class = Class::success, .transaction = request->transaction()});
      add_xor_address(writer, Attribute::xor_mapped_address, {k_outside, 4000}, request->transaction());
      add_address(writer, Attribute::other_address, k_dual_other);
      bytes.resize(*writer.finish());
      messages.push_back(bytes);
      machine.handle_datagram({.now = k_start, .remote = ContractDiscovery::k_server, .bytes = bytes});
    }
    return messages;
  }
};

}  // namespace
}  // namespace dig::stun

namespace dig::testing {

INSTANTIATE_TYPED_TEST_SUITE_P(StunNatDiscovery, MachineContract, dig::stun::DiscoveryTraits);

}  // namespace dig::testing
