// SPDX-License-Identifier: Apache-2.0
#include "crypto/ed25519.hpp"

#include <gtest/gtest.h>

#include "crypto/testing/hex.hpp"

namespace dig::crypto {
namespace {

using testing::from_hex;
using testing::to_hex;

Errc verify_error(BytesView key, BytesView message, BytesView signature) {
  const auto verified = ed25519_verify(key, message, signature);
  EXPECT_FALSE(verified.has_value());
  return verified ? Errc::internal : verified.error().code();
}

struct Vector {
  std::string_view seed, key, message, signature;
};
// RFC 8032 §7.1, tests 1 to 3.
constexpr Vector k_vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
     "5"
     "5141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
     "0"
     "0d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
     "0"
     "27beceea1ec40a"},
};

TEST(Ed25519, MatchesRfc8032) {
  for (const Vector& vector : k_vectors) {
    const auto pair = Ed25519KeyPair::from_seed(from_hex(vector.seed));
    ASSERT_TRUE(pair.has_value());
    const Bytes message = from_hex(vector.message);
    EXPECT_EQ(to_hex(pair->public_key()), vector.key);
    EXPECT_EQ(to_hex(pair->sign(message)), vector.signature);
    EXPECT_TRUE(ed25519_verify(pair->public_key(), message, from_hex(vector.signature)).has_value());
  }
}

TEST(Ed25519, EveryFlippedByteIsRefused) {
  SeededRng rng(1);
  const auto pair = Ed25519KeyPair::generate(rng);
  const BytesView message = as_bytes("message");
  auto signature = pair.sign(message);
  for (auto& byte : signature) {
    byte ^= std::byte{0x10};
    EXPECT_EQ(verify_error(pair.public_key(), message, signature), Errc::bad_signature);
    byte ^= std::byte{0x10};
  }
  EXPECT_EQ(verify_error(pair.public_key(), as_bytes("massage"), signature), Errc::bad_signature);
  EXPECT_TRUE(ed25519_verify(pair.public_key(), message, signature).has_value());
}

TEST(Ed25519, WrongSizesAreRefused) {
  SeededRng rng(2);
  const auto pair = Ed25519KeyPair::generate(rng);
  const auto signature = pair.sign({});
  for (const std::size_t size : {0uz, 1uz, 31uz, 33uz, 64uz, 96uz}) {
    Bytes key = to_bytes(BytesView(pair.public_key()));
    key.resize(size);
    EXPECT_EQ(verify_error(key, {}, signature), Errc::bad_public_key) << size;
  }
  for (const std::size_t size : {0uz, 1uz, 63uz, 65uz, 128uz}) {
    Bytes resized = to_bytes(BytesView(signature));
    resized.resize(size);
    EXPECT_EQ(verify_error(pair.public_key(), {}, resized), Errc::bad_signature) << size;
  }
  for (const std::size_t size : {0uz, 31uz, 33uz, 64uz}) {
    EXPECT_EQ(Ed25519KeyPair::from_seed(Bytes(size)).error().code(), Errc::invalid_argument) << size;
  }
}

// With the neutral element as key, R = B and S = 1 fit every message.
TEST(Ed25519, KeysOfSmallOrderAreRefused) {
  Bytes forged = from_hex("5866666666666666666666666666666666666666666666666666666666666666");
  forged.push_back(std::byte{1});
  forged.resize(64);
  const std::string_view keys[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0000000000000000000000000000000000000000000000000000000000000080",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000080",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  };
  for (const auto key : keys) EXPECT_EQ(verify_error(from_hex(key), {}, forged), Errc::bad_public_key) << key;
}

TEST(Ed25519, KeysThatAreNotCanonicalAreRefused) {
  const Bytes signature(64);
  const std::string_view keys[] = {
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p + 1
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  };
  for (const auto key : keys) EXPECT_EQ(verify_error(from_hex(key), {}, signature), Errc::bad_public_key) << key;
}

// RFC 8032 §5.1.7: S below the group order, otherwise a signature could be changed into another valid one.
TEST(Ed25519, SignatureWithSPlusOrderIsRefused) {
  SeededRng rng(3);
  const auto pair = Ed25519KeyPair::generate(rng);
  auto signature = pair.sign(as_bytes("message"));
  const Bytes order = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += std::to_integer<unsigned>(signature[32 + i]) + std::to_integer<unsigned>(order[i]);
    signature[32 + i] = static_cast<std::byte>(carry);
    carry >>= 8;
  }
  EXPECT_EQ(verify_error(pair.public_key(), as_bytes("message"), signature), Errc::bad_signature);
}

TEST(Ed25519, GeneratedKeysDependOnTheRandomnessOnly) {
  SeededRng a(7), b(7), c(8);
  const auto first = Ed25519KeyPair::generate(a);
  EXPECT_EQ(first.public_key(), Ed25519KeyPair::generate(b).public_key());
  EXPECT_NE(first.public_key(), Ed25519KeyPair::generate(c).public_key());
}

}  // namespace
}  // namespace dig::crypto
