// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstring>
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

namespace {

// A context of its own for each algorithm and thread: a keyed start is then all that a MAC costs beyond its input.
class Hmac {
 public:
  explicit Hmac(const char* digest) {
    static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    require_openssl(algorithm != nullptr);
    context_ = EVP_MAC_CTX_new(algorithm);
    require_openssl(context_ != nullptr);
    char name[8] = {};
    std::strncpy(name, digest, sizeof name - 1);
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                     OSSL_PARAM_construct_end()};
    require_openssl(EVP_MAC_CTX_set_params(context_, parameters) == 1);
  }
  ~Hmac() { EVP_MAC_CTX_free(context_); }
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;

  void compute(BytesView key, std::initializer_list<BytesView> parts, MutableBytes out) {
    constexpr std::byte k_nothing{};
    if (key.data() == nullptr) key = BytesView(&k_nothing, 0);  // a null key would mean the one from before
    require_openssl(EVP_MAC_init(context_, octets(key), key.size(), nullptr) == 1);
    for (const BytesView part : parts) require_openssl(EVP_MAC_update(context_, octets(part), part.size()) == 1);
    std::size_t size = 0;
    require_openssl(EVP_MAC_final(context_, writable_octets(out), &size, out.size()) == 1);
    require_openssl(size == out.size());
  }

 private:
  EVP_MAC_CTX* context_ = nullptr;
};

}  // namespace

Sha256Digest hmac_sha256(BytesView key, std::initializer_list<BytesView> parts) {
  thread_local Hmac hmac("SHA256");
  Sha256Digest digest;
  hmac.compute(key, parts, digest);
  return digest;
}

Sha256Digest hmac_sha256(BytesView key, BytesView input) { return hmac_sha256(key, {input}); }

Sha1Digest hmac_sha1(BytesView key, std::initializer_list<BytesView> parts) {
  thread_local Hmac hmac("SHA1");
  Sha1Digest digest;
  hmac.compute(key, parts, digest);
  return digest;
}

namespace {

void digest_once(const EVP_MD* algorithm, std::initializer_list<BytesView> parts, MutableBytes out) {
  require_openssl(algorithm != nullptr);
  const OpensslPtr<evp_md_ctx_st> context(EVP_MD_CTX_new());
  require_openssl(context != nullptr && EVP_DigestInit_ex2(context.get(), algorithm, nullptr) == 1);
  for (const BytesView part : parts) {
    require_openssl(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  }
  require_openssl(EVP_DigestFinal_ex(context.get(), writable_octets(out), nullptr) == 1);
}

}  // namespace

Sha1Digest sha1(std::initializer_list<BytesView> parts) {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  Sha1Digest digest;
  digest_once(algorithm, parts, digest);
  return digest;
}

Md5Digest md5(std::initializer_list<BytesView> parts) {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "MD5", nullptr);
  Md5Digest digest;
  digest_once(algorithm, parts, digest);
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
