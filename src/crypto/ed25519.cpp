// SPDX-License-Identifier: Apache-2.0
#include "crypto/ed25519.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>

namespace dig::crypto {
namespace {

using Y = std::array<std::uint8_t, 32>;  // a y coordinate, little-endian, without the sign bit

constexpr Y k_field_prime = [] {  // 2^255 - 19
  Y p;
  p.fill(0xff);
  p[0] = 0xed;
  p[31] = 0x7f;
  return p;
}();

// The y coordinates of the points whose order divides 8: orders 4, 1, 2 and twice 8.
constexpr std::array<Y, 5> k_small_order = {
    Y{},
    Y{1},
    [] {
      Y y = k_field_prime;
      y[0] -= 1;
      return y;
    }(),
    Y{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
      0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    Y{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
      0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
};

bool is_acceptable_key(BytesView key) {
  if (key.size() != 32) return false;
  Y y;
  std::ranges::transform(key, y.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  y[31] &= 0x7f;
  const bool is_canonical =
      std::lexicographical_compare(y.rbegin(), y.rend(), k_field_prime.rbegin(), k_field_prime.rend());
  return is_canonical && std::ranges::find(k_small_order, y) == k_small_order.end();
}

}  // namespace

Ed25519KeyPair::Ed25519KeyPair(Secret<32> seed)
    : seed_(std::move(seed)), key_(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, octets(seed_.view()), 32)) {
  require_openssl(key_ != nullptr);
  std::size_t size = public_key_.size();
  require_openssl(EVP_PKEY_get_raw_public_key(key_.get(), writable_octets(public_key_), &size) == 1);
}

Ed25519KeyPair Ed25519KeyPair::generate(Rng& rng) {
  Secret<32> seed;
  rng.fill(seed.mutable_view());
  return Ed25519KeyPair(std::move(seed));
}

Result<Ed25519KeyPair> Ed25519KeyPair::from_seed(BytesView seed) {
  if (seed.size() != 32) return fail(Errc::invalid_argument, "an Ed25519 seed has 32 bytes");
  Secret<32> copy;
  std::ranges::copy(seed, copy.mutable_view().begin());
  return Ed25519KeyPair(std::move(copy));
}

Ed25519Signature Ed25519KeyPair::sign(BytesView message) const {
  const OpensslPtr<evp_md_ctx_st> context(EVP_MD_CTX_new());
  require_openssl(context != nullptr);
  require_openssl(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
  Ed25519Signature signature;
  std::size_t size = signature.size();
  require_openssl(EVP_DigestSign(context.get(), writable_octets(signature), &size, octets(message), message.size()) ==
                  1);
  return signature;
}

Result<void> check_ed25519_key(BytesView public_key) {
  if (!is_acceptable_key(public_key)) return fail(Errc::bad_public_key, "Ed25519");
  return {};
}

Result<void> ed25519_verify(BytesView public_key, BytesView message, BytesView signature) {
  DIG_CHECK(check_ed25519_key(public_key));
  if (signature.size() != 64) return fail(Errc::bad_signature, "an Ed25519 signature has 64 bytes");
  const OpensslPtr<evp_pkey_st> key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(public_key), 32));
  const OpensslPtr<evp_md_ctx_st> context(EVP_MD_CTX_new());
  require_openssl(key != nullptr && context != nullptr);
  require_openssl(EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
  if (EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(message), message.size()) != 1) {
    ERR_clear_error();
    return fail(Errc::bad_signature);
  }
  return {};
}

}  // namespace dig::crypto
