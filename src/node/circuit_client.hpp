// SPDX-License-Identifier: Apache-2.0
// This node as a client of circuit relays: streams that ask for a reservation or a circuit, and those on which a relay
// brings a circuit.
#pragma once

#include <memory>
#include <optional>

#include "node/link_carrier.hpp"
#include "node/stream_handler.hpp"
#include "proto/relay/requests.hpp"
#include "proto/relay/reservation_keeper.hpp"
#include "proto/relay/responders.hpp"

namespace dig::node {

// A stream that carries, or is about to carry, a circuit.
struct CircuitCarrier {
  ConnectionId connection;  // to the relay
  StreamId stream;
};

class CircuitClientHost : public CarriedLinks {
 public:
  // What was asked for stands: the link that it is to carry, or nothing when nobody wants it any more.
  [[nodiscard]] virtual std::optional<ConnectionId> handle_circuit_made(Instant now, DialId dial,
                                                                        const CircuitCarrier& carrier,
                                                                        const circuit::Limit& limit) = 0;
  virtual void handle_circuit_failed(Instant now, DialId dial, const Error& why) = 0;
  // Whether there is room for one more that a peer opens.
  [[nodiscard]] virtual bool admits_circuit(ConnectionId relay) const = 0;
  [[nodiscard]] virtual ConnectionId handle_circuit_accepted(Instant now, const CircuitCarrier& carrier,
                                                             const relay::CircuitOffered& offer) = 0;
  virtual void handle_reserved(Instant now, relay::AttemptId attempt, relay::GrantedReservation reservation) = 0;
  virtual void handle_reserve_failed(Instant now, relay::AttemptId attempt, const Error& why) = 0;
};

// On a hop stream to `relay`.
[[nodiscard]] std::unique_ptr<StreamHandler> make_circuit_request(Instant now, CircuitClientHost& host, DialId dial,
                                                                  ConnectionId relay, const PeerId& target);
[[nodiscard]] std::unique_ptr<StreamHandler> make_reserve_request(Instant now, CircuitClientHost& host,
                                                                  relay::AttemptId attempt,
                                                                  relay::ReserveRequest request);
// On a stop stream that a relay has opened.
[[nodiscard]] std::unique_ptr<StreamHandler> make_circuit_responder(Instant now, CircuitClientHost& host,
                                                                    ConnectionId relay);

}  // namespace dig::node
