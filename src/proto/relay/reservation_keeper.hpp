// SPDX-License-Identifier: Apache-2.0
// Keeps this node reachable over relays: a reservation at each of a few of them, refreshed well before it expires, made
// again when the connection that carries it dies. It asks its owner to connect and to reserve, and says which relayed
// addresses lead here now.
//
// A relay that refuses is given up, and its owner told why. A relay that cannot be reached is tried again, less and
// less often; so is a refresh, for as long as the reservation lasts.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "base/rng.hpp"
#include "base/strong_id.hpp"
#include "proto/relay/relay_server.hpp"
#include "proto/relay/requests.hpp"

namespace dig::relay {

using AttemptId = StrongId<struct RelayAttemptTag>;

// --- requests to the owner; answers to an attempt that is over are ignored ------------------------------------------
// Find or make a direct connection, never a circuit. Answered by handle_connected or handle_failed.
struct ConnectRelay {
  AttemptId attempt;
  PeerId relay;
  std::vector<Multiaddr> addresses;
};
// Open a hop stream for a ReserveClient. Answered by handle_reserved or handle_failed.
struct OpenReserveStream {
  AttemptId attempt;
  PeerId relay;
  ConnectionId connection;
};
// --- facts ----------------------------------------------------------------------------------------------------------
struct RelayedAddressesChanged {};  // see relayed_addresses()
struct RelayGivenUp {               // it is not kept any more
  PeerId relay;
  Error why;
};
using KeeperEvent = std::variant<ConnectRelay, OpenReserveStream, RelayedAddressesChanged, RelayGivenUp>;

struct KeptRelay {
  PeerId relay;
  std::optional<ConnectionId> connection;  // over which the reservation is or is asked for
  std::optional<Instant> reserved_until;   // absent: no reservation now
  std::optional<Instant> next_attempt;     // a refresh, or another try
  circuit::Limit limit;                    // of the circuits over it
  std::size_t failures = 0;                // since it last went well
  std::optional<Error> last_failure;
};
struct KeeperStatus {
  std::vector<KeptRelay> relays;
};

class ReservationKeeper {
 public:
  using Event = KeeperEvent;
  struct Limits {
    std::size_t relays = 4;
    // A relay tells the end of a reservation by its own wall clock, which may differ from ours: what comes out is taken
    // as if it lay between these two.
    Duration min_lifetime = 2min;
    Duration max_lifetime = 24h;
    Duration min_retry = 2s;  // doubled with each failure in a row
    Duration max_retry = 10min;
    Duration steady = 1min;  // a reservation that was lost sooner counts as a failure
    std::size_t addresses_per_relay = 8;
  };

  // `rng` outlives the keeper.
  ReservationKeeper(PeerId self, Rng& rng, Limits limits) : self_(std::move(self)), rng_(rng), limits_(limits) {}
  ReservationKeeper(PeerId self, Rng& rng) : ReservationKeeper(std::move(self), rng, Limits()) {}

  // limit_reached: enough relays are kept; invalid_argument: this node itself, or one that is kept already.
  [[nodiscard]] Result<void> add_relay(const PeerId& relay, std::vector<Multiaddr> addresses);
  void remove_relay(const PeerId& relay);

  // `address`: the one that was dialled; empty where the relay connected to us.
  void handle_connected(AttemptId attempt, ConnectionId connection, const Multiaddr& address);
  void handle_reserved(Instant now, UnixTime wall, AttemptId attempt, GrantedReservation reservation);
  void handle_failed(Instant now, AttemptId attempt, const Error& why);
  void handle_connection_closed(Instant now, ConnectionId connection);

  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::optional<Event> poll_event();

  // Each with /p2p/<relay>/p2p-circuit/p2p/<this node>; those that were dialled successfully come first.
  [[nodiscard]] std::vector<Multiaddr> relayed_addresses() const;
  [[nodiscard]] bool has_reservation(const PeerId& relay) const;
  [[nodiscard]] KeeperStatus snapshot() const;

 private:
  enum class State : std::uint8_t { waiting, connecting, reserving };
  struct Relay {
    struct Held {
      Instant since;
      Instant until;
      circuit::Limit limit;
      std::vector<Multiaddr> addresses;  // relayed
    };
    std::vector<Multiaddr> addresses;  // to dial
    State state = State::waiting;
    Instant next;  // while waiting: when to refresh or to try again
    AttemptId attempt;
    std::optional<ConnectionId> connection;
    Multiaddr dialled;
    std::optional<Held> held;
    std::size_t failures = 0;
    std::optional<Error> last_failure;
  };
  using Relays = std::map<PeerId, Relay>;

  [[nodiscard]] Relays::iterator find(AttemptId attempt, State state);
  void begin(const PeerId& id, Relay& relay);
  void retry(Instant now, Relay& relay, const Error& why);
  void hold(Relay& relay, std::optional<Relay::Held> held);
  // Lets go of what has expired. False: the relay is to be given up.
  [[nodiscard]] bool advance(Instant now, const PeerId& id, Relay& relay);
  [[nodiscard]] std::vector<Multiaddr> relayed(const PeerId& id, const Multiaddr& dialled,
                                               const std::vector<Multiaddr>& told) const;
  [[nodiscard]] Duration lifetime_of(UnixTime wall, UnixTime expiration) const;
  [[nodiscard]] Duration between(Duration low, Duration high);

  PeerId self_;
  Rng& rng_;
  Limits limits_;
  Relays relays_;
  std::uint64_t next_attempt_ = 1;
  std::deque<Event> events_;
};

}  // namespace dig::relay
