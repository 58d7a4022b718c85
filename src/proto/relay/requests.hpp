// SPDX-License-Identifier: Apache-2.0
// What is asked on hop and stop streams, and what the answers mean.
#pragma once

#include <optional>
#include <vector>

#include "proto/relay/request_stream.hpp"
#include "wire/circuit_message.hpp"
#include "wire/reservation_voucher.hpp"

namespace dig::relay {

// A reservation as the client has it.
struct GrantedReservation {
  UnixTime expiration;
  std::vector<Multiaddr> addresses;  // of the relay, as it says
  circuit::Limit limit;              // of the circuits that will come
  std::optional<ReservationVoucher> voucher;
};

// The errors of every answer: those of decoding; protocol_violation: an answer of another type; those of refusal().

// hop RESERVE, by a client to a relay. A voucher that is not for this client at this relay is an error.
struct ReserveRequest {
  using Answer = GrantedReservation;
  PeerId relay;
  PeerId client;

  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] Result<Answer> read_answer(BytesView message) const;
};

// hop CONNECT, by a client to a relay. The answer is what the relay allows the circuit.
struct ConnectRequest {
  using Answer = circuit::Limit;
  PeerId target;

  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] Result<Answer> read_answer(BytesView message) const;
};

// stop CONNECT, by a relay to the peer that a circuit leads to.
struct StopRequest {
  using Answer = void;
  PeerId initiator;
  circuit::Limit limit;

  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] Result<Answer> read_answer(BytesView message) const;
};

using ReserveClient = RequestStream<ReserveRequest>;
using ConnectClient = RequestStream<ConnectRequest>;
using StopClient = RequestStream<StopRequest>;

// Longer than a relay gives its stop streams, so that the client hears why.
inline constexpr Duration k_hop_timeout = 60s;
inline constexpr Duration k_stop_timeout = 30s;

}  // namespace dig::relay
