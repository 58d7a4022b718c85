// SPDX-License-Identifier: Apache-2.0
// The libp2p protobuf PublicKey: its type and key bytes as the peer encodes them (peer-ids spec).
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

enum class KeyType : std::uint8_t { rsa = 0, ed25519 = 1, secp256k1 = 2, ecdsa = 3 };

struct PublicKey {
  KeyType type = KeyType::ed25519;
  Bytes data;  // ed25519: 32 bytes; secp256k1: 33 compressed; ecdsa and rsa: DER SubjectPublicKeyInfo

  // Sizes are checked here, before any key parser sees the bytes: ed25519 = 32, secp256k1 = 33, ecdsa <= 256,
  // rsa <= 1024 bytes. Unknown types, repeated and unknown fields are refused: the encoding must be the canonical one.
  [[nodiscard]] static Result<PublicKey> decode(BytesView protobuf);
  // Deterministic: field 1 (type), then field 2 (data), minimal varints.
  [[nodiscard]] Bytes encode() const;
  [[nodiscard]] static PublicKey ed25519(BytesView key);

  friend bool operator==(const PublicKey&, const PublicKey&) = default;
};

}  // namespace dig
