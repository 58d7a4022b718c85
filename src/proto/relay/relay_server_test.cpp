// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/relay_server.hpp"

#include <gtest/gtest.h>

#include "wire/reservation_voucher.hpp"

namespace dig::relay {
namespace {

using circuit::Status;

constexpr Instant k_start{1000s};
constexpr UnixTime k_wall{1'800'000'000};

PeerId peer_of(unsigned number) {
  Bytes key(32, std::byte{1});
  key[0] = static_cast<std::byte>(number);
  key[1] = static_cast<std::byte>(number >> 8);
  return PeerId::from_public_key(PublicKey::ed25519(key));
}
IpAddress address_of(unsigned number) {
  return IpAddress::v4({198, 51, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}
// Everybody with a connection and an address of its own.
RelayClient client_of(unsigned number) {
  return {.connection = {number}, .peer = peer_of(number), .address = address_of(number)};
}

class RelayServerTest : public ::testing::Test {
 protected:
  static RelayServer::Limits limits_without_rates() {
    RelayServer::Limits limits;
    limits.requests.per_peer = {};
    limits.requests.per_source = {};
    return limits;
  }
  RelayServer make(RelayServer::Limits limits = limits_without_rates()) { return RelayServer(identity, rng, limits); }
  static Status reserve(RelayServer& server, const RelayClient& client, Instant now = k_start) {
    return server.reserve(now, k_wall, client).status;
  }
  // OK, or the refusal.
  static Status connect(RelayServer& server, const RelayClient& client, const PeerId& target, Instant now = k_start) {
    const auto admitted = server.connect(now, client, target);
    return admitted ? Status::ok : admitted.error();
  }
  static std::vector<RelayEvent> events(RelayServer& server) {
    std::vector<RelayEvent> all;
    while (auto event = server.poll_event()) all.push_back(std::move(*event));
    return all;
  }
  static void expect_empty(const RelayServer& server) {
    EXPECT_EQ(server.snapshot().reservations, 0U);
    EXPECT_EQ(server.snapshot().circuits, 0U);
    EXPECT_EQ(server.snapshot().sources, 0U);
    EXPECT_EQ(server.snapshot().peers, 0U);
    EXPECT_FALSE(server.next_timeout());
  }

  SeededRng rng{1};
  Identity identity = Identity::generate(rng);
};

// --- RESERVE --------------------------------------------------------------------------------------------------------

TEST_F(RelayServerTest, AGrantSaysHowLongWhereAndHowMuch) {
  RelayServer server = make();
  server.set_addresses({Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value(),
                        Multiaddr::parse("/dns4/relay.example/tcp/443/tls/ws").value()});
  const circuit::HopMessage answer = server.reserve(k_start, k_wall, client_of(1));
  EXPECT_EQ(answer.type, circuit::HopMessage::Type::status);
  EXPECT_EQ(answer.status, Status::ok);
  EXPECT_EQ(answer.limit, (circuit::Limit{.duration = 120, .data = 128 * 1024}));
  ASSERT_TRUE(answer.reservation);
  EXPECT_EQ(answer.reservation->expiration.seconds, k_wall.seconds + 3600);
  const std::string self = "/p2p/" + identity.peer_id().to_string();
  ASSERT_EQ(answer.reservation->addresses.size(), 2U);
  EXPECT_EQ(answer.reservation->addresses[0].to_string(), "/ip4/192.0.2.1/tcp/4001" + self);
  EXPECT_EQ(answer.reservation->addresses[1].to_string(), "/dns4/relay.example/tcp/443/tls/ws" + self);
  const auto voucher = ReservationVoucher::open(answer.reservation->voucher);
  ASSERT_TRUE(voucher);
  EXPECT_EQ(*voucher, (ReservationVoucher{identity.peer_id(), peer_of(1), {k_wall.seconds + 3600}}));
}

TEST_F(RelayServerTest, TheAddressesOfAGrantAlwaysFitTheMessage) {
  RelayServer server = make();
  std::vector<Multiaddr> addresses = {
      Multiaddr::parse("/ip4/192.0.2.9/tcp/1/p2p/" + peer_of(9).to_string() + "/p2p-circuit").value()};
  for (int i = 0; i < 40; ++i) {
    addresses.push_back(Multiaddr::parse("/dns/" + std::string(60, 'a') + "." + std::string(60, 'b') + "." +
                                         std::string(60, 'c') + "." + std::string(60, 'd') + "." + std::to_string(i) +
                                         "/tcp/4001")
                            .value());
  }
  server.set_addresses(addresses);
  const circuit::HopMessage answer = server.reserve(k_start, k_wall, client_of(1));
  EXPECT_LE(answer.encode().size(), circuit::k_max_message_size);
  EXPECT_GT(answer.reservation->addresses.size(), 5U);
  for (const Multiaddr& address : answer.reservation->addresses) EXPECT_FALSE(address.has(Protocol::p2p_circuit));
  server.set_addresses({});
  EXPECT_TRUE(server.reserve(k_start, k_wall, client_of(1)).reservation->addresses.empty());
}

TEST_F(RelayServerTest, AReservationEndsAfterItsLifetime) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  EXPECT_EQ(server.next_timeout(), k_start + 1h);
  server.handle_timeout(k_start + 1h - 1ns);
  EXPECT_EQ(connect(server, client_of(2), peer_of(1), k_start + 1h - 1ns), Status::ok);
  EXPECT_EQ(connect(server, client_of(2), peer_of(1), k_start + 1h), Status::no_reservation) << "although no timer ran";
  const auto told = events(server);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_FALSE(std::get<ReservationMade>(told[0]).is_refresh);
  EXPECT_EQ(std::get<ReservationEnded>(told[1]).why, ReservationEnd::expired);
  EXPECT_FALSE(server.next_timeout());
}

TEST_F(RelayServerTest, ARefreshProlongsAReservation) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  EXPECT_EQ(reserve(server, client_of(1), k_start + 30min), Status::ok);
  EXPECT_EQ(server.next_timeout(), k_start + 90min);
  EXPECT_EQ(server.snapshot().reservations, 1U);
  server.handle_timeout(k_start + 90min - 1ns);
  EXPECT_EQ(server.snapshot().reservations, 1U);
  const auto told = events(server);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_TRUE(std::get<ReservationMade>(told[1]).is_refresh);
}

TEST_F(RelayServerTest, AReservationEndsWithTheConnectionThatCarriesIt) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  server.handle_connection_closed({2});
  EXPECT_EQ(server.snapshot().reservations, 1U);
  server.handle_connection_closed({1});
  EXPECT_EQ(connect(server, client_of(2), peer_of(1)), Status::no_reservation);
  EXPECT_EQ(std::get<ReservationEnded>(events(server).at(1)).why, ReservationEnd::connection_closed);
  expect_empty(server);
  server.handle_connection_closed({1});
}

TEST_F(RelayServerTest, AReservationGoesOnWithAnotherConnectionOfItsPeer) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  server.handle_connection_closed({1}, ConnectionId{50});
  EXPECT_EQ(server.connect(k_start, client_of(2), peer_of(1))->target, ConnectionId{50});
  server.handle_connection_closed({1});
  EXPECT_EQ(server.snapshot().reservations, 1U);
  server.handle_connection_closed({50});
  expect_empty(server);
}

TEST_F(RelayServerTest, APeerHasOneReservationOnTheConnectionItLastAskedOver) {
  RelayServer server = make();
  RelayClient again = client_of(1);
  again.connection = {77};
  again.address = address_of(77);
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  EXPECT_EQ(reserve(server, again), Status::ok);
  EXPECT_EQ(server.snapshot().reservations, 1U);
  EXPECT_EQ(server.snapshot().sources, 1U);
  EXPECT_EQ(server.connect(k_start, client_of(2), peer_of(1))->target, ConnectionId{77});
  server.handle_connection_closed({1});
  EXPECT_EQ(server.snapshot().reservations, 1U) << "it is not carried by that one any more";
  server.handle_connection_closed({77});
  server.handle_connection_closed({2});
  expect_empty(server);
}

TEST_F(RelayServerTest, ReservationsAreLimitedInTotal) {
  RelayServer server = make();
  for (unsigned i = 1; i <= 128; ++i) ASSERT_EQ(reserve(server, client_of(i)), Status::ok) << i;
  EXPECT_EQ(reserve(server, client_of(129)), Status::reservation_refused);
  EXPECT_EQ(reserve(server, client_of(128)), Status::ok) << "a refresh needs no room";
  EXPECT_EQ(server.snapshot().reservations, 128U);
  server.handle_connection_closed({5});
  EXPECT_EQ(reserve(server, client_of(129)), Status::ok);
  EXPECT_EQ(server.snapshot().reservations_granted, 130U);
  EXPECT_EQ(server.snapshot().reservations_refused, 1U);
}

TEST_F(RelayServerTest, ReservationsAreLimitedPerSource) {
  RelayServer server = make();
  const auto v6 = [](unsigned subnet, unsigned host) {
    std::array<std::uint8_t, 16> octets{0x20, 0x01, 0x0d, 0xb8, 0, 0, static_cast<std::uint8_t>(subnet), 0};
    octets[15] = static_cast<std::uint8_t>(host);
    octets[7] = static_cast<std::uint8_t>(host);
    return IpAddress::v6(octets);
  };
  for (unsigned i = 1; i <= 8; ++i) {
    RelayClient squatter = client_of(i);
    squatter.address = v6(1, i);
    EXPECT_EQ(reserve(server, squatter), Status::ok);
  }
  RelayClient squatter = client_of(9);
  squatter.address = v6(1, 9);
  EXPECT_EQ(reserve(server, squatter), Status::reservation_refused) << "one /56";
  squatter.address = v6(2, 9);
  EXPECT_EQ(reserve(server, squatter), Status::ok);
  RelayClient refreshing = client_of(3);
  refreshing.address = v6(1, 3);
  EXPECT_EQ(reserve(server, refreshing), Status::ok);
  RelayClient moved = client_of(9);
  moved.address = v6(1, 9);
  EXPECT_EQ(reserve(server, moved), Status::reservation_refused) << "a refresh from a full source";
  EXPECT_EQ(server.snapshot().reservations, 9U) << "what it had stays";
}

TEST_F(RelayServerTest, RelaysAreNotAskedOverRelays) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  RelayClient relayed = client_of(2);
  relayed.is_relayed = true;
  const circuit::HopMessage answer = server.reserve(k_start, k_wall, relayed);
  EXPECT_EQ(answer, circuit::HopMessage::answer(Status::permission_denied)) << "nothing else in it";
  EXPECT_EQ(connect(server, relayed, peer_of(1)), Status::permission_denied);
  EXPECT_EQ(server.snapshot().circuits_refused, 1U);
}

// --- CONNECT --------------------------------------------------------------------------------------------------------

TEST_F(RelayServerTest, ACircuitLeadsToTheConnectionOfTheReservation) {
  RelayServer::Limits limits = limits_without_rates();
  limits.circuit = {.duration = 7, .data = 8};
  RelayServer server = make(limits);
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  const auto admitted = server.connect(k_start, client_of(2), peer_of(1));
  ASSERT_TRUE(admitted);
  EXPECT_EQ(admitted->target, ConnectionId{1});
  EXPECT_EQ(admitted->limit, limits.circuit);
  EXPECT_EQ(server.snapshot().circuits, 1U);
  server.circuit_ended(admitted->circuit);
  server.circuit_ended(admitted->circuit);
  EXPECT_EQ(server.snapshot().circuits, 0U);
  EXPECT_EQ(server.snapshot().peers, 0U);
}

TEST_F(RelayServerTest, WithoutReservationThereIsNoCircuit) {
  RelayServer server = make();
  EXPECT_EQ(connect(server, client_of(2), peer_of(1)), Status::no_reservation);
  EXPECT_EQ(reserve(server, client_of(2)), Status::ok);
  EXPECT_EQ(connect(server, client_of(2), peer_of(1)), Status::no_reservation) << "the initiator's does not count";
  EXPECT_EQ(connect(server, client_of(2), peer_of(2)), Status::permission_denied) << "to itself";
  EXPECT_EQ(connect(server, client_of(3), identity.peer_id()), Status::no_reservation) << "to the relay";
}

TEST_F(RelayServerTest, CircuitsAreLimitedPerPeerInBothRoles) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  EXPECT_EQ(reserve(server, client_of(2)), Status::ok);
  for (unsigned i = 0; i < 16; ++i) EXPECT_EQ(connect(server, client_of(100 + i), peer_of(1)), Status::ok);
  EXPECT_EQ(connect(server, client_of(200), peer_of(1)), Status::resource_limit_exceeded) << "as target";
  EXPECT_EQ(connect(server, client_of(1), peer_of(2)), Status::resource_limit_exceeded) << "as initiator";
  EXPECT_EQ(connect(server, client_of(100), peer_of(2)), Status::ok);
  EXPECT_EQ(reserve(server, client_of(3)), Status::ok);
  for (unsigned i = 0; i < 15; ++i) EXPECT_EQ(connect(server, client_of(4), peer_of(i % 2 == 0 ? 2 : 3)), Status::ok);
  EXPECT_EQ(connect(server, client_of(4), peer_of(3)), Status::ok);
  EXPECT_EQ(connect(server, client_of(4), peer_of(3)), Status::resource_limit_exceeded);
}

TEST_F(RelayServerTest, CircuitsAreLimitedPerSourceAndInTotal) {
  RelayServer::Limits limits = limits_without_rates();
  limits.circuits_per_source = 3;
  limits.circuits = 5;
  RelayServer server = make(limits);
  for (unsigned i = 1; i <= 2; ++i) EXPECT_EQ(reserve(server, client_of(i)), Status::ok);
  for (unsigned i = 10; i < 14; ++i) {
    RelayClient neighbour = client_of(i);
    neighbour.address = address_of(10);
    EXPECT_EQ(connect(server, neighbour, peer_of(1)), i < 13 ? Status::ok : Status::resource_limit_exceeded);
  }
  EXPECT_EQ(connect(server, client_of(20), peer_of(1)), Status::ok);
  const auto last = server.connect(k_start, client_of(21), peer_of(2));
  ASSERT_TRUE(last);
  EXPECT_EQ(connect(server, client_of(22), peer_of(2)), Status::resource_limit_exceeded);
  server.circuit_ended(last->circuit);
  EXPECT_EQ(connect(server, client_of(22), peer_of(2)), Status::ok);
}

TEST_F(RelayServerTest, CircuitsEndWithEitherConnection) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  const auto first = server.connect(k_start, client_of(2), peer_of(1));
  EXPECT_EQ(connect(server, client_of(3), peer_of(1)), Status::ok);
  server.handle_connection_closed({2});
  EXPECT_EQ(server.snapshot().circuits, 1U);
  server.circuit_ended(first->circuit);
  EXPECT_EQ(server.snapshot().circuits, 1U) << "it has ended before";
  server.handle_connection_closed({1});
  expect_empty(server);
}

TEST_F(RelayServerTest, ACircuitOutlivesTheReservation) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  const auto admitted = server.connect(k_start + 1h - 1s, client_of(2), peer_of(1));
  server.handle_timeout(k_start + 1h);
  EXPECT_EQ(server.snapshot().reservations, 0U);
  EXPECT_EQ(server.snapshot().circuits, 1U);
  server.circuit_ended(admitted->circuit);
  expect_empty(server);
}

// --- storms ---------------------------------------------------------------------------------------------------------

TEST_F(RelayServerTest, APeerMayAskOnlySoOften) {
  RelayServer server = make(RelayServer::Limits());
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  std::size_t admitted = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto circuit = server.connect(k_start, client_of(2), peer_of(1));
    if (!circuit) {
      EXPECT_EQ(circuit.error(), Status::resource_limit_exceeded);
      continue;
    }
    ++admitted;
    server.circuit_ended(circuit->circuit);
  }
  EXPECT_EQ(admitted, 30U);
  EXPECT_EQ(reserve(server, client_of(2)), Status::reservation_refused) << "one budget for both";
  EXPECT_EQ(connect(server, client_of(2), peer_of(1), k_start + 1s), Status::ok);
  EXPECT_EQ(connect(server, client_of(2), peer_of(1), k_start + 1s), Status::resource_limit_exceeded);
  EXPECT_EQ(connect(server, client_of(3), peer_of(1)), Status::ok) << "others are not held back";
}

TEST_F(RelayServerTest, ASourceMayAskOnlySoOften) {
  RelayServer server = make(RelayServer::Limits());
  std::size_t allowed = 0;
  for (unsigned i = 1; i <= 500; ++i) {
    RelayClient one_of_many = client_of(i);
    one_of_many.address = address_of(1);
    if (connect(server, one_of_many, peer_of(1000)) == Status::no_reservation) ++allowed;
  }
  EXPECT_EQ(allowed, 60U);
  EXPECT_EQ(connect(server, client_of(2000), peer_of(1000)), Status::no_reservation);
}

// --- turning it off -------------------------------------------------------------------------------------------------

TEST_F(RelayServerTest, WhileDrainingWhatStandsGoesOn) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  EXPECT_EQ(connect(server, client_of(2), peer_of(1)), Status::ok);
  server.set_mode(RelayMode::draining);
  EXPECT_EQ(reserve(server, client_of(1)), Status::reservation_refused);
  EXPECT_EQ(reserve(server, client_of(3)), Status::reservation_refused);
  EXPECT_EQ(connect(server, client_of(3), peer_of(1)), Status::resource_limit_exceeded);
  EXPECT_EQ(server.snapshot().reservations, 1U);
  EXPECT_EQ(server.snapshot().circuits, 1U);
  server.set_mode(RelayMode::serving);
  EXPECT_EQ(reserve(server, client_of(3)), Status::ok);
}

TEST_F(RelayServerTest, TurnedOffItHasNoReservations) {
  RelayServer server = make();
  EXPECT_EQ(reserve(server, client_of(1)), Status::ok);
  const auto admitted = server.connect(k_start, client_of(2), peer_of(1));
  (void)events(server);
  server.set_mode(RelayMode::off);
  const auto told = events(server);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(std::get<ReservationEnded>(told[0]).why, ReservationEnd::turned_off);
  EXPECT_EQ(reserve(server, client_of(1)), Status::permission_denied);
  EXPECT_EQ(connect(server, client_of(3), peer_of(1)), Status::permission_denied);
  EXPECT_EQ(server.snapshot().circuits, 1U);
  server.circuit_ended(admitted->circuit);
  expect_empty(server);
}

}  // namespace
}  // namespace dig::relay
