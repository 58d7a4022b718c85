// SPDX-License-Identifier: Apache-2.0
// Peer records: what opens was signed by its peer, and only the very payload that was signed.
#include <cstdint>

#include "input.hpp"
#include "wire/peer_record.hpp"
#include "wire/signed_envelope.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  const auto record = PeerRecord::open(input);
  if (!record) return 0;
  auto envelope = SignedEnvelope::decode(input);
  fuzz::require(envelope && envelope->signer() == record->peer_id);
  fuzz::require(record->addresses.size() + record->skipped <= PeerRecord::max_addresses);
  envelope->payload.back() ^= std::byte{1};
  fuzz::require(!PeerRecord::open(envelope->encode()));
  return 0;
}
