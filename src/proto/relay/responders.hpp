// SPDX-License-Identifier: Apache-2.0
// Who answers on hop and stop streams: the relay its clients, and a peer the relay that brings it a circuit.
#pragma once

#include <variant>

#include "proto/relay/response_stream.hpp"
#include "wire/circuit_message.hpp"

namespace dig::relay {

struct ReserveAsked {};
struct ConnectAsked {
  PeerId target;  // addresses of it are not looked at: a relay does not dial for others
};

struct HopProtocol {
  using Request = std::variant<ReserveAsked, ConnectAsked>;
  using Message = circuit::HopMessage;
  [[nodiscard]] static Result<Request> read(BytesView message);
  [[nodiscard]] static bool asks_for_circuit(const Request& request) {
    return std::holds_alternative<ConnectAsked>(request);
  }
};

// A circuit from `initiator`, as the relay says: proven only by the handshake on the circuit itself.
struct CircuitOffered {
  PeerId initiator;
  circuit::Limit limit;
};

struct StopProtocol {
  using Request = CircuitOffered;
  using Message = circuit::StopMessage;
  [[nodiscard]] static Result<Request> read(BytesView message);
  [[nodiscard]] static bool asks_for_circuit(const Request&) { return true; }
};

// In a hop stream the answer to CONNECT waits for the stop stream.
using HopResponder = ResponseStream<HopProtocol>;
using StopResponder = ResponseStream<StopProtocol>;

}  // namespace dig::relay
