// SPDX-License-Identifier: Apache-2.0
// The libp2p signed envelope (RFC 0002 of the libp2p specs): some bytes, what they are, and who vouches for them. Peer
// records, reservation vouchers and everything in the directory travel in one. The domain keeps a signature that was
// made for one purpose from being used for another; it is not in the envelope, both sides know it.
#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/identity.hpp"
#include "wire/peer_id.hpp"
#include "wire/public_key.hpp"

namespace dig {

struct SignedEnvelope {
  static constexpr std::size_t max_encoded_size = std::size_t{64} * 1024;
  static constexpr std::size_t max_payload_type = 64;
  static constexpr std::size_t max_signature = 1024;

  PublicKey public_key;
  Bytes payload_type;
  Bytes payload;
  Bytes signature;

  [[nodiscard]] static SignedEnvelope seal(const Identity& identity, std::string_view domain, BytesView payload_type,
                                           BytesView payload);
  // Only the form: nothing is proven before verify(). Errors: malformed, oversized, bad_public_key.
  [[nodiscard]] static Result<SignedEnvelope> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;

  // Errors: malformed (another payload type), bad_public_key, bad_signature.
  [[nodiscard]] Result<void> verify(std::string_view domain, BytesView expected_type) const;
  // Who signed, once it is verified.
  [[nodiscard]] PeerId signer() const { return PeerId::from_public_key(public_key); }

  friend bool operator==(const SignedEnvelope&, const SignedEnvelope&) = default;
};

}  // namespace dig
