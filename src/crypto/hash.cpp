// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <stdexcept>

#include "crypto/secret.hpp"

namespace dig::crypto {
namespace {

// Fetching walks OpenSSL's provider tables, which costs more than hashing a small input; so it is done once.
const EVP_MD* sha256_algorithm() {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  require_openssl(algorithm != nullptr);
  return algorithm;
}

Sha256& scratch() {
  thread_local Sha256 context;
  return context;
}

}  // namespace

Sha256Digest sha256(std::initializer_list<BytesView> parts) {
  Sha256& context = scratch();
  for (const BytesView part : parts) context.update(part);
  return context.finish();
}

Sha256Digest sha256(BytesView input) { return sha256({input}); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  require_openssl(context_ != nullptr);
  require_openssl(EVP_DigestInit_ex2(context_.get(), sha256_algorithm(), nullptr) == 1);
}

void Sha256::update(BytesView input) {
  require_openssl(EVP_DigestUpdate(context_.get(), input.data(), input.size()) == 1);
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest;
  require_openssl(EVP_DigestFinal_ex(context_.get(), writable_octets(digest), nullptr) == 1);
  require_openssl(EVP_DigestInit_ex2(context_.get(), nullptr, nullptr) == 1);
  return digest;
}

Sha256Digest hmac_sha256(BytesView key, BytesView input) {
  Sha256Digest digest;
  unsigned int size = 0;
  constexpr std::byte k_nothing{};
  if (input.data() == nullptr) input = BytesView(&k_nothing, 0);  // HMAC() refuses a null input even if it is empty
  require_openssl(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), octets(input), input.size(),
                       writable_octets(digest), &size) != nullptr);
  return digest;
}

void hkdf_sha256(BytesView salt, BytesView input, BytesView info, MutableBytes out) {
  if (out.size() > 255 * sizeof(Sha256Digest)) throw std::length_error("HKDF output");
  Sha256Digest key = hmac_sha256(salt, input);  // extract
  Sha256Digest block{};                         // expand: T(n) = HMAC(key, T(n-1) | info | n)
  Bytes message;
  message.reserve(sizeof(block) + info.size() + 1);
  for (std::uint8_t counter = 1; !out.empty(); ++counter) {
    message.clear();
    if (counter > 1) append(message, block);
    append(message, info);
    message.push_back(std::byte{counter});
    block = hmac_sha256(key, message);
    const std::size_t size = std::min(out.size(), block.size());
    std::copy_n(block.begin(), size, out.begin());
    out = out.subspan(size);
  }
  wipe(key);
  wipe(block);
  wipe(message);
}

}  // namespace dig::crypto
