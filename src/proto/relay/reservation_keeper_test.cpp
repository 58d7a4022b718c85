// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/reservation_keeper.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "proto/relay/protocol.hpp"

namespace dig::relay {
namespace {

constexpr Instant k_start{1000s};
constexpr UnixTime k_wall{1'800'000'000};

PeerId peer_of(unsigned number) {
  return PeerId::from_public_key(PublicKey::ed25519(Bytes(32, static_cast<std::byte>(number))));
}
Multiaddr address(std::string_view text) { return Multiaddr::parse(text).value(); }

class ReservationKeeperTest : public ::testing::Test {
 protected:
  // The next event; there is one, and of this kind.
  template <class Event>
  Event next() {
    return std::get<Event>(keeper.poll_event().value());
  }
  void expect_silence() { EXPECT_FALSE(keeper.poll_event()); }

  GrantedReservation granted(Duration lifetime = 1h) const {
    return {.expiration = {k_wall.seconds + std::chrono::floor<std::chrono::seconds>(lifetime).count()},
            .addresses = {address("/ip4/192.0.2.1/tcp/4001/p2p/" + relay.to_string())},
            .limit = {.duration = 120, .data = 131072},
            .voucher = std::nullopt};
  }
  void add() { ASSERT_TRUE(keeper.add_relay(relay, {address("/dns4/relay.example/tcp/4001")})); }
  // As far as asking for the reservation.
  OpenReserveStream connect(ConnectionId connection = {1}) {
    const auto asked = next<ConnectRelay>();
    keeper.handle_connected(asked.attempt, connection, address("/dns4/relay.example/tcp/4001"));
    return next<OpenReserveStream>();
  }
  void reserve(Instant now, Duration lifetime = 1h) {
    const auto asked = connect();
    keeper.handle_reserved(now, k_wall, asked.attempt, granted(lifetime));
    next<RelayedAddressesChanged>();
    expect_silence();
  }
  const KeptRelay kept() const {
    const auto all = keeper.snapshot().relays;
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? KeptRelay{} : all.front();
  }
  Instant wake() const {
    EXPECT_TRUE(keeper.next_timeout());
    return keeper.next_timeout().value_or(Instant{});
  }

  PeerId self = peer_of(1);
  PeerId relay = peer_of(2);
  SeededRng rng{1};
  ReservationKeeper keeper{self, rng};
};

TEST_F(ReservationKeeperTest, ConnectsReservesAndSaysWhereThisNodeIs) {
  ASSERT_TRUE(
      keeper.add_relay(relay, {address("/dns4/relay.example/tcp/4001"),
                               address("/ip4/192.0.2.9/tcp/1/p2p/" + peer_of(3).to_string() + "/p2p-circuit")}));
  const auto connecting = next<ConnectRelay>();
  EXPECT_EQ(connecting.relay, relay);
  EXPECT_EQ(connecting.addresses, std::vector{address("/dns4/relay.example/tcp/4001")}) << "never over a relay";
  keeper.handle_connected(connecting.attempt, {5}, address("/dns4/relay.example/tcp/4001"));
  const auto reserving = next<OpenReserveStream>();
  EXPECT_EQ(reserving.relay, relay);
  EXPECT_EQ(reserving.connection, ConnectionId{5});
  EXPECT_TRUE(keeper.relayed_addresses().empty());
  EXPECT_FALSE(keeper.has_reservation(relay));
  keeper.handle_reserved(k_start, k_wall, reserving.attempt, granted());
  next<RelayedAddressesChanged>();
  const std::string circuit = "/p2p/" + relay.to_string() + "/p2p-circuit/p2p/" + self.to_string();
  EXPECT_EQ(keeper.relayed_addresses(), (std::vector{address("/dns4/relay.example/tcp/4001" + circuit),
                                                     address("/ip4/192.0.2.1/tcp/4001" + circuit)}));
  EXPECT_TRUE(keeper.has_reservation(relay));
  EXPECT_EQ(kept().limit.data, 131072U);
  EXPECT_EQ(kept().reserved_until, k_start + 1h);
}

// A relay that was reached on the Internet has its private addresses for others, or for nobody.
TEST_F(ReservationKeeperTest, ToldAddressesOfANarrowerScopeThanTheConnectionAreLeftOut) {
  const std::vector<std::string> told = {"/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.2/tcp/1", "/ip4/100.64.0.1/tcp/1",
                                         "/ip6/fd00::1/tcp/1",   "/ip4/192.0.2.1/tcp/1",   "/dns4/a.example/tcp/1"};
  const auto kept_of = [&](const std::string& dialled) {
    ReservationKeeper other(self, rng);
    EXPECT_TRUE(other.add_relay(relay, {address(dialled)}));
    other.handle_connected(std::get<ConnectRelay>(other.poll_event().value()).attempt, {1}, address(dialled));
    GrantedReservation reservation = granted();
    reservation.addresses.clear();
    for (const std::string& text : told) reservation.addresses.push_back(address(text));
    other.handle_reserved(k_start, k_wall, std::get<OpenReserveStream>(other.poll_event().value()).attempt,
                          reservation);
    std::vector<std::string> hosts;
    for (const Multiaddr& relayed : other.relayed_addresses()) hosts.push_back(relayed.host());
    return hosts;
  };
  using Hosts = std::vector<std::string>;
  EXPECT_EQ(kept_of("/ip4/192.0.2.9/tcp/1"), (Hosts{"192.0.2.9", "192.0.2.1", "a.example"}));
  EXPECT_EQ(kept_of("/dns4/relay.example/tcp/1"), (Hosts{"relay.example", "192.0.2.1", "a.example"}));
  EXPECT_EQ(kept_of("/ip4/10.0.0.1/tcp/1"),
            (Hosts{"10.0.0.1", "192.168.1.2", "100.64.0.1", "fd00::1", "192.0.2.1", "a.example"}));
  EXPECT_EQ(kept_of("/ip4/127.0.0.1/tcp/2").size(), 1 + told.size());
}

TEST_F(ReservationKeeperTest, TheAddressesOfARelayAreChecked) {
  add();
  const auto asked = next<ConnectRelay>();
  keeper.handle_connected(asked.attempt, {1}, {});  // the relay connected to us
  GrantedReservation reservation = granted();
  reservation.addresses = {
      address("/ip4/192.0.2.1/tcp/1"),
      address("/ip4/192.0.2.1/tcp/1/p2p/" + relay.to_string()),       // the same
      address("/ip4/192.0.2.2/tcp/1/p2p/" + peer_of(9).to_string()),  // another peer's
      address("/p2p/" + relay.to_string()),                           // leads nowhere
      address("/ip4/192.0.2.3/tcp/1/p2p/" + peer_of(9).to_string() + "/p2p-circuit/p2p/" + relay.to_string()),
      address("/ip4/192.0.2.4/udp/1/quic-v1"),
  };
  for (int i = 10; i < 30; ++i) reservation.addresses.push_back(address("/ip4/192.0.2.1/tcp/" + std::to_string(i)));
  keeper.handle_reserved(k_start, k_wall, next<OpenReserveStream>().attempt, reservation);
  const auto live = keeper.relayed_addresses();
  ASSERT_EQ(live.size(), 8U) << "bounded";
  const std::string circuit = "/p2p/" + relay.to_string() + "/p2p-circuit/p2p/" + self.to_string();
  EXPECT_EQ(live[0], address("/ip4/192.0.2.1/tcp/1" + circuit));
  EXPECT_EQ(live[1], address("/ip4/192.0.2.4/udp/1/quic-v1" + circuit));
  EXPECT_EQ(live[2], address("/ip4/192.0.2.1/tcp/10" + circuit));
}

// --- refresh --------------------------------------------------------------------------------------------------------

TEST_F(ReservationKeeperTest, RefreshesWellBeforeTheEndAndNotAllAtOnce) {
  std::vector<Instant> times;
  for (int i = 0; i < 20; ++i) {
    ReservationKeeper one(self, rng);
    ASSERT_TRUE(one.add_relay(relay, {}));
    const auto connecting = std::get<ConnectRelay>(*one.poll_event());
    one.handle_connected(connecting.attempt, {1}, {});
    const auto reserving = std::get<OpenReserveStream>(*one.poll_event());
    one.handle_reserved(k_start, k_wall, reserving.attempt, granted());
    times.push_back(one.next_timeout().value());
    EXPECT_GE(times.back(), k_start + 30min);
    EXPECT_LE(times.back(), k_start + 45min);
  }
  std::ranges::sort(times);
  EXPECT_GT(times.back() - times.front(), 5min) << "jitter";
}

TEST_F(ReservationKeeperTest, ARefreshKeepsTheAddressesAndProlongs) {
  add();
  reserve(k_start);
  const Instant due = wake();
  keeper.handle_timeout(due - 1ns);
  expect_silence();
  keeper.handle_timeout(due);
  const auto asked = next<OpenReserveStream>();
  EXPECT_EQ(asked.connection, ConnectionId{1}) << "over the connection that stands";
  EXPECT_FALSE(keeper.relayed_addresses().empty()) << "while it is refreshed";
  EXPECT_EQ(wake(), k_start + 1h) << "the old one still expires";
  keeper.handle_reserved(due, {k_wall.seconds + 1800}, asked.attempt, granted(90min));
  expect_silence();
  EXPECT_EQ(kept().reserved_until, due + 1h);
}

TEST_F(ReservationKeeperTest, ARefreshThatFailsIsTriedAgainForAsLongAsTheReservationLasts) {
  add();
  reserve(k_start);
  std::size_t tries = 0;
  for (Instant now = wake(); now < k_start + 1h; now = wake()) {
    keeper.handle_timeout(now);
    const auto asked = next<OpenReserveStream>();
    EXPECT_EQ(asked.connection, ConnectionId{1});
    keeper.handle_failed(now, asked.attempt, refusal(circuit::Status::reservation_refused));
    EXPECT_TRUE(keeper.has_reservation(relay));
    expect_silence();
    ++tries;
  }
  EXPECT_GE(tries, 4U);
  EXPECT_LE(tries, 20U);
  EXPECT_EQ(wake(), k_start + 1h);
  keeper.handle_timeout(k_start + 1h);
  next<RelayedAddressesChanged>();
  EXPECT_EQ(next<RelayGivenUp>().why.code(), Errc::relay_reservation_refused);
  EXPECT_TRUE(keeper.relayed_addresses().empty());
  EXPECT_FALSE(keeper.next_timeout());
}

TEST_F(ReservationKeeperTest, AReservationThatExpiresDuringItsRefreshIsGone) {
  add();
  reserve(k_start);
  keeper.handle_timeout(wake());
  const auto asked = next<OpenReserveStream>();
  keeper.handle_timeout(k_start + 1h);
  next<RelayedAddressesChanged>();
  EXPECT_TRUE(keeper.relayed_addresses().empty());
  keeper.handle_reserved(k_start + 1h, k_wall, asked.attempt, granted());
  next<RelayedAddressesChanged>();
  EXPECT_FALSE(keeper.relayed_addresses().empty());
}

TEST_F(ReservationKeeperTest, ClocksThatDifferDoNoHarm) {
  const std::vector<std::pair<std::int64_t, Duration>> cases = {
      {0, 2min},                   // 1970
      {k_wall.seconds - 1, 2min},  // our clock is ahead
      {k_wall.seconds + 119, 2min},
      {k_wall.seconds + 121, 121s},
      {k_wall.seconds + 86'399, 86'399s},
      {k_wall.seconds + 86'401, 24h},  // our clock is behind
      {std::numeric_limits<std::int64_t>::max(), 24h},
  };
  for (const auto& [expiration, lifetime] : cases) {
    ReservationKeeper one(self, rng);
    ASSERT_TRUE(one.add_relay(relay, {}));
    const auto connecting = std::get<ConnectRelay>(*one.poll_event());
    one.handle_connected(connecting.attempt, {1}, {});
    GrantedReservation reservation = granted();
    reservation.expiration = {expiration};
    const auto reserving = std::get<OpenReserveStream>(*one.poll_event());
    one.handle_reserved(k_start, k_wall, reserving.attempt, reservation);
    EXPECT_EQ(one.snapshot().relays[0].reserved_until, k_start + lifetime) << expiration;
    EXPECT_GE(*one.next_timeout(), k_start + 1min);
  }
}

// --- what fails -----------------------------------------------------------------------------------------------------

TEST_F(ReservationKeeperTest, ARelayThatRefusesIsGivenUpAndItsStatusTold) {
  add();
  keeper.handle_failed(k_start, connect().attempt, refusal(static_cast<circuit::Status>(999)));
  const auto given_up = next<RelayGivenUp>();
  EXPECT_EQ(given_up.relay, relay);
  EXPECT_EQ(given_up.why, Error(Errc::relay_refused, "status 999"));
  EXPECT_FALSE(keeper.next_timeout());
  EXPECT_TRUE(keeper.snapshot().relays.empty());
  add();
  next<ConnectRelay>();
}

TEST_F(ReservationKeeperTest, ARelayThatIsNoneIsGivenUp) {
  for (const Errc code : {Errc::protocol_not_supported, Errc::peer_id_mismatch, Errc::bad_signature, Errc::malformed}) {
    add();
    keeper.handle_failed(k_start, connect().attempt, Error(code));
    EXPECT_EQ(next<RelayGivenUp>().why.code(), code);
  }
}

TEST_F(ReservationKeeperTest, ARelayThatCannotBeReachedIsTriedAgainLessAndLessOften) {
  add();
  Instant now = k_start;
  Duration expected = 2s;
  bool has_jitter = false;
  for (int i = 0; i < 20; ++i) {
    keeper.handle_failed(now, next<ConnectRelay>().attempt, Error(Errc::connect_timeout));
    expect_silence();
    const Instant due = wake();
    EXPECT_GE(due - now, expected / 2) << i;
    EXPECT_LE(due - now, expected) << i;
    has_jitter = has_jitter || due - now < expected / 4 * 3;
    EXPECT_EQ(kept().failures, std::size_t(i) + 1);
    EXPECT_EQ(kept().last_failure->code(), Errc::connect_timeout);
    keeper.handle_timeout(due - 1ns);
    expect_silence();
    keeper.handle_timeout(due);
    now = due;
    expected = std::min<Duration>(expected * 2, 10min);
  }
  EXPECT_TRUE(has_jitter);
}

TEST_F(ReservationKeeperTest, AStreamThatFailsIsOpenedAgainOnTheSameConnection) {
  add();
  keeper.handle_failed(k_start, connect({7}).attempt, Error(Errc::stream_reset));
  keeper.handle_timeout(wake());
  const auto again = next<OpenReserveStream>();
  EXPECT_EQ(again.connection, ConnectionId{7});
  EXPECT_EQ(kept().last_failure->code(), Errc::stream_reset);
  keeper.handle_reserved(k_start, k_wall, again.attempt, granted());
  EXPECT_FALSE(kept().last_failure);
}

TEST_F(ReservationKeeperTest, AReservationIsMadeAgainWhenItsConnectionDies) {
  add();
  reserve(k_start);
  keeper.handle_connection_closed(k_start + 5min, {2});
  expect_silence();
  keeper.handle_connection_closed(k_start + 5min, {1});
  next<RelayedAddressesChanged>();
  expect_silence();
  EXPECT_TRUE(keeper.relayed_addresses().empty());
  const Instant due = wake();
  EXPECT_GE(due, k_start + 5min + 1s);
  EXPECT_LE(due, k_start + 5min + 2s) << "it was steady, so soon";
  keeper.handle_timeout(due);
  reserve(due);
  EXPECT_FALSE(keeper.relayed_addresses().empty());
}

TEST_F(ReservationKeeperTest, AConnectionThatDiesAgainAndAgainIsNotMadeOftener) {
  add();
  Instant now = k_start;
  for (int i = 0; i < 12; ++i) {
    reserve(now);
    keeper.handle_connection_closed(now + 1s, {1});
    next<RelayedAddressesChanged>();
    now = wake();
    keeper.handle_timeout(now);
  }
  EXPECT_GT(now - k_start, 10min);
  reserve(now);
  keeper.handle_connection_closed(now + 1min, {1});
  EXPECT_LE(wake() - (now + 1min), 2s) << "a steady one makes good";
}

TEST_F(ReservationKeeperTest, AConnectionThatDiesWhileItIsAskedCountsOnce) {
  add();
  const auto asked = connect();
  keeper.handle_connection_closed(k_start, {1});
  const Instant due = wake();
  keeper.handle_failed(k_start, asked.attempt, Error(Errc::connection_closed));
  keeper.handle_reserved(k_start, k_wall, asked.attempt, granted());
  expect_silence();
  EXPECT_EQ(wake(), due);
  EXPECT_EQ(kept().failures, 1U);
  EXPECT_FALSE(keeper.has_reservation(relay));
  keeper.handle_timeout(due);
  next<ConnectRelay>();
}

TEST_F(ReservationKeeperTest, AnswersToAttemptsThatAreOverAreIgnored) {
  add();
  const auto connecting = next<ConnectRelay>();
  keeper.handle_reserved(k_start, k_wall, connecting.attempt, granted());
  expect_silence();
  keeper.handle_failed(k_start, {999}, Error(Errc::relay_refused));
  keeper.handle_connected({999}, {3}, {});
  expect_silence();
  keeper.handle_failed(k_start, connecting.attempt, Error(Errc::connect_timeout));
  keeper.handle_connected(connecting.attempt, {3}, {});
  expect_silence();
}

// --- which relays ---------------------------------------------------------------------------------------------------

TEST_F(ReservationKeeperTest, KeepsSoManyRelaysAndNoMore) {
  EXPECT_EQ(keeper.add_relay(self, {}).error().code(), Errc::invalid_argument);
  for (unsigned i = 10; i < 14; ++i) EXPECT_TRUE(keeper.add_relay(peer_of(i), {}));
  EXPECT_EQ(keeper.add_relay(peer_of(14), {}).error().code(), Errc::limit_reached);
  EXPECT_EQ(keeper.add_relay(peer_of(10), {}).error().code(), Errc::invalid_argument) << "it is kept already";
  keeper.remove_relay(peer_of(10));
  EXPECT_TRUE(keeper.add_relay(peer_of(14), {}));
}

TEST_F(ReservationKeeperTest, ARelayThatIsRemovedIsForgotten) {
  add();
  reserve(k_start);
  keeper.remove_relay(relay);
  next<RelayedAddressesChanged>();
  expect_silence();
  EXPECT_TRUE(keeper.relayed_addresses().empty());
  EXPECT_FALSE(keeper.next_timeout());
  keeper.remove_relay(relay);
  expect_silence();
}

TEST_F(ReservationKeeperTest, SeveralRelaysAreKeptAtOnce) {
  const PeerId second = peer_of(3);
  add();
  reserve(k_start);
  ASSERT_TRUE(keeper.add_relay(second, {address("/ip4/203.0.113.1/tcp/1")}));
  const auto asked = connect({2});
  EXPECT_EQ(asked.relay, second);
  GrantedReservation other = granted();
  other.addresses = {address("/ip4/203.0.113.1/tcp/1")};
  keeper.handle_reserved(k_start, k_wall, asked.attempt, other);
  EXPECT_EQ(keeper.relayed_addresses().size(), 4U);
  next<RelayedAddressesChanged>();
  keeper.handle_connection_closed(k_start + 1s, {1});
  EXPECT_EQ(keeper.relayed_addresses().size(), 2U);
  EXPECT_TRUE(keeper.has_reservation(second));
  EXPECT_FALSE(keeper.has_reservation(relay));
}

}  // namespace
}  // namespace dig::relay
