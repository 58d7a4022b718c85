// SPDX-License-Identifier: Apache-2.0
// Signed envelopes: what is accepted survives encoding, and nothing that was not signed is verified.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/signed_envelope.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto envelope = dig::SignedEnvelope::decode(std::as_bytes(std::span(data, size)));
  if (!envelope) return 0;
  const auto again = dig::SignedEnvelope::decode(envelope->encode());
  if (!again || *again != *envelope) std::abort();
  // No corpus entry is signed for this domain.
  if (envelope->verify("nobody signs for this", envelope->payload_type)) std::abort();
  return 0;
}
