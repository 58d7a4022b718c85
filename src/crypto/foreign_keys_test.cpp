// SPDX-License-Identifier: Apache-2.0
#include "crypto/foreign_keys.hpp"

#include <gtest/gtest.h>

#include "crypto/testing/hex.hpp"
#include "crypto/testing/key_vectors.hpp"

namespace dig::crypto {
namespace {

using namespace testing;
using VerifyFunction = Result<void> (*)(BytesView, BytesView, BytesView);

struct Kind {
  const char* name;
  VerifyFunction verify;
  std::string_view key, signature;
};
constexpr Kind k_kinds[] = {
    {"secp256k1", secp256k1_verify, k_secp_point, k_secp_sig},
    {"ecdsa", ecdsa_p256_verify, k_ecdsa_spki, k_ecdsa_sig},
    {"rsa4096", rsa_verify, k_rsa_spki, k_rsa_sig},
    {"rsa2048", rsa_verify, k_rsa2048_spki, k_rsa2048_sig},
};

Bytes signed_message() {
  Bytes message = to_bytes(k_signed_text);
  for (int i = 0; i < 32; ++i) message.push_back(static_cast<std::byte>(i));
  return message;
}

Errc error_of(const Result<void>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? Errc::internal : result.error().code();
}

TEST(ForeignKeys, SignaturesOfOtherImplementationsVerify) {
  for (const Kind& kind : k_kinds) {
    const auto verified = kind.verify(from_hex(kind.key), signed_message(), from_hex(kind.signature));
    EXPECT_TRUE(verified.has_value()) << kind.name;
  }
}

TEST(ForeignKeys, AnotherMessageOrSignatureIsRefused) {
  for (const Kind& kind : k_kinds) {
    const Bytes key = from_hex(kind.key);
    Bytes message = signed_message();
    Bytes signature = from_hex(kind.signature);
    message[0] ^= std::byte{1};
    EXPECT_EQ(error_of(kind.verify(key, message, signature)), Errc::bad_signature) << kind.name;
    message[0] ^= std::byte{1};
    signature.back() ^= std::byte{1};
    EXPECT_EQ(error_of(kind.verify(key, message, signature)), Errc::bad_signature) << kind.name;
    EXPECT_EQ(error_of(kind.verify(key, message, {})), Errc::bad_signature) << kind.name;
    EXPECT_EQ(error_of(kind.verify(key, message, Bytes(10'000))), Errc::bad_signature) << kind.name;
  }
}

TEST(ForeignKeys, EveryPrefixAndTrailingByteOfASignatureIsRefused) {
  const Bytes message = signed_message();
  for (const Kind& kind : k_kinds) {
    const Bytes key = from_hex(kind.key);
    Bytes signature = from_hex(kind.signature);
    for (std::size_t size = 0; size < signature.size(); size += kind.signature.size() > 200 ? 31uz : 1uz) {
      EXPECT_FALSE(kind.verify(key, message, BytesView(signature).first(size)).has_value()) << kind.name << size;
    }
    signature.push_back(std::byte{0});
    EXPECT_FALSE(kind.verify(key, message, signature).has_value()) << kind.name;
  }
}

TEST(ForeignKeys, EveryPrefixAndTrailingByteOfAKeyIsRefused) {
  const Bytes message = signed_message();
  for (const Kind& kind : k_kinds) {
    Bytes key = from_hex(kind.key);
    const Bytes signature = from_hex(kind.signature);
    for (std::size_t size = 0; size < key.size(); ++size) {
      EXPECT_EQ(error_of(kind.verify(BytesView(key).first(size), message, signature)), Errc::bad_public_key)
          << kind.name << size;
    }
    key.push_back(std::byte{0});
    EXPECT_EQ(error_of(kind.verify(key, message, signature)), Errc::bad_public_key) << kind.name;
  }
}

TEST(ForeignKeys, OtherCurvesAreRefused) {
  for (const auto spki : {k_p384_spki, k_p521_spki}) {
    EXPECT_EQ(error_of(check_ecdsa_p256_key(from_hex(spki))), Errc::bad_public_key);
    EXPECT_EQ(error_of(check_rsa_key(from_hex(spki))), Errc::bad_public_key);
  }
  EXPECT_EQ(error_of(check_ecdsa_p256_key(from_hex(k_rsa2048_spki))), Errc::bad_public_key);
  EXPECT_EQ(error_of(check_rsa_key(from_hex(k_ecdsa_spki))), Errc::bad_public_key);
}

TEST(ForeignKeys, PointsOffTheCurveAreRefused) {
  Bytes spki = from_hex(k_ecdsa_spki);
  spki.back() ^= std::byte{1};
  EXPECT_EQ(error_of(check_ecdsa_p256_key(spki)), Errc::bad_public_key);
  Bytes point(33, std::byte{0xff});  // x is not below the field prime
  point[0] = std::byte{2};
  EXPECT_EQ(error_of(check_secp256k1_key(point)), Errc::bad_public_key);
  for (const int prefix : {0, 1, 4, 6, 7}) {
    Bytes other = from_hex(k_secp_point);
    other[0] = static_cast<std::byte>(prefix);
    EXPECT_EQ(error_of(check_secp256k1_key(other)), Errc::bad_public_key) << prefix;
  }
}

TEST(ForeignKeys, RsaModulusHas2048To4096Bits) {
  EXPECT_TRUE(check_rsa_key(from_hex(k_rsa2048_spki)).has_value());
  EXPECT_TRUE(check_rsa_key(from_hex(k_rsa_spki)).has_value());
  for (const auto spki : {k_rsa1024_spki, k_rsa2040_spki, k_rsa4104_spki}) {
    EXPECT_EQ(error_of(check_rsa_key(from_hex(spki))), Errc::bad_public_key);
  }
  EXPECT_EQ(error_of(check_rsa_key(Bytes(1025, std::byte{0x30}))), Errc::bad_public_key);
}

// A 2048-bit SubjectPublicKeyInfo ends with the exponent, INTEGER 65537: 02 03 01 00 01.
TEST(ForeignKeys, UnusualRsaExponentsAreRefused) {
  for (const auto exponent : {"010000", "000001", "810001", "000000"}) {
    const Bytes whole = from_hex(k_rsa2048_spki);
    Bytes spki = to_bytes(BytesView(whole).first(whole.size() - 3));
    append(spki, from_hex(exponent));
    EXPECT_EQ(error_of(check_rsa_key(spki)), Errc::bad_public_key) << exponent;
  }
}

// Lengths in longer forms than needed let one key have many encodings, and so many peer ids.
TEST(ForeignKeys, LongFormDerLengthsAreRefused) {
  const Bytes spki = from_hex(k_rsa2048_spki);  // 30 82 01 22 30 0d …
  const Bytes body = to_bytes(BytesView(spki).subspan(4));
  for (const auto prefix : {"30830001", "308400000122", "30880000000000000122", "3080", "30ff"}) {
    Bytes changed = from_hex(prefix);
    if (changed.size() == 4) changed.push_back(std::byte{0x22});
    append(changed, body);
    EXPECT_EQ(error_of(check_rsa_key(changed)), Errc::bad_public_key) << prefix;
  }
  Bytes inner = from_hex("308201233081");  // the AlgorithmIdentifier's length as 81 0d
  append(inner, BytesView(spki).subspan(5));
  EXPECT_EQ(error_of(check_rsa_key(inner)), Errc::bad_public_key);
}

}  // namespace
}  // namespace dig::crypto
