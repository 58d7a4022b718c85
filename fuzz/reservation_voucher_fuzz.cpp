// SPDX-License-Identifier: Apache-2.0
// Reservation vouchers: what opens was signed by its relay, and only the very payload that was signed.
#include <cstdint>

#include "input.hpp"
#include "wire/reservation_voucher.hpp"
#include "wire/signed_envelope.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  const auto voucher = ReservationVoucher::open(input);
  if (!voucher) return 0;
  auto envelope = SignedEnvelope::decode(input);
  fuzz::require(envelope && envelope->signer() == voucher->relay && !voucher->peer.empty());
  envelope->payload.back() ^= std::byte{1};
  fuzz::require(!ReservationVoucher::open(envelope->encode()));
  return 0;
}
