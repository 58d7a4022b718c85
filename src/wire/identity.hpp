// SPDX-License-Identifier: Apache-2.0
// This node's identity: an Ed25519 key pair with what follows from it (PeerId, crypto-IPv6), the content of the key
// file, and the verification of any peer's signature.
#pragma once

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "crypto/ed25519.hpp"
#include "wire/peer_id.hpp"
#include "wire/public_key.hpp"

namespace dig {

class Identity {
 public:
  [[nodiscard]] static Identity generate(Rng& rng);
  [[nodiscard]] static Result<Identity> from_seed(BytesView seed);  // 32 bytes, else invalid_argument

  [[nodiscard]] const PeerId& peer_id() const noexcept { return peer_id_; }
  [[nodiscard]] const PublicKey& public_key() const noexcept { return public_key_; }
  [[nodiscard]] IpAddress crypto_ipv6() const;
  [[nodiscard]] crypto::Ed25519Signature sign(BytesView message) const { return key_.sign(message); }
  [[nodiscard]] const crypto::Ed25519KeyPair& key_pair() const noexcept { return key_; }

 private:
  explicit Identity(crypto::Ed25519KeyPair key);

  crypto::Ed25519KeyPair key_;
  PublicKey public_key_;
  PeerId peer_id_;
};

// fd00 followed by bytes 2..15 of SHA-256 of the key bytes (the 32 bytes of an Ed25519 key). An index for logs and
// records, always derived here and never taken from the wire; the PeerId stays the authenticator.
[[nodiscard]] IpAddress crypto_ipv6(const PublicKey& key);

// For every key type. bad_public_key: the key is not acceptable; bad_signature: it did not sign this message.
[[nodiscard]] Result<void> verify_signature(const PublicKey& key, BytesView message, BytesView signature);

// Whether verify_signature could ever accept something from this key.
[[nodiscard]] Result<void> check_public_key(const PublicKey& key);

// The content of identity.key: libp2p's protobuf PrivateKey {Type = Ed25519, Data = seed and public key}, so that other
// libp2p programs can use the file. Decoding is strict (exactly these 68 bytes, the public key must belong to the
// seed); every failure is identity_malformed.
inline constexpr std::size_t k_identity_file_size = 68;
[[nodiscard]] crypto::Secret<k_identity_file_size> encode_identity_file(const Identity& identity);
[[nodiscard]] Result<Identity> decode_identity_file(BytesView content);

}  // namespace dig
