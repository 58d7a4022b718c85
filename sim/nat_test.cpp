// SPDX-License-Identifier: Apache-2.0
// What RFC 4787 says a NAT does, cell by cell.
#include "sim/nat.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <tuple>

namespace dig::sim {
namespace {

constexpr IpAddress k_outside = IpAddress::v4({203, 0, 113, 1});
constexpr IpAddress k_other_outside = IpAddress::v4({203, 0, 113, 2});
constexpr Endpoint k_inside{IpAddress::v4({192, 168, 1, 2}), 5000};
constexpr Endpoint k_neighbour{IpAddress::v4({192, 168, 1, 3}), 5000};
constexpr IpAddress k_remote_1 = IpAddress::v4({198, 51, 100, 1});
constexpr IpAddress k_remote_2 = IpAddress::v4({198, 51, 100, 2});
constexpr Endpoint k_remote{k_remote_1, 80};
constexpr Instant k_start{1h};

struct TestNat {
  explicit TestNat(const NatSpec& spec, std::vector<IpAddress> outside = {k_outside})
      : nat(spec, std::move(outside), rng) {}
  // With the clock where the test put it.
  std::optional<Endpoint> outbound(const Endpoint& inside, const Endpoint& remote) {
    return nat.outbound(now, inside, remote);
  }
  std::optional<Endpoint> inbound(const Endpoint& remote, const std::optional<Endpoint>& mapped) {
    return nat.inbound(now, remote, mapped.value());
  }
  std::uint16_t port(const Endpoint& inside, const Endpoint& remote) { return outbound(inside, remote).value().port; }

  SeededRng rng{1};
  Nat nat;
  Instant now = k_start;
};

Endpoint inside_at(std::uint8_t host, std::uint16_t port) { return {IpAddress::v4({192, 168, 1, host}), port}; }

// --- mapping and filtering: two remote addresses with two ports each
// --------------------------------------------------

constexpr std::array<Endpoint, 4> k_remotes{{{k_remote_1, 80}, {k_remote_1, 81}, {k_remote_2, 80}, {k_remote_2, 81}}};

// Written out by hand from RFC 4787 §4.1 and §5: for the pair of remotes (row, column), 'y' or '.'.
struct Expected {
  const char* name;
  std::array<const char*, 4> cells;
};
constexpr std::array<Expected, 3> k_expected{{
    {"endpoint_independent", {"yyyy", "yyyy", "yyyy", "yyyy"}},
    {"address_dependent", {"yy..", "yy..", "..yy", "..yy"}},
    {"address_and_port_dependent", {"y...", ".y..", "..y.", "...y"}},
}};

class Behaviour : public ::testing::TestWithParam<std::tuple<int, int>> {
 protected:
  [[nodiscard]] static NatSpec spec() {
    return {.mapping = static_cast<Dependence>(std::get<0>(GetParam())),
            .filtering = static_cast<Dependence>(std::get<1>(GetParam())),
            .ports = PortAssignment::random};
  }
  [[nodiscard]] static bool maps_alike(std::size_t a, std::size_t b) {
    return k_expected[static_cast<std::size_t>(std::get<0>(GetParam()))].cells[a][b] == 'y';
  }
  [[nodiscard]] static bool admits(std::size_t sent_to, std::size_t from) {
    return k_expected[static_cast<std::size_t>(std::get<1>(GetParam()))].cells[sent_to][from] == 'y';
  }
};

TEST_P(Behaviour, TheSameMappingServesTheRemotesThatItShould) {
  for (std::size_t a = 0; a < 4; ++a) {
    for (std::size_t b = 0; b < 4; ++b) {
      TestNat nat(spec());
      const bool is_same = nat.outbound(k_inside, k_remotes[a]) == nat.outbound(k_inside, k_remotes[b]);
      EXPECT_EQ(is_same, maps_alike(a, b)) << a << ' ' << b;
      // The mapping is kept, whatever else was mapped since.
      EXPECT_EQ(nat.outbound(k_inside, k_remotes[a]), nat.outbound(k_inside, k_remotes[a]));
    }
  }
}

TEST_P(Behaviour, AfterOneDatagramOutTheRemotesThatShouldGetIn) {
  for (std::size_t sent_to = 0; sent_to < 4; ++sent_to) {
    for (std::size_t from = 0; from < 4; ++from) {
      TestNat nat(spec());
      const auto mapped = nat.outbound(k_inside, k_remotes[sent_to]);
      const auto inside = nat.inbound(k_remotes[from], mapped);
      EXPECT_EQ(inside, admits(sent_to, from) ? std::optional(k_inside) : std::nullopt) << sent_to << ' ' << from;
      EXPECT_EQ(nat.nat.snapshot().filtered, inside ? 0u : 1u);
    }
  }
}

TEST_P(Behaviour, SendingToASecondRemoteAdmitsItWhereItUsesTheSameMapping) {
  for (std::size_t first = 0; first < 4; ++first) {
    for (std::size_t second = 0; second < 4; ++second) {
      for (std::size_t from = 0; from < 4; ++from) {
        TestNat nat(spec());
        const auto mapped = nat.outbound(k_inside, k_remotes[first]);
        std::ignore = nat.outbound(k_inside, k_remotes[second]);
        const bool is_admitted = admits(first, from) || (maps_alike(first, second) && admits(second, from));
        EXPECT_EQ(nat.inbound(k_remotes[from], mapped).has_value(), is_admitted)
            << first << ' ' << second << ' ' << from;
      }
    }
  }
}

TEST_P(Behaviour, NobodyGetsInWithoutAMapping) {
  TestNat nat(spec());
  for (const Endpoint& remote : k_remotes) EXPECT_FALSE(nat.inbound(remote, Endpoint{k_outside, 5000}));
  EXPECT_EQ(nat.nat.snapshot().unmapped, 4u);
}

TEST_P(Behaviour, InsideEndpointsHaveMappingsOfTheirOwn) {
  TestNat nat(spec());
  const auto mapped = nat.outbound(k_inside, k_remote);
  const auto same_host = nat.outbound({k_inside.address, 5001}, k_remote);
  const auto neighbour = nat.outbound(k_neighbour, k_remote);
  EXPECT_NE(mapped, same_host);
  EXPECT_NE(mapped, neighbour);
  EXPECT_NE(same_host, neighbour);
  EXPECT_EQ(nat.inbound(k_remote, neighbour), k_neighbour);
  EXPECT_EQ(nat.inbound(k_remote, mapped), k_inside);
}

std::string name_of(const ::testing::TestParamInfo<Behaviour::ParamType>& cell) {
  const auto [mapping, filtering] = cell.param;
  return std::string(k_expected[static_cast<std::size_t>(mapping)].name) + "_mapping_" +
         k_expected[static_cast<std::size_t>(filtering)].name + "_filtering";
}

INSTANTIATE_TEST_SUITE_P(MappingAndFiltering, Behaviour,
                         ::testing::Combine(::testing::Range(0, 3), ::testing::Range(0, 3)), name_of);

// --- ports ----------------------------------------------------------------------------------------------------------

TEST(NatPorts, PreservingKeepsThePortAndTakesTheNextFreeOneWhenItIsTaken) {
  TestNat nat({});
  EXPECT_EQ(nat.outbound(k_inside, k_remote), (Endpoint{k_outside, 5000}));
  EXPECT_EQ(nat.port(k_neighbour, k_remote), 5001);
  EXPECT_EQ(nat.port(inside_at(4, 5001), k_remote), 5002);
  // Outside the range it begins at its beginning; at its end it goes on there.
  EXPECT_EQ(nat.port(inside_at(5, 80), k_remote), 1024);
  EXPECT_EQ(nat.port(inside_at(5, 65'535), k_remote), 65'535);
  EXPECT_EQ(nat.port(inside_at(6, 65'535), k_remote), 1025);
}

TEST(NatPorts, SequentialGoesByItsStepAndPassesOverTakenOnes) {
  TestNat nat({.mapping = Dependence::address_and_port_dependent,
               .ports = PortAssignment::sequential,
               .port_step = 2,
               .first_port = 2000,
               .last_port = 2005});
  std::vector<std::uint16_t> ports;
  for (std::uint16_t i = 0; i < 6; ++i) ports.push_back(nat.port(k_inside, {k_remote_1, i}));
  // 2000 is taken when its turn comes again, so 2001 follows.
  EXPECT_EQ(ports, (std::vector<std::uint16_t>{2000, 2002, 2004, 2001, 2003, 2005}));
  EXPECT_FALSE(nat.outbound(k_inside, {k_remote_1, 6}));
  EXPECT_EQ(nat.nat.snapshot().denied_by_ports, 1u);
}

TEST(NatPorts, RandomOnesAreInTheRangeAndNotInARow) {
  TestNat nat({.mapping = Dependence::address_and_port_dependent,
               .ports = PortAssignment::random,
               .first_port = 40'000,
               .last_port = 49'999});
  std::set<std::uint16_t> ports;
  int neighbours = 0;
  std::uint16_t last = 0;
  for (std::uint16_t i = 0; i < 500; ++i) {
    const std::uint16_t port = nat.port(k_inside, {k_remote_1, i});
    EXPECT_GE(port, 40'000);
    EXPECT_LE(port, 49'999);
    neighbours += port == last + 1 ? 1 : 0;
    ports.insert(last = port);
  }
  EXPECT_EQ(ports.size(), 500u);
  EXPECT_LT(neighbours, 5);
}

TEST(NatPorts, EveryPortOfTheRangeIsUsedAndFreedOnesAreUsedAgain) {
  for (const PortAssignment assignment :
       {PortAssignment::preserving, PortAssignment::sequential, PortAssignment::random}) {
    TestNat nat({.ports = assignment, .first_port = 3000, .last_port = 3009});
    std::set<std::uint16_t> ports;
    for (std::uint8_t i = 0; i < 10; ++i) ports.insert(nat.port(inside_at(i, 3004), k_remote));
    EXPECT_EQ(ports.size(), 10u);
    EXPECT_EQ(*ports.begin(), 3000);
    EXPECT_FALSE(nat.outbound(inside_at(99, 3004), k_remote));
    nat.now = nat.now + 120s;
    EXPECT_TRUE(nat.outbound(inside_at(99, 3004), k_remote));
  }
}

TEST(NatPorts, EachInsideHostHasAContiguousBlockOfItsOwn) {
  TestNat nat({.mapping = Dependence::address_and_port_dependent,
               .ports = PortAssignment::random,
               .first_port = 1000,
               .last_port = 1035,
               .block_size = 16},
              {k_outside, k_other_outside});
  std::map<std::uint8_t, std::set<Endpoint>> mapped;
  for (std::uint8_t host = 1; host <= 4; ++host) {
    for (std::uint16_t i = 0; i < 16; ++i)
      mapped[host].insert(nat.outbound(inside_at(host, 9), {k_remote_1, i}).value());
    EXPECT_FALSE(nat.outbound(inside_at(host, 9), {k_remote_1, 16})) << "its block is full";
  }
  for (const auto& [host, endpoints] : mapped) {
    EXPECT_EQ(endpoints.size(), 16u);
    EXPECT_EQ(endpoints.begin()->address, endpoints.rbegin()->address);
    EXPECT_EQ(endpoints.rbegin()->port - endpoints.begin()->port, 15);
    EXPECT_EQ((endpoints.begin()->port - 1000) % 16, 0);
  }
  EXPECT_EQ(nat.nat.snapshot().mappings, 64u);
  // Two whole blocks at each of two addresses: a fifth host gets none until another one has left.
  EXPECT_FALSE(nat.outbound(inside_at(5, 9), k_remote));
  nat.now = nat.now + 120s;
  EXPECT_TRUE(nat.outbound(inside_at(5, 9), k_remote));
  EXPECT_EQ(nat.nat.snapshot().hosts, 1u);
}

TEST(NatPooling, PairedGivesAHostOneAddressAndHostsTakeTurns) {
  TestNat nat({.mapping = Dependence::address_and_port_dependent}, {k_outside, k_other_outside});
  for (std::uint8_t host = 1; host <= 4; ++host) {
    std::set<IpAddress> addresses;
    for (std::uint16_t i = 0; i < 10; ++i) {
      addresses.insert(nat.outbound(inside_at(host, 5000 + i), {k_remote_2, i}).value().address);
    }
    EXPECT_EQ(addresses, std::set{host % 2 == 1 ? k_outside : k_other_outside});
  }
}

TEST(NatPooling, ArbitraryGivesAHostSeveralAddressesYetAMappingOnlyOne) {
  TestNat nat({.is_paired = false}, {k_outside, k_other_outside});
  const auto first = nat.outbound(k_inside, k_remote);
  const auto second = nat.outbound({k_inside.address, 5001}, k_remote);
  EXPECT_NE(first.value().address, second.value().address);
  EXPECT_EQ(nat.outbound(k_inside, {k_remote_2, 1}), first);
}

// --- lifetimes
// --------------------------------------------------------------------------------------------------------

TEST(NatLifetime, AMappingEndsAfterItsLifetimeWithoutRefresh) {
  TestNat nat({});
  const auto mapped = nat.outbound(k_inside, k_remote);
  nat.now = k_start + 120s - 1ns;
  EXPECT_TRUE(nat.inbound(k_remote, mapped));
  nat.now = k_start + 120s;
  EXPECT_FALSE(nat.inbound(k_remote, mapped));
  EXPECT_EQ(nat.nat.snapshot().expired, 1u);
  EXPECT_EQ(nat.nat.snapshot().unmapped, 1u);
  EXPECT_EQ(nat.nat.snapshot().mappings, 0u);
}

TEST(NatLifetime, OutboundAlwaysRefreshes) {
  TestNat nat({.ports = PortAssignment::random, .lifetime = 30s});
  const auto mapped = nat.outbound(k_inside, k_remote);
  for (int i = 0; i < 10; ++i) {
    nat.now = nat.now + 29s;
    EXPECT_EQ(nat.outbound(k_inside, k_remote), mapped);
  }
  nat.now = nat.now + 30s;
  EXPECT_NE(nat.outbound(k_inside, k_remote), mapped) << "a new mapping, on another port";
  EXPECT_EQ(nat.nat.snapshot().created, 2u);
  EXPECT_EQ(nat.nat.snapshot().expired, 1u);
}

TEST(NatLifetime, InboundRefreshesOnlyWhereItIsToldTo) {
  for (const bool refreshes : {false, true}) {
    TestNat nat({.lifetime = 30s, .inbound_refreshes = refreshes});
    const auto mapped = nat.outbound(k_inside, k_remote);
    nat.now = nat.now + 20s;
    EXPECT_TRUE(nat.inbound(k_remote, mapped));
    nat.now = nat.now + 20s;
    EXPECT_EQ(nat.inbound(k_remote, mapped).has_value(), refreshes);
  }
}

TEST(NatLifetime, WhatIsFilteredRefreshesNothing) {
  TestNat nat({.lifetime = 30s, .inbound_refreshes = true});
  const auto mapped = nat.outbound(k_inside, k_remote);
  nat.now = nat.now + 20s;
  EXPECT_FALSE(nat.inbound({k_remote_2, 80}, mapped));
  nat.now = nat.now + 10s;
  EXPECT_FALSE(nat.inbound(k_remote, mapped));
}

TEST(NatLifetime, ARemoteLapsesWhileTheMappingIsKeptAliveByAnother) {
  TestNat nat({.lifetime = 30s});
  const auto mapped = nat.outbound(k_inside, k_remote);
  const Endpoint server{k_remote_2, 3478};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(nat.outbound(k_inside, server), mapped);
    nat.now = nat.now + 10s;
  }
  EXPECT_FALSE(nat.inbound(k_remote, mapped));
  EXPECT_TRUE(nat.inbound(server, mapped));
}

TEST(NatLifetime, ARebootForgetsEverything) {
  TestNat nat({.ports = PortAssignment::random});
  const auto mapped = nat.outbound(k_inside, k_remote);
  nat.nat.flush();
  EXPECT_FALSE(nat.inbound(k_remote, mapped));
  EXPECT_NE(nat.outbound(k_inside, k_remote), mapped);
  const Nat::Status status = nat.nat.snapshot();
  EXPECT_EQ(status.flushes, 1u);
  EXPECT_EQ(status.mappings, 1u);
  EXPECT_EQ(status.hosts, 1u);
}

// --- hairpinning
// ------------------------------------------------------------------------------------------------------

TEST(NatHairpin, ExternalSourceShowsTheMappedEndpointOfTheSender) {
  TestNat nat({.hairpinning = Hairpinning::external_source});
  const auto target = nat.outbound(k_neighbour, k_remote);
  const auto sender = nat.outbound(k_inside, k_remote);
  EXPECT_EQ(nat.nat.hairpin(nat.now, k_inside, target.value()), (Nat::Hairpinned{sender.value(), k_neighbour}));
  // The answer comes the same way.
  EXPECT_EQ(nat.nat.hairpin(nat.now, k_neighbour, sender.value()), (Nat::Hairpinned{target.value(), k_inside}));
  EXPECT_EQ(nat.nat.snapshot().hairpinned, 2u);
}

TEST(NatHairpin, ExternalSourceMakesAMappingForTheSenderWhoHasNone) {
  TestNat nat({.mapping = Dependence::address_and_port_dependent, .hairpinning = Hairpinning::external_source});
  const auto target = nat.outbound(k_neighbour, k_remote);
  const auto hairpinned = nat.nat.hairpin(nat.now, k_inside, target.value());
  ASSERT_TRUE(hairpinned);
  EXPECT_EQ(hairpinned->source.address, k_outside);
  EXPECT_EQ(hairpinned->source, nat.outbound(k_inside, target.value()));
  EXPECT_EQ(nat.nat.snapshot().mappings, 2u);
}

TEST(NatHairpin, InternalSourceShowsTheInsideEndpointOfTheSender) {
  TestNat nat({.hairpinning = Hairpinning::internal_source});
  const auto target = nat.outbound(k_neighbour, k_remote);
  EXPECT_EQ(nat.nat.hairpin(nat.now, k_inside, target.value()), (Nat::Hairpinned{k_inside, k_neighbour}));
  EXPECT_EQ(nat.nat.snapshot().mappings, 1u);
}

TEST(NatHairpin, NoneDropsAndATargetWithoutMappingIsDroppedByAll) {
  TestNat none({});
  const auto target = none.outbound(k_neighbour, k_remote);
  EXPECT_FALSE(none.nat.hairpin(none.now, k_inside, target.value()));
  EXPECT_EQ(none.nat.snapshot().not_hairpinned, 1u);
  for (const Hairpinning kind : {Hairpinning::internal_source, Hairpinning::external_source}) {
    TestNat nat({.hairpinning = kind});
    EXPECT_FALSE(nat.nat.hairpin(nat.now, k_inside, {k_outside, 4444}));
    EXPECT_EQ(nat.nat.snapshot().mappings, 0u);
  }
}

TEST(NatHairpin, ItRefreshesTheSenderAndTheTargetOnlyIfInboundDoes) {
  for (const bool refreshes : {false, true}) {
    TestNat nat({.lifetime = 30s, .inbound_refreshes = refreshes, .hairpinning = Hairpinning::external_source});
    const auto target = nat.outbound(k_neighbour, k_remote);
    nat.now = nat.now + 20s;
    EXPECT_TRUE(nat.nat.hairpin(nat.now, k_inside, target.value()));
    nat.now = nat.now + 20s;
    EXPECT_EQ(nat.nat.hairpin(nat.now, k_inside, target.value()).has_value(), refreshes);
  }
}

TEST(NatHairpin, AHostAtItsLimitLosesItsOwnTargetAndNothingIsDelivered) {
  TestNat nat({.mapping = Dependence::address_and_port_dependent,
               .hairpinning = Hairpinning::external_source,
               .max_mappings_per_host = 1,
               .at_limit = MappingLimit::evict_oldest});
  const auto own = nat.outbound(k_inside, k_remote);
  EXPECT_FALSE(nat.nat.hairpin(nat.now, k_inside, own.value()));
  EXPECT_EQ(nat.nat.snapshot().evicted, 1u);
  EXPECT_EQ(nat.nat.snapshot().not_hairpinned, 1u);
}

// --- limits
// -----------------------------------------------------------------------------------------------------------

TEST(NatLimits, AHostAtItsLimitIsDeniedAndOthersAreNot) {
  TestNat nat({.max_mappings_per_host = 3});
  for (std::uint16_t port = 1; port <= 3; ++port) EXPECT_TRUE(nat.outbound(inside_at(2, port), k_remote));
  EXPECT_FALSE(nat.outbound(inside_at(2, 4), k_remote));
  EXPECT_TRUE(nat.outbound(inside_at(2, 3), k_remote)) << "what is mapped stays mapped";
  EXPECT_TRUE(nat.outbound(inside_at(3, 4), k_remote));
  EXPECT_EQ(nat.nat.snapshot().denied_by_limit, 1u);
  nat.now = nat.now + 120s;
  EXPECT_TRUE(nat.outbound(inside_at(2, 4), k_remote));
}

TEST(NatLimits, OrItsMappingThatWasRefreshedLongestAgoGoes) {
  TestNat nat({.max_mappings_per_host = 3, .at_limit = MappingLimit::evict_oldest});
  const auto foreign = nat.outbound(inside_at(3, 1), k_remote);
  std::vector<std::optional<Endpoint>> mapped;
  for (std::uint16_t port = 1; port <= 3; ++port) {
    nat.now = nat.now + 1s;
    mapped.push_back(nat.outbound(inside_at(2, port), k_remote));
  }
  nat.now = nat.now + 1s;
  std::ignore = nat.outbound(inside_at(2, 1), k_remote);
  EXPECT_TRUE(nat.outbound(inside_at(2, 4), k_remote));
  EXPECT_TRUE(nat.inbound(k_remote, mapped[0]));
  EXPECT_NE(nat.inbound(k_remote, mapped[1]), inside_at(2, 2));
  EXPECT_TRUE(nat.inbound(k_remote, mapped[2]));
  EXPECT_TRUE(nat.inbound(k_remote, foreign)) << "another host's, though older";
  EXPECT_EQ(nat.nat.snapshot().evicted, 1u);
  EXPECT_EQ(nat.nat.snapshot().mappings, 4u);
}

TEST(NatLimits, AFilterRemembersABoundedNumberOfRemotes) {
  RemoteFilter filter({.lifetime = 30s, .max_remotes = 3});
  for (std::uint16_t port = 1; port <= 4; ++port) filter.allow(k_start + port * 1s, {k_remote_1, port});
  EXPECT_EQ(filter.size(), 3u);
  EXPECT_FALSE(filter.admits(k_start + 5s, {k_remote_1, 1})) << "the one that would have lapsed first";
  EXPECT_TRUE(filter.admits(k_start + 5s, {k_remote_1, 2}));
  // Those that have lapsed make room first.
  filter.allow(k_start + 33s, {k_remote_1, 5});
  EXPECT_EQ(filter.size(), 2u);
  EXPECT_TRUE(filter.admits(k_start + 33s, {k_remote_1, 4}));
}

TEST(NatLimits, ASpecWithoutSenseIsAnErrorOfTheTest) {
  SeededRng rng(1);
  EXPECT_THROW(Nat({}, {}, rng), std::logic_error);
  EXPECT_THROW(Nat({.first_port = 2, .last_port = 1}, {k_outside}, rng), std::logic_error);
  EXPECT_THROW(Nat({.port_step = 0}, {k_outside}, rng), std::logic_error);
  EXPECT_THROW(Nat({.first_port = 1000, .last_port = 1009, .block_size = 11}, {k_outside}, rng), std::logic_error);
  EXPECT_THROW(Nat({.lifetime = 0s}, {k_outside}, rng), std::logic_error);
  EXPECT_THROW(Nat({.max_mappings_per_host = 0}, {k_outside}, rng), std::logic_error);
}

// --- everything at once
// -------------------------------------------------------------------------------------------------

// Random hosts, remotes and pauses: a live mapped endpoint never changes hands, and a remote to which something was
// sent less than a lifetime ago gets in.
TEST_P(Behaviour, HoldsWhatItPromisedWhateverElseHappens) {
  struct Promise {
    Endpoint inside;
    Endpoint remote;  // the relevant part
    Instant until;
  };
  NatSpec busy = spec();
  busy.first_port = 2000;
  busy.last_port = 2063;
  busy.lifetime = 30s;
  busy.max_mappings_per_host = 10;
  TestNat nat(busy, {k_outside, k_other_outside});
  SeededRng dice(99);
  std::map<Endpoint, Promise> promises;
  int kept = 0;
  for (int i = 0; i < 5000; ++i) {
    nat.now = nat.now + std::chrono::milliseconds(dice.below(1000));
    const Endpoint inside =
        inside_at(static_cast<std::uint8_t>(dice.below(20)), static_cast<std::uint16_t>(dice.below(5)));
    const Endpoint remote = k_remotes[static_cast<std::size_t>(dice.below(4))];
    const auto mapped = nat.outbound(inside, remote);
    EXPECT_LE(nat.nat.snapshot().mappings, 128u);
    if (!mapped) continue;
    const auto [promise, is_new] = promises.try_emplace(*mapped, Promise{});
    if (!is_new && nat.now < promise->second.until) {
      EXPECT_EQ(promise->second.inside, inside);
      EXPECT_EQ(promise->second.remote, relevant_part(busy.mapping, remote));
      ++kept;
    }
    promise->second = {inside, relevant_part(busy.mapping, remote), nat.now + busy.lifetime};
    nat.now = nat.now + std::chrono::milliseconds(dice.below(200));
    EXPECT_EQ(nat.inbound(remote, mapped), inside);
  }
  EXPECT_GT(kept, 100);
  EXPECT_GT(nat.nat.snapshot().expired, 100u);
}

TEST(NatPresets, HaveDifferentNamesAndAreFoundByThem) {
  std::set<std::string_view> names;
  for (const NatPreset& preset : nat_presets()) {
    names.insert(preset.name);
    EXPECT_EQ(&nat_preset(preset.name), &preset.spec);
    TestNat nat(preset.spec);
    EXPECT_EQ(nat.inbound(k_remote, nat.outbound(k_inside, k_remote)), k_inside) << preset.name;
  }
  EXPECT_EQ(names.size(), nat_presets().size());
  EXPECT_THROW(std::ignore = nat_preset("moderate"), std::logic_error);
}

}  // namespace
}  // namespace dig::sim
