// SPDX-License-Identifier: Apache-2.0
// Ed25519 signatures (RFC 8032).
#pragma once

#include <array>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "crypto/openssl_ptr.hpp"
#include "crypto/secret.hpp"

namespace dig::crypto {

using Ed25519PublicKey = std::array<std::byte, 32>;
using Ed25519Signature = std::array<std::byte, 64>;

class Ed25519KeyPair {
 public:
  [[nodiscard]] static Ed25519KeyPair generate(Rng& rng);
  [[nodiscard]] static Result<Ed25519KeyPair> from_seed(BytesView seed);  // 32 bytes, else invalid_argument

  [[nodiscard]] const Ed25519PublicKey& public_key() const noexcept { return public_key_; }
  [[nodiscard]] const Secret<32>& seed() const noexcept { return seed_; }
  [[nodiscard]] Ed25519Signature sign(BytesView message) const;

 private:
  explicit Ed25519KeyPair(Secret<32> seed);

  Secret<32> seed_;
  OpensslPtr<evp_pkey_st> key_;
  Ed25519PublicKey public_key_{};
};

// bad_public_key when the key is not acceptable, see ed25519_verify.
[[nodiscard]] Result<void> check_ed25519_key(BytesView public_key);

// bad_public_key: not 32 bytes, not canonical, or of small order (such a key has signatures that fit any message).
// bad_signature: everything else that does not verify.
[[nodiscard]] Result<void> ed25519_verify(BytesView public_key, BytesView message, BytesView signature);

}  // namespace dig::crypto
