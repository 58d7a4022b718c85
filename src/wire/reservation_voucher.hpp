// SPDX-License-Identifier: Apache-2.0
// The reservation voucher of circuit relay v2 (circuit-v2 spec, "Reservation Vouchers"): a relay's signed word that it
// serves a peer. It travels in a signed envelope; relays have keys of any type.
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "wire/identity.hpp"
#include "wire/peer_id.hpp"

namespace dig {

struct ReservationVoucher {
  PeerId relay;
  PeerId peer;
  UnixTime expiration;

  // An encoded envelope, signed by `identity`, who must be the relay.
  [[nodiscard]] Bytes seal(const Identity& identity) const;
  // Errors: those of SignedEnvelope; malformed; peer_id_mismatch: somebody else than the relay signed it.
  [[nodiscard]] static Result<ReservationVoucher> open(BytesView envelope);
  friend bool operator==(const ReservationVoucher&, const ReservationVoucher&) = default;
};

}  // namespace dig
