// SPDX-License-Identifier: Apache-2.0
// What a relay should decide, in the plainest way: lists that are counted through each time. The book is held against
// it. Request rates are not in it. Test-only.
#pragma once

#include <vector>

#include "proto/relay/relay_server.hpp"

namespace dig::relay::testing {

class RelayModel {
 public:
  explicit RelayModel(const RelayServer::Limits& limits) : limits_(limits) {}

  [[nodiscard]] circuit::Status reserve(Instant now, const RelayClient& client);
  // OK: to be followed by circuit_opened().
  [[nodiscard]] circuit::Status connect(Instant now, const RelayClient& client, const PeerId& target);
  void circuit_opened(CircuitId id, const RelayClient& client, const PeerId& target);
  void circuit_ended(CircuitId id);
  void connection_closed(ConnectionId connection, std::optional<ConnectionId> another);
  void advance(Instant now);
  void set_mode(RelayMode mode);

  [[nodiscard]] std::optional<ConnectionId> carrier_of(const PeerId& peer) const;
  [[nodiscard]] std::size_t reservations() const { return reservations_.size(); }
  [[nodiscard]] std::size_t circuits() const { return circuits_.size(); }
  // Nobody has more than the limits allow.
  [[nodiscard]] bool is_within_limits() const;

 private:
  struct Reservation {
    PeerId peer;
    ConnectionId connection;
    IpAddress address;
    Instant expires;
  };
  struct Circuit {
    CircuitId id;
    PeerId initiator;
    PeerId target;
    IpAddress address;  // of the initiator
    ConnectionId hop;
    ConnectionId stop;
  };

  [[nodiscard]] std::size_t reservations_near(const IpAddress& address, const PeerId* without) const;
  [[nodiscard]] std::size_t circuits_of(const PeerId& peer) const;
  [[nodiscard]] std::size_t circuits_near(const IpAddress& address) const;

  RelayServer::Limits limits_;
  RelayMode mode_ = RelayMode::serving;
  std::vector<Reservation> reservations_;
  std::vector<Circuit> circuits_;
};

}  // namespace dig::relay::testing
