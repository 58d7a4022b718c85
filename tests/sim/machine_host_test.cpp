// SPDX-License-Identifier: Apache-2.0
// Datagram machines in the virtual world: behind NATs, over bad links, through faults.
#include "sim/machine_host.hpp"

#include <gtest/gtest.h>

#include "base/testing/echo_machine.hpp"
#include "tests/sim/datagram_machines.hpp"

namespace dig::sim::testing {
namespace {

using dig::testing::EchoMachine;

constexpr Endpoint k_echo{IpAddress::v4({198, 51, 100, 1}), 7};
constexpr IpAddress k_outside = IpAddress::v4({203, 0, 113, 1});
constexpr IpAddress k_inside = IpAddress::v4({192, 168, 1, 2});

// A host behind a NAT and an echo on the Internet.
struct EchoWorld {
  explicit EchoWorld(std::uint64_t seed) : world(seed) {
    home = network().add_realm({.nat = nat_preset("symmetric"), .outside = {k_outside}});
    network().attach(home, k_inside);
    network().attach(k_internet, k_echo.address);
    restart_echo();
  }
  [[nodiscard]] DatagramNetwork& network() { return world.datagrams(); }
  void restart_echo() {
    echo.emplace();
    echo_host.emplace(world, MachineHostSpec{.sockets = {k_echo}, .clock_origin = 3h}, *echo);
  }

  World world;
  RealmId home;
  std::optional<EchoMachine> echo;
  std::optional<MachineHost<EchoMachine>> echo_host;
};

class Asker {
 public:
  explicit Asker(EchoWorld& world, int questions = 50)
      : machine({9h + world.world.now().since_origin}, k_echo, questions),
        host(world.world, {.realm = world.home, .sockets = {{k_inside, 0}}, .clock_origin = 9h}, machine,
             [this](Instant, const AskerMachine::Event&) { ++answers; }) {}

  AskerMachine machine;
  int answers = 0;
  MachineHost<AskerMachine> host;
};

Hash256 ask_over_bad_links(std::uint64_t seed) {
  EchoWorld world(seed);
  world.network().set_default_link(
      k_internet, {.delay = 20ms, .jitter = 30ms, .bytes_per_second = 50'000, .loss = 0.2, .duplication = 0.1});
  Asker asker(world);
  EXPECT_TRUE(world.world.run_until([&] { return asker.machine.is_done(); }, 1min));
  EXPECT_EQ(asker.answers, 50) << "each answer is told once, however often it came";
  world.world.run_for(1s);
  const DatagramNetwork::Status status = world.network().snapshot();
  EXPECT_GT(status.lost, 10u);
  EXPECT_GT(status.doubled, 5u);
  EXPECT_EQ(status.under_way, 0u);
  EXPECT_EQ(asker.machine.next_timeout(), std::nullopt);
  return world.world.trace().hash();
}

TEST(MachineHost, AnEchoIsReachedThroughANatOverLinksThatLoseDoubleAndReorder) {
  const Hash256 first = ask_over_bad_links(1);
  EXPECT_EQ(ask_over_bad_links(1), first);
  EXPECT_NE(ask_over_bad_links(2), first);
}

TEST(MachineHost, ABlackHoleIsWaitedOut) {
  EchoWorld world(3);
  world.network().cut(k_internet, k_outside, k_echo.address);
  Asker asker(world);
  world.world.run_for(1min);
  EXPECT_EQ(asker.answers, 0);
  world.network().heal(k_internet, k_outside, k_echo.address);
  EXPECT_TRUE(world.world.run_until([&] { return asker.machine.is_done(); }, 1s));
}

TEST(MachineHost, ARebootOfTheNatIsLivedThrough) {
  EchoWorld world(4);
  world.network().set_default_link(k_internet, {.delay = 50ms});
  Asker asker(world);
  world.world.run_for(60ms);
  world.network().reboot_router(world.home);  // the first answers are under way
  EXPECT_TRUE(world.world.run_until([&] { return asker.machine.is_done(); }, 1s));
  EXPECT_EQ(world.network().nat(world.home)->snapshot().unmapped, 50u);
}

TEST(MachineHost, APowerLossIsSilentAndTheNextOneTakesItsPlace) {
  EchoWorld world(5);
  world.echo_host->lose_power();
  Asker asker(world);
  world.world.run_for(1s);
  EXPECT_EQ(asker.answers, 0);
  world.restart_echo();
  EXPECT_TRUE(world.world.run_until([&] { return asker.machine.is_done(); }, 1s));
}

TEST(MachineHost, TheTimersOfAHostThatIsGoneDoNotRun) {
  EchoWorld world(6);
  world.network().block_udp(world.home, true);
  auto asker = std::make_unique<Asker>(world);
  world.world.run_for(1s);
  const std::uint64_t sent = world.network().snapshot().sent;
  EXPECT_GT(sent, 0u);
  asker.reset();
  world.world.run_for(1s);
  EXPECT_EQ(world.network().snapshot().sent, sent);
  EXPECT_EQ(world.network().snapshot().sockets, 1u);
}

// A transmit leaves by the socket it names; a batch is cut into its segments.
TEST(MachineHost, HasSeveralSocketsAndCutsBatches) {
  struct Sender {
    struct Heard {
      Endpoint local;
      std::size_t size = 0;
    };
    using Event = std::variant<Heard>;
    void handle_datagram(const Received& in) { heard.push_back(Heard{in.local, in.bytes.size()}); }
    void handle_timeout(Instant) {}
    std::optional<Transmit> poll_transmit(Instant, MutableBytes) { return std::exchange(transmit, std::nullopt); }
    std::optional<Event> poll_event() { return std::nullopt; }
    std::optional<Instant> next_timeout() const { return std::nullopt; }
    std::optional<Transmit> transmit;
    std::vector<Heard> heard;
  };
  World world(7);
  const IpAddress own = IpAddress::v4({198, 51, 100, 1});
  const IpAddress other = IpAddress::v4({198, 51, 100, 2});
  const IpAddress v6 = IpAddress::parse("2001:db8::1").value();
  for (const IpAddress& address : {own, other, v6}) world.datagrams().attach(k_internet, address);
  Sender sender;
  MachineHost host(world, {.sockets = {{own, 1}, {own, 2}, {other, 2}}}, sender);
  const auto send = [&](const Transmit& transmit) {
    sender.heard.clear();
    sender.transmit = transmit;
    host.drain();
    world.run_for(1s);
  };
  ReflectorMachine reflector;
  MachineHost reflecting(world, {.sockets = {{other, 9}}}, reflector);
  for (const Endpoint& local : {Endpoint{own, 1}, Endpoint{own, 2}, Endpoint{other, 2}}) {
    send({.local = local, .remote = {other, 9}, .size = 5});
    ASSERT_EQ(sender.heard.size(), 1u);
    EXPECT_EQ(sender.heard[0].local, local);
  }
  // An address that is none of its own: the first socket with the port, or the first of all.
  send({.local = {IpAddress(), 2}, .remote = {other, 9}, .size = 5});
  EXPECT_EQ(sender.heard.at(0).local, (Endpoint{own, 2}));
  send({.local = {}, .remote = {other, 9}, .size = 5});
  EXPECT_EQ(sender.heard.at(0).local, (Endpoint{own, 1}));
  send({.local = {}, .remote = {v6, 9}, .size = 5});
  EXPECT_TRUE(sender.heard.empty());
  // 2500 bytes in segments of 1000 are three datagrams; an empty one is one.
  send({.local = {own, 1}, .remote = {own, 2}, .size = 2500, .segment_size = 1000});
  ASSERT_EQ(sender.heard.size(), 3u);
  EXPECT_EQ(sender.heard[1].size, 1000u);
  EXPECT_EQ(sender.heard[2].size, 500u);
  send({.local = {own, 1}, .remote = {own, 2}, .size = 0});
  EXPECT_EQ(sender.heard.size(), 1u);
}

TEST(MachineHost, ADeadlineThatChangesIsFollowed) {
  struct Alarm {
    using Event = std::variant<std::monostate>;
    void handle_datagram(const Received&) {}
    void handle_timeout(Instant now) {
      rang.push_back(now);
      at.reset();
    }
    std::optional<Transmit> poll_transmit(Instant, MutableBytes) { return std::nullopt; }
    std::optional<Event> poll_event() { return std::nullopt; }
    std::optional<Instant> next_timeout() const { return at; }
    std::optional<Instant> at;
    std::vector<Instant> rang;
  };
  World world(9);
  Alarm alarm;
  world.datagrams().attach(k_internet, k_echo.address);
  MachineHost host(world, {.sockets = {k_echo}, .clock_origin = 1h}, alarm);
  const auto set = [&](std::optional<Instant> at) {
    alarm.at = at;
    host.drain();
  };
  set(Instant{1h + 10s});
  set(Instant{1h + 2s});  // earlier
  world.run_for(3s);
  EXPECT_EQ(alarm.rang, std::vector{Instant{1h + 2s}});
  set(Instant{1h + 4s});
  set(Instant{1h + 20s});  // later
  set(std::nullopt);       // never
  world.run_for(1min);
  EXPECT_EQ(alarm.rang.size(), 1u);
}

TEST(MachineHost, ATimerThatStaysDueIsNoticed) {
  struct Stuck {
    using Event = std::variant<std::monostate>;
    void handle_datagram(const Received&) {}
    void handle_timeout(Instant) {}
    std::optional<Transmit> poll_transmit(Instant, MutableBytes) { return std::nullopt; }
    std::optional<Event> poll_event() { return std::nullopt; }
    std::optional<Instant> next_timeout() const { return Instant{5s}; }
  };
  World world(8);
  Stuck stuck;
  world.datagrams().attach(k_internet, k_echo.address);
  MachineHost host(world, {.sockets = {k_echo}}, stuck);
  EXPECT_THROW(world.run_for(1min), std::logic_error);
}

}  // namespace
}  // namespace dig::sim::testing
