// SPDX-License-Identifier: Apache-2.0
// A simple simultaneous hole punch between every two kinds of NAT, against the ground truth.
#include <gtest/gtest.h>

#include <iterator>
#include <memory>
#include <tuple>

#include "sim/machine_host.hpp"
#include "tests/sim/datagram_machines.hpp"
#include "tests/sim/direct_path_oracle.hpp"

namespace dig::sim::testing {
namespace {

constexpr int k_predicted_ports = 3;

// One side's network, with its own public address and a host at k_private_address (or at the public address).
struct Access {
  RealmId realm;
  IpAddress host;
};

Access add_access(World& world, NatKind kind, std::uint8_t number) {
  const IpAddress outside = IpAddress::v4({203, 0, 113, number});
  // The same private addresses on both sides: nothing may depend on them.
  const IpAddress inside = IpAddress::v4({192, 168, 1, 2});
  const auto behind = [&](RealmId parent, std::string_view preset, const IpAddress& address) {
    return world.datagrams().add_realm({.parent = parent, .nat = nat_preset(preset), .outside = {address}});
  };
  switch (kind) {
    case NatKind::open:
      return {k_internet, outside};
    case NatKind::firewall:
      return {world.datagrams().add_realm({.firewall = FirewallSpec{}}), outside};
    case NatKind::cgnat:
    case NatKind::cgnat_symmetric: {
      const RealmId carrier = behind(k_internet, nat_kind_name(kind), outside);
      return {behind(carrier, "port_restricted", IpAddress::v4({100, 64, 0, 2})), inside};
    }
    default:
      return {behind(k_internet, nat_kind_name(kind), outside), inside};
  }
}

class Punch {
 public:
  explicit Punch(std::uint64_t seed = 1) : world(seed) {
    world.datagrams().set_default_link(k_internet, {.delay = 20ms, .jitter = 5ms});
    for (const Endpoint& reflector : k_reflectors) world.datagrams().attach(k_internet, reflector.address);
    host_.emplace(world, MachineHostSpec{.sockets = {k_reflectors.begin(), k_reflectors.end()}}, reflector_);
  }

  // Two hosts at the given places; whether each learns how it is seen and then both reach the other.
  bool connects(const Access& a, const Access& b, bool has_prediction = false) {
    PuncherMachine left({k_reflectors.begin(), k_reflectors.end()});
    PuncherMachine right = left;
    MachineHost at_left(world, {.realm = a.realm, .sockets = {attached(a)}, .clock_origin = 1h}, left);
    MachineHost at_right(world, {.realm = b.realm, .sockets = {attached(b)}, .clock_origin = 5h}, right);
    const bool have_learnt = world.run_until([&] { return left.has_learnt() && right.has_learnt(); }, 10s);
    EXPECT_TRUE(have_learnt);
    if (!have_learnt) return false;
    left.punch(at_left.now(), targets(left, right, has_prediction));
    right.punch(at_right.now(), targets(right, left, has_prediction));
    at_left.drain();
    at_right.drain();
    world.run_for(5s);
    EXPECT_FALSE(left.next_timeout() || right.next_timeout()) << "it tries a few times only";
    return left.is_confirmed() && right.is_confirmed();
  }
  bool connects(NatKind a, NatKind b, bool has_prediction) {
    return connects(add_access(world, a, 1), add_access(world, b, 2), has_prediction);
  }

  World world;

 private:
  // One program at two addresses.
  static constexpr std::array<Endpoint, 2> k_reflectors{
      {{IpAddress::v4({198, 51, 100, 1}), 3478}, {IpAddress::v4({198, 51, 100, 2}), 3478}}};

  Endpoint attached(const Access& access) {
    world.datagrams().attach(access.realm, access.host);
    return {access.host, 4001};
  }

  static std::vector<Endpoint> targets(const PuncherMachine& own, const PuncherMachine& other, bool has_prediction) {
    const auto is_steady = [](const PuncherMachine& side) { return side.seen_as().front() == side.seen_as().back(); };
    std::vector<Endpoint> targets{other.seen_as().back()};
    if (!has_prediction || !is_steady(own) || is_steady(other)) return targets;
    const int step = other.seen_as().back().port - other.seen_as().front().port;
    for (int i = 1; i <= k_predicted_ports; ++i) {
      targets.push_back({targets[0].address, static_cast<std::uint16_t>(targets[0].port + i * step)});
    }
    return targets;
  }

  ReflectorMachine reflector_;
  std::optional<MachineHost<ReflectorMachine>> host_;
};

class HolePunch : public ::testing::TestWithParam<std::tuple<NatKind, NatKind>> {};

TEST_P(HolePunch, ConnectsExactlyTheKindsThatItCan) {
  const auto [a, b] = GetParam();
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    EXPECT_EQ(Punch(seed).connects(a, b, false), can_connect_directly(a, b)) << "seed " << seed;
  }
}

TEST_P(HolePunch, WithPredictionAlsoTheSequentialOnes) {
  const auto [a, b] = GetParam();
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    EXPECT_EQ(Punch(seed).connects(a, b, true), can_connect_directly(a, b, true)) << "seed " << seed;
  }
}

std::string pair_name(const ::testing::TestParamInfo<HolePunch::ParamType>& pair) {
  const auto [a, b] = pair.param;
  return std::string(nat_kind_name(a)) + "_with_" + std::string(nat_kind_name(b));
}

INSTANTIATE_TEST_SUITE_P(Kinds, HolePunch,
                         ::testing::Combine(::testing::ValuesIn(k_nat_kinds), ::testing::ValuesIn(k_nat_kinds)),
                         pair_name);

// The oracle against the matrix that was measured on Linux NATs, written as a picture: 'y' both ways of punching, 'p'
// only with prediction. Rows and columns are in the order of k_nat_kinds.
TEST(DirectPathOracle, AgreesWithTheMeasuredMatrix) {
  constexpr std::array<std::string_view, k_nat_kinds.size()> k_measured{
      "yyyyyyyyyyy",  // open
      "yyyyyy.p.y.",  // firewall
      "yyyyyyyyyyy",  // full_cone
      "yyyyyyyyyyy",  // address_restricted
      "yyyyyy.p.y.",  // port_restricted
      "yyyyyy.p.y.",  // port_restricted_random
      "y.yy.......",  // address_dependent
      "ypyypp...p.",  // symmetric_sequential
      "y.yy.......",  // symmetric
      "yyyyyy.p.y.",  // cgnat
      "y.yy.......",  // cgnat_symmetric
  };
  for (std::size_t a = 0; a < k_nat_kinds.size(); ++a) {
    for (std::size_t b = 0; b < k_nat_kinds.size(); ++b) {
      const char cell = k_measured[a][b];
      EXPECT_EQ(can_connect_directly(k_nat_kinds[a], k_nat_kinds[b]), cell == 'y') << a << ' ' << b;
      EXPECT_EQ(can_connect_directly(k_nat_kinds[a], k_nat_kinds[b], true), cell != '.') << a << ' ' << b;
    }
  }
}

// Behind one NAT, the public endpoints work where it hairpins, in either form.
TEST(HolePunchBehindOneNat, WorksWhereItHairpins) {
  for (const Hairpinning kind : {Hairpinning::none, Hairpinning::internal_source, Hairpinning::external_source}) {
    Punch punch;
    const RealmId home = punch.world.datagrams().add_realm(
        {.nat = NatSpec{.hairpinning = kind}, .outside = {IpAddress::v4({203, 0, 113, 1})}});
    const bool connects =
        punch.connects({home, IpAddress::v4({192, 168, 1, 2})}, {home, IpAddress::v4({192, 168, 1, 3})});
    EXPECT_EQ(connects, kind != Hairpinning::none) << static_cast<int>(kind);
  }
}

TEST(HolePunchRun, RepeatsExactly) {
  const auto run = [](std::uint64_t seed) {
    Punch punch(seed);
    std::ignore = punch.connects(NatKind::symmetric, NatKind::cgnat, false);
    EXPECT_GT(punch.world.trace().records(), 20u);
    return punch.world.trace().hash();
  };
  const Hash256 first = run(7);
  EXPECT_EQ(run(7), first);
  EXPECT_NE(run(8), first);
}

}  // namespace
}  // namespace dig::sim::testing
