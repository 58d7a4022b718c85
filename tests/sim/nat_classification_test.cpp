// SPDX-License-Identifier: Apache-2.0
// A STUN client finds out what kind of NAT it is behind (RFC 5780), with the STUN server of this project on two
// addresses; what it says is what the NAT was made to be.
#include <gtest/gtest.h>

#include <deque>

#include "proto/stun/nat_discovery.hpp"
#include "proto/turn_server/server.hpp"
#include "sim/machine_host.hpp"

namespace dig::sim::testing {
namespace {

using stun::NatFiltering;
using stun::NatHairpin;
using stun::NatMapping;

const Endpoint k_primary = Endpoint::parse("198.51.100.1:3478").value();
const Endpoint k_alternate = Endpoint::parse("198.51.100.2:3479").value();

// The server as a datagram machine: keeps what it sends until it is asked for.
class StunServer final : private turn::Sink {
 public:
  using Event = turn::ServerEvent;

  explicit StunServer(Rng& rng) : server_(config(), nobody_, quotas_, rng) {}

  void handle_datagram(const Received& in) {
    server_.route(
        turn::Server::FromClient{in.now, {}, {StunTransport::udp, in.local, in.remote, 0}, in.bytes, in.segment_size},
        *this);
  }
  void handle_timeout(Instant now) { server_.handle_timeout(now); }
  std::optional<Transmit> poll_transmit(Instant /*now*/, MutableBytes out) {
    if (answers_.empty()) return std::nullopt;
    const Answer answer = std::move(answers_.front());
    answers_.pop_front();
    std::ranges::copy(answer.bytes, out.begin());
    return Transmit{.local = answer.local, .remote = answer.remote, .size = answer.bytes.size()};
  }
  std::optional<Event> poll_event() { return server_.poll_event(); }
  std::optional<Instant> next_timeout() const { return server_.next_timeout(); }

 private:
  struct Answer {
    Endpoint local;
    Endpoint remote;
    Bytes bytes;
  };
  static turn::ServerConfig config() {
    turn::ServerConfig config;
    config.discovery = {k_primary, k_alternate};
    return config;
  }
  void to_client(const turn::ClientPath& client, BytesView head, BytesView payload, std::size_t /*padding*/) override {
    Bytes bytes = to_bytes(head);
    append(bytes, payload);
    answers_.push_back({client.local, client.remote, std::move(bytes)});
  }
  void to_peer(turn::RelayId /*relay*/, const Endpoint& /*peer*/, BytesView /*payload*/,
               bool /*dont_fragment*/) override {}

  turn::StaticUsers nobody_{"nowhere"};
  turn::Quotas quotas_{{}};
  turn::Server server_;
  std::deque<Answer> answers_;
};

class Classification {
 public:
  explicit Classification(std::uint64_t seed) : world(seed), rng(seed), server(rng) {
    world.datagrams().set_default_link(k_internet, {.delay = 20ms, .jitter = 5ms});
    std::vector<Endpoint> sockets;
    for (const IpAddress& address : {k_primary.address, k_alternate.address}) {
      world.datagrams().attach(k_internet, address);
      for (const std::uint16_t port : {k_primary.port, k_alternate.port}) sockets.push_back({address, port});
    }
    at_server.emplace(world, MachineHostSpec{.sockets = std::move(sockets)}, server);
  }
  // What a client at the address says, in the end.
  stun::NatBehaviour ask(RealmId realm, std::string_view address) {
    const Endpoint local{IpAddress::parse(address).value(), 4001};
    world.datagrams().attach(realm, local.address);
    stun::NatDiscovery client(
        world.now() + 1h, {.servers = {k_primary}, .local = local, .address_policy = stun::AddressPolicy::any_unicast},
        rng);
    std::optional<stun::NatBehaviour> found;
    MachineHost at_client(world, {.realm = realm, .sockets = {local}, .clock_origin = 1h}, client,
                          [&](Instant, stun::NatBehaviour behaviour) { found = std::move(behaviour); });
    EXPECT_TRUE(world.run_until([&] { return found.has_value(); }, 5min));
    return found.value_or(stun::NatBehaviour{});
  }
  RealmId behind(const NatSpec& nat) {
    return world.datagrams().add_realm({.nat = nat, .outside = {IpAddress::v4({203, 0, 113, 7})}});
  }

  World world;
  SeededRng rng;
  StunServer server;
  std::optional<MachineHost<StunServer>> at_server;
};

NatMapping mapping_of(Dependence dependence) {
  return dependence == Dependence::endpoint_independent ? NatMapping::endpoint_independent
         : dependence == Dependence::address_dependent  ? NatMapping::address_dependent
                                                        : NatMapping::address_and_port_dependent;
}
NatFiltering filtering_of(Dependence dependence) {
  return dependence == Dependence::endpoint_independent ? NatFiltering::endpoint_independent
         : dependence == Dependence::address_dependent  ? NatFiltering::address_dependent
                                                        : NatFiltering::address_and_port_dependent;
}

constexpr std::array k_dependences = {Dependence::endpoint_independent, Dependence::address_dependent,
                                      Dependence::address_and_port_dependent};

TEST(NatClassification, EveryMappingAndFilteringIsFoundOut) {
  for (const Dependence mapping : k_dependences) {
    for (const Dependence filtering : k_dependences) {
      for (const PortAssignment ports :
           {PortAssignment::preserving, PortAssignment::sequential, PortAssignment::random}) {
        Classification lab(7);
        const auto found =
            lab.ask(lab.behind({.mapping = mapping, .filtering = filtering, .ports = ports}), "192.168.1.2");
        EXPECT_EQ(found.mapping, mapping_of(mapping)) << static_cast<int>(mapping) << static_cast<int>(filtering);
        EXPECT_EQ(found.filtering, filtering_of(filtering)) << static_cast<int>(mapping) << static_cast<int>(filtering);
      }
    }
  }
}

TEST(NatClassification, EveryPresetIsWhatItsNameSays) {
  for (const NatPreset& preset : nat_presets()) {
    Classification lab(11);
    const auto found = lab.ask(lab.behind(preset.spec), "192.168.1.2");
    EXPECT_EQ(found.mapping, mapping_of(preset.spec.mapping)) << preset.name;
    EXPECT_EQ(found.filtering, filtering_of(preset.spec.filtering)) << preset.name;
  }
}

TEST(NatClassification, HairpinsAreFoundOut) {
  for (const Hairpinning hairpinning : {Hairpinning::none, Hairpinning::external_source}) {
    Classification lab(13);
    const auto found = lab.ask(lab.behind({.hairpinning = hairpinning}), "192.168.1.2");
    EXPECT_EQ(found.hairpin, hairpinning == Hairpinning::none ? NatHairpin::unsupported : NatHairpin::supported);
  }
}

TEST(NatClassification, WithoutANatThereIsNoMapping) {
  Classification lab(17);
  EXPECT_EQ(lab.ask(k_internet, "203.0.113.9").mapping, NatMapping::none);
}

TEST(NatClassification, WhereUdpIsBlockedNothingIsGuessed) {
  Classification lab(19);
  const RealmId realm = lab.behind({});
  lab.world.datagrams().block_udp(realm, true);
  const auto found = lab.ask(realm, "192.168.1.2");
  EXPECT_EQ(found.mapping, NatMapping::unknown);
  EXPECT_EQ(found.filtering, NatFiltering::unknown);
}

}  // namespace
}  // namespace dig::sim::testing
