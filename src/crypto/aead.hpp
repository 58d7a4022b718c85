// SPDX-License-Identifier: Apache-2.0
// ChaCha20-Poly1305 (RFC 8439) with a counter as nonce in Noise's form: 4 zero bytes, then the counter little-endian.
// The context is made once per key; sealing and opening packets allocates nothing.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/openssl_ptr.hpp"
#include "crypto/secret.hpp"

namespace dig::crypto {

class Aead {
 public:
  static constexpr std::size_t tag_size = 16;

  explicit Aead(const Secret<32>& key);

  // Encrypts the first `plaintext_size` bytes of `buffer` where they stand and writes the tag after them.
  // buffer.size() >= plaintext_size + tag_size. A nonce must never be used twice with one key.
  void seal_in_place(MutableBytes buffer, std::size_t plaintext_size, std::uint64_t nonce, BytesView additional);

  // Decrypts into `out`, which may be the same memory as `ciphertext`, and returns the size of the plaintext.
  // On decrypt_failed nothing of the plaintext is left in `out`. out.size() + tag_size >= ciphertext.size(), otherwise
  // oversized.
  [[nodiscard]] Result<std::size_t> open(BytesView ciphertext, MutableBytes out, std::uint64_t nonce,
                                         BytesView additional);

 private:
  void start(std::uint64_t nonce, BytesView additional, bool is_sealing);

  OpensslPtr<evp_cipher_ctx_st> context_;
};

}  // namespace dig::crypto
