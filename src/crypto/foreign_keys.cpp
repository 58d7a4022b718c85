// SPDX-License-Identifier: Apache-2.0
#include "crypto/foreign_keys.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <bit>

#include "crypto/der.hpp"
#include "crypto/openssl_ptr.hpp"

namespace dig::crypto {
namespace {

using Key = OpensslPtr<evp_pkey_st>;

struct BuilderDelete {
  void operator()(OSSL_PARAM_BLD* builder) const noexcept { OSSL_PARAM_BLD_free(builder); }
  void operator()(OSSL_PARAM* parameters) const noexcept { OSSL_PARAM_free(parameters); }
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
  void operator()(BIGNUM* number) const noexcept { BN_free(number); }
};
template <class T>
using Owned = std::unique_ptr<T, BuilderDelete>;

constexpr std::size_t k_max_ecdsa_signature = 72;  // two 33-byte integers in DER
constexpr std::size_t k_rsa_bits_min = 2048;
constexpr std::size_t k_rsa_bits_max = 4096;
constexpr std::size_t k_max_rsa_key = 1024;    // 550 bytes at 4096 bits
constexpr std::size_t k_max_rsa_exponent = 4;  // 65537 in practice

template <std::size_t N>
constexpr std::array<std::byte, N> byte_array(const std::uint8_t (&values)[N]) {
  std::array<std::byte, N> bytes{};
  for (std::size_t i = 0; i < N; ++i) bytes[i] = std::byte{values[i]};
  return bytes;
}

// SEQUENCE of 89, AlgorithmIdentifier {id-ecPublicKey, prime256v1}, BIT STRING of 66 with no unused bits (RFC 5480).
constexpr auto k_p256_header =
    byte_array({0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00});
constexpr std::size_t k_p256_point_size = 65;

// AlgorithmIdentifier content: rsaEncryption with NULL parameters (RFC 8017 §A.1).
constexpr auto k_rsa_algorithm =
    byte_array({0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00});

// Null when OpenSSL refuses the values, for example a point that is not on its curve.
Key import_key(const char* algorithm, OSSL_PARAM* parameters) {
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  require_openssl(context != nullptr);
  require_openssl(EVP_PKEY_fromdata_init(context.get()) == 1);
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) ERR_clear_error();
  return Key(key);
}

Result<Key> import_point(const char* curve, BytesView point) {
  const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  require_openssl(builder != nullptr);
  require_openssl(OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) == 1);
  require_openssl(
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) == 1);
  const Owned<OSSL_PARAM> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  require_openssl(parameters != nullptr);
  Key key = import_key("EC", parameters.get());
  if (!key) return fail(Errc::bad_public_key, "not a point of the curve");
  return key;
}

Result<Key> import_secp256k1(BytesView point) {
  const bool is_compressed = point.size() == 33 && (point[0] == std::byte{2} || point[0] == std::byte{3});
  if (!is_compressed) return fail(Errc::bad_public_key, "a secp256k1 key is a compressed point of 33 bytes");
  return import_point("secp256k1", point);
}

Result<Key> import_p256(BytesView spki) {
  const bool is_expected = spki.size() == k_p256_header.size() + k_p256_point_size &&
                           equal(spki.first(k_p256_header.size()), k_p256_header) &&
                           spki[k_p256_header.size()] == std::byte{4};
  if (!is_expected) return fail(Errc::bad_public_key, "an ECDSA key must be an uncompressed point of P-256");
  return import_point("P-256", spki.last(k_p256_point_size));
}

struct RsaNumbers {
  BytesView modulus;
  BytesView exponent;
};

Result<RsaNumbers> parse_rsa(BytesView spki) {
  ByteReader outer(spki);
  DIG_TRY(const BytesView info, der::read_element(outer, der::Tag::sequence));
  DIG_CHECK(outer.expect_end());
  ByteReader info_reader(info);
  DIG_TRY(const BytesView algorithm, der::read_element(info_reader, der::Tag::sequence));
  if (!equal(algorithm, k_rsa_algorithm)) return fail(Errc::malformed, "not rsaEncryption");
  DIG_TRY(const BytesView bit_string, der::read_element(info_reader, der::Tag::bit_string));
  DIG_CHECK(info_reader.expect_end());
  ByteReader bits_reader(bit_string);
  DIG_TRY(const std::uint8_t unused_bits, bits_reader.u8());
  if (unused_bits != 0) return fail(Errc::malformed, "unused bits");
  DIG_TRY(const BytesView key, der::read_element(bits_reader, der::Tag::sequence));
  DIG_CHECK(bits_reader.expect_end());
  ByteReader key_reader(key);
  DIG_TRY(const BytesView modulus, der::read_positive_integer(key_reader));
  DIG_TRY(const BytesView exponent, der::read_positive_integer(key_reader));
  DIG_CHECK(key_reader.expect_end());
  return RsaNumbers{modulus, exponent};
}

Result<RsaNumbers> checked_rsa(BytesView spki) {
  if (spki.size() > k_max_rsa_key) return fail(Errc::bad_public_key, "RSA key is too large");
  const Result<RsaNumbers> numbers = parse_rsa(spki);
  if (!numbers) return fail(Errc::bad_public_key, "RSA key: " + numbers.error().message());
  const auto top = std::to_integer<std::uint8_t>(numbers->modulus[0]);
  const std::size_t bits = (numbers->modulus.size() - 1) * 8 + static_cast<std::size_t>(std::bit_width(top));
  if (bits < k_rsa_bits_min || bits > k_rsa_bits_max) return fail(Errc::bad_public_key, "RSA key size");
  const auto is_odd = [](BytesView number) { return (number.back() & std::byte{1}) != std::byte{0}; };
  const bool is_one = numbers->exponent.size() == 1 && numbers->exponent[0] == std::byte{1};
  if (numbers->exponent.size() > k_max_rsa_exponent || is_one || !is_odd(numbers->exponent)) {
    return fail(Errc::bad_public_key, "RSA exponent");
  }
  if (!is_odd(numbers->modulus)) return fail(Errc::bad_public_key, "RSA modulus is even");
  return numbers;
}

Result<Key> import_rsa(const RsaNumbers& numbers) {
  const auto to_number = [](BytesView value) {
    Owned<BIGNUM> number(BN_bin2bn(octets(value), static_cast<int>(value.size()), nullptr));
    require_openssl(number != nullptr);
    return number;
  };
  const Owned<BIGNUM> modulus = to_number(numbers.modulus);
  const Owned<BIGNUM> exponent = to_number(numbers.exponent);
  const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  require_openssl(builder != nullptr);
  require_openssl(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) == 1);
  require_openssl(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) == 1);
  const Owned<OSSL_PARAM> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  require_openssl(parameters != nullptr);
  Key key = import_key("RSA", parameters.get());
  if (!key) return fail(Errc::bad_public_key, "RSA key");
  return key;
}

Result<void> verify_sha256(const Key& key, BytesView message, BytesView signature) {
  const OpensslPtr<evp_md_ctx_st> context(EVP_MD_CTX_new());
  require_openssl(context != nullptr);
  require_openssl(EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1);
  if (EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(message), message.size()) != 1) {
    ERR_clear_error();
    return fail(Errc::bad_signature);
  }
  return {};
}

Result<void> verify_ecdsa(const Key& key, BytesView message, BytesView signature) {
  if (signature.size() > k_max_ecdsa_signature) return fail(Errc::bad_signature, "ECDSA signature is too large");
  return verify_sha256(key, message, signature);
}

}  // namespace

Result<void> secp256k1_verify(BytesView point, BytesView message, BytesView signature) {
  DIG_TRY(const Key key, import_secp256k1(point));
  return verify_ecdsa(key, message, signature);
}

Result<void> ecdsa_p256_verify(BytesView spki, BytesView message, BytesView signature) {
  DIG_TRY(const Key key, import_p256(spki));
  return verify_ecdsa(key, message, signature);
}

Result<void> rsa_verify(BytesView spki, BytesView message, BytesView signature) {
  DIG_TRY(const RsaNumbers numbers, checked_rsa(spki));
  // RFC 8017 §8.2.2: the signature is as long as the modulus.
  if (signature.size() != numbers.modulus.size()) return fail(Errc::bad_signature, "RSA signature size");
  DIG_TRY(const Key key, import_rsa(numbers));
  return verify_sha256(key, message, signature);
}

Result<void> check_secp256k1_key(BytesView point) {
  DIG_CHECK(import_secp256k1(point));
  return {};
}

Result<void> check_ecdsa_p256_key(BytesView spki) {
  DIG_CHECK(import_p256(spki));
  return {};
}

Result<void> check_rsa_key(BytesView spki) {
  DIG_CHECK(checked_rsa(spki));
  return {};
}

}  // namespace dig::crypto
