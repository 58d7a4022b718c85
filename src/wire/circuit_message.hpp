// SPDX-License-Identifier: Apache-2.0
// The messages of circuit relay v2 (circuit-v2 spec): hop, between a client and a relay, and stop, between a relay and
// the peer that a circuit leads to. Bounded and checked; whether a message fits where it stands is for the machines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "wire/multiaddr.hpp"
#include "wire/peer_id.hpp"

namespace dig::circuit {

inline constexpr std::size_t k_max_message_size = 4096;

// A number that is not listed is a status too; it stays what it is.
enum class Status : std::int32_t {
  unused = 0,
  ok = 100,
  reservation_refused = 200,
  resource_limit_exceeded = 201,
  permission_denied = 202,
  connection_failed = 203,
  no_reservation = 204,
  malformed_message = 400,
  unexpected_message = 401,
};
// "RESERVATION_REFUSED", or "status 999".
[[nodiscard]] std::string status_name(Status status);

// What a relay allows a circuit. 0 is no limit; a message without limit has neither.
struct Limit {
  std::uint32_t duration = 0;  // seconds
  std::uint64_t data = 0;      // bytes in each direction

  [[nodiscard]] bool is_unlimited() const noexcept { return duration == 0 && data == 0; }
  friend bool operator==(const Limit&, const Limit&) = default;
};

struct Peer {
  PeerId id;
  std::vector<Multiaddr> addresses;  // those of kinds that this version knows
  friend bool operator==(const Peer&, const Peer&) = default;
};

struct Reservation {
  UnixTime expiration;
  std::vector<Multiaddr> addresses;  // of the relay; those of kinds that this version knows
  Bytes voucher;                     // an envelope, not yet decoded; empty: some relays give none
  friend bool operator==(const Reservation&, const Reservation&) = default;
};

struct HopMessage {
  enum class Type : std::uint8_t { reserve = 0, connect = 1, status = 2 };

  Type type = Type::status;
  std::optional<Peer> peer;
  std::optional<Reservation> reservation;
  Limit limit;
  Status status = Status::unused;

  [[nodiscard]] static HopMessage reserve();
  [[nodiscard]] static HopMessage connect(PeerId target);
  [[nodiscard]] static HopMessage answer(Status status, const Limit& limit = {});

  // Errors: oversized; malformed: no protobuf, a type that is missing or unknown, a peer without a valid id.
  [[nodiscard]] static Result<HopMessage> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const HopMessage&, const HopMessage&) = default;
};

struct StopMessage {
  enum class Type : std::uint8_t { connect = 0, status = 1 };

  Type type = Type::status;
  std::optional<Peer> peer;
  Limit limit;
  Status status = Status::unused;

  [[nodiscard]] static StopMessage connect(PeerId initiator, const Limit& limit);
  [[nodiscard]] static StopMessage answer(Status status);

  [[nodiscard]] static Result<StopMessage> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const StopMessage&, const StopMessage&) = default;
};

}  // namespace dig::circuit
