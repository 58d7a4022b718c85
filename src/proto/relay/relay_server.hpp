// SPDX-License-Identifier: Apache-2.0
// The book of a relay (circuit-v2 spec, hop): who has a reservation on which connection, which circuits there are, and
// whether one more is allowed. It moves no bytes: hop streams are HopResponders, stop streams StopClients, and a
// circuit a Splice between them.
//
// Nothing is kept of a peer without reservation or circuit, and what is kept ends with its connection. What a client
// may hold is bounded for itself, for its source (an IPv4 address or an IPv6 /56) and in total, so that neither many
// names behind one address nor one name from many addresses can take all there is.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/accept_limiter.hpp"
#include "base/strong_id.hpp"
#include "base/tally.hpp"
#include "proto/relay/request_limiter.hpp"
#include "wire/circuit_message.hpp"
#include "wire/identity.hpp"

namespace dig::relay {

using ConnectionId = StrongId<struct RelayConnectionTag>;  // the owner's name of a connection
using CircuitId = StrongId<struct CircuitIdTag>;

// Who asks, and over what.
struct RelayClient {
  ConnectionId connection;
  PeerId peer;
  IpAddress address;        // from which the connection comes
  bool is_relayed = false;  // the connection is itself a circuit
};

enum class RelayMode : std::uint8_t {
  serving,
  draining,  // no new reservation, refresh or circuit; what stands goes on
  off,       // no reservation at all; circuits that stand go on
};

// --- facts ----------------------------------------------------------------------------------------------------------
struct ReservationMade {
  PeerId peer;
  ConnectionId connection;  // to be kept while the reservation lasts
  bool is_refresh = false;
};
enum class ReservationEnd : std::uint8_t { expired, connection_closed, turned_off };
struct ReservationEnded {
  PeerId peer;
  ConnectionId connection;
  ReservationEnd why = ReservationEnd::expired;
};
using RelayEvent = std::variant<ReservationMade, ReservationEnded>;

struct RelayStatus {
  std::size_t reservations = 0;
  std::size_t circuits = 0;
  std::size_t sources = 0;  // with a reservation or a circuit
  std::size_t peers = 0;    // with a circuit
  std::uint64_t reservations_granted = 0;
  std::uint64_t reservations_refused = 0;
  std::uint64_t circuits_admitted = 0;
  std::uint64_t circuits_refused = 0;
};

class RelayServer {
 public:
  using Event = RelayEvent;
  struct Limits {
    Duration reservation_lifetime = 1h;
    std::size_t reservations = 128;  // a peer has one
    std::size_t reservations_per_source = 8;
    std::size_t circuits = 1024;
    std::size_t circuits_per_peer = 16;                       // from it and to it together
    std::size_t circuits_per_source = 64;                     // from one address prefix
    circuit::Limit circuit{.duration = 120, .data = 131072};  // told to both ends and kept by the Splice
    RequestLimiter::Limits requests;
  };

  static constexpr std::size_t max_addresses = 16;
  static constexpr std::size_t max_addresses_size = 3072;  // bytes: the voucher must fit into the message too

  // `identity` outlives the server.
  RelayServer(const Identity& identity, Rng& rng, Limits limits);
  RelayServer(const Identity& identity, Rng& rng) : RelayServer(identity, rng, Limits()) {}

  // Where this node can be dialled: told with each reservation. Relayed addresses, and what exceeds the bounds above,
  // are left out.
  void set_addresses(const std::vector<Multiaddr>& addresses);
  void set_mode(RelayMode mode);

  // RESERVE: grants, refreshes or refuses; the answer to send. `wall` dates the reservation for the client, nothing
  // here depends on it.
  [[nodiscard]] circuit::HopMessage reserve(Instant now, UnixTime wall, const RelayClient& client);

  struct Admitted {
    CircuitId circuit;
    ConnectionId target;  // the connection on which to open the stop stream
    circuit::Limit limit;
  };
  // CONNECT: counts as a circuit from now on, until circuit_ended(), which the owner calls too when the stop stream
  // fails. Else the status that refuses it.
  [[nodiscard]] std::expected<Admitted, circuit::Status> connect(Instant now, const RelayClient& client,
                                                                 const PeerId& target);
  // Whatever ended it. Unknown ids, of circuits that have ended with a connection, are ignored.
  void circuit_ended(CircuitId circuit);
  // Circuits over it have ended. The reservation it carried has too, unless the same peer has `another` direct
  // connection ("as long as there is an active connection from the peer").
  void handle_connection_closed(ConnectionId connection, std::optional<ConnectionId> another = std::nullopt);

  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] RelayStatus snapshot() const;

 private:
  struct Reservation {
    ConnectionId connection;
    AcceptLimiter::Prefix source{};
    Instant expires;
  };
  struct Circuit {
    PeerId initiator;
    PeerId target;
    AcceptLimiter::Prefix source{};
    ConnectionId hop;
    ConnectionId stop;
  };
  using Reservations = std::unordered_map<PeerId, Reservation>;

  [[nodiscard]] circuit::Status refusal_of_reserve(Instant now, const RelayClient& client);
  [[nodiscard]] circuit::Status refusal_of_connect(Instant now, const RelayClient& client, const PeerId& target);
  void put(Instant now, const RelayClient& client);
  void remove(Reservations::iterator reservation, ReservationEnd why);
  void forget(const Circuit& circuit);
  [[nodiscard]] circuit::HopMessage grant(UnixTime wall, const PeerId& client) const;

  const Identity& identity_;
  Limits limits_;
  RequestLimiter limiter_;
  RelayMode mode_ = RelayMode::serving;
  std::vector<Multiaddr> addresses_;  // each with /p2p/<this relay>
  Reservations reservations_;
  std::set<std::pair<Instant, PeerId>> expiries_;
  std::unordered_map<ConnectionId, PeerId> carried_;  // by which connection
  Tally<AcceptLimiter::Prefix> reservations_of_source_;
  std::unordered_map<CircuitId, Circuit> circuits_;
  Tally<PeerId> circuits_of_peer_;
  Tally<AcceptLimiter::Prefix> circuits_of_source_;
  std::uint64_t next_circuit_ = 1;
  std::deque<Event> events_;
  RelayStatus counters_;
};

}  // namespace dig::relay
