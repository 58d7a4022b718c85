// SPDX-License-Identifier: Apache-2.0
// X25519 key agreement (RFC 7748).
#pragma once

#include <array>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "crypto/openssl_ptr.hpp"
#include "crypto/secret.hpp"

namespace dig::crypto {

using X25519PublicKey = std::array<std::byte, 32>;

class X25519KeyPair {
 public:
  [[nodiscard]] static X25519KeyPair generate(Rng& rng);
  explicit X25519KeyPair(const Secret<32>& private_key);

  [[nodiscard]] const X25519PublicKey& public_key() const noexcept { return public_key_; }
  // RFC 7748 §6.1: fails with bad_public_key when the shared secret is all zeros, which a peer point of small order
  // makes it, and when the peer's key has not 32 bytes.
  [[nodiscard]] Result<Secret<32>> agree(BytesView peer_public_key) const;

 private:
  OpensslPtr<evp_pkey_st> key_;
  X25519PublicKey public_key_{};
};

}  // namespace dig::crypto
