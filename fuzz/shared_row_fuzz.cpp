// SPDX-License-Identifier: Apache-2.0
// Rows that several directory servers share: what is accepted agrees with itself and survives encoding byte for byte.
// The first byte chooses the slot; the peer is the signer of the envelope, or somebody else.
#include "input.hpp"
#include "store/shared_row.hpp"
#include "wire/signed_envelope.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input{data, size};
  const std::uint32_t slot = input.byte();
  const BytesView value = input.take(input.size);
  PeerId peer;
  if (value.size() > store::k_shared_row_header) {
    const auto envelope = SignedEnvelope::decode(value.subspan(store::k_shared_row_header));
    if (envelope) peer = envelope->signer();
  }
  auto row = store::decode_shared_row(peer, slot, value);
  if (!row) return 0;
  fuzz::require(!peer.empty() && row->peer == peer && row->slot == slot);
  fuzz::require(row->lifetime <= row->kept && row->kept <= store::k_max_shared_kept);
  fuzz::require(equal(store::encode_shared_row(*row), value));
  fuzz::require(!store::decode_shared_row(PeerId(), slot, value));
  const Duration lifetime = row->lifetime;
  if (slot == 0) fuzz::require(store::first_stale_slot(*row).has_value());
  store::age_shared_row(*row, row->kept - row->kept / 2);
  fuzz::require(row->lifetime <= lifetime && row->lifetime >= Duration(0) && row->kept >= Duration(0));
  return 0;
}
