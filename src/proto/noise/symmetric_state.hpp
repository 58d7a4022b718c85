// SPDX-License-Identifier: Apache-2.0
// The symmetric part of a Noise handshake (Noise §5.1 and §5.2): transcript hash, chaining key and handshake cipher.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/aead.hpp"
#include "crypto/hash.hpp"
#include "crypto/secret.hpp"

namespace dig::noise {

class SymmetricState {
 public:
  // `protocol_name` has at most 32 bytes.
  SymmetricState(std::string_view protocol_name, BytesView prologue);

  void mix_hash(BytesView data);
  void mix_key(BytesView input);
  // Appends the ciphertext (or, before the first mix_key, the plaintext itself) to `out` and mixes it into the hash.
  void encrypt_and_hash(BytesView plaintext, Bytes& out);
  [[nodiscard]] Result<Bytes> decrypt_and_hash(BytesView ciphertext);
  // The keys of initiator-to-responder and responder-to-initiator.
  [[nodiscard]] std::pair<crypto::Secret<32>, crypto::Secret<32>> split() const;
  // Names this very handshake on both sides (channel binding, Noise §11.2).
  [[nodiscard]] const crypto::Sha256Digest& handshake_hash() const noexcept { return hash_; }

 private:
  crypto::Sha256Digest hash_{};
  crypto::Secret<32> chaining_key_;
  std::optional<crypto::Aead> cipher_;
  std::uint64_t nonce_ = 0;
};

}  // namespace dig::noise
