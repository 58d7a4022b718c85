// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace dig::crypto {
namespace {

const EVP_CIPHER* chacha20_poly1305() {
  static EVP_CIPHER* const algorithm = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  require_openssl(algorithm != nullptr);
  return algorithm;
}

}  // namespace

Aead::Aead(const Secret<32>& key) : context_(EVP_CIPHER_CTX_new()) {
  require_openssl(context_ != nullptr);
  require_openssl(EVP_CipherInit_ex2(context_.get(), chacha20_poly1305(), octets(key.view()), nullptr, 1, nullptr) ==
                  1);
}

void Aead::start(std::uint64_t nonce, BytesView additional, bool is_sealing) {
  std::array<unsigned char, 12> iv{};  // Noise §12.2
  for (std::size_t i = 0; i < 8; ++i) iv[4 + i] = static_cast<unsigned char>(nonce >> (8 * i));
  require_openssl(EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, iv.data(), is_sealing ? 1 : 0, nullptr) == 1);
  if (additional.empty()) return;
  int written = 0;
  require_openssl(EVP_CipherUpdate(context_.get(), nullptr, &written, octets(additional),
                                   static_cast<int>(additional.size())) == 1);
}

void Aead::seal_in_place(MutableBytes buffer, std::size_t plaintext_size, std::uint64_t nonce, BytesView additional) {
  if (buffer.size() < tag_size || plaintext_size > buffer.size() - tag_size) throw std::length_error("AEAD buffer");
  start(nonce, additional, true);
  int written = 0;
  if (plaintext_size > 0) {
    require_openssl(EVP_CipherUpdate(context_.get(), writable_octets(buffer), &written, octets(buffer),
                                     static_cast<int>(plaintext_size)) == 1);
  }
  const MutableBytes tag = buffer.subspan(plaintext_size, tag_size);
  require_openssl(EVP_CipherFinal_ex(context_.get(), writable_octets(tag), &written) == 1);
  require_openssl(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag_size), tag.data()) ==
                  1);
}

Result<std::size_t> Aead::open(BytesView ciphertext, MutableBytes out, std::uint64_t nonce, BytesView additional) {
  if (ciphertext.size() < tag_size) return fail(Errc::decrypt_failed, "shorter than its tag");
  const std::size_t size = ciphertext.size() - tag_size;
  if (out.size() < size) return fail(Errc::oversized, "no room for the plaintext");
  start(nonce, additional, false);
  std::array<std::byte, tag_size> tag;  // a copy: `out` may cover the ciphertext
  std::ranges::copy(ciphertext.last(tag_size), tag.begin());
  require_openssl(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag_size), tag.data()) ==
                  1);
  int written = 0;
  if (size > 0) {
    require_openssl(EVP_CipherUpdate(context_.get(), writable_octets(out), &written, octets(ciphertext),
                                     static_cast<int>(size)) == 1);
  }
  unsigned char nothing[EVP_MAX_BLOCK_LENGTH];
  if (EVP_CipherFinal_ex(context_.get(), nothing, &written) != 1) {
    ERR_clear_error();
    wipe(out.first(size));
    return fail(Errc::decrypt_failed);
  }
  return size;
}

}  // namespace dig::crypto
