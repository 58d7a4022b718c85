// SPDX-License-Identifier: Apache-2.0
#include "crypto/x25519.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/testing/hex.hpp"

namespace dig::crypto {
namespace {

using testing::from_hex;
using testing::to_hex;

X25519KeyPair key_pair(std::string_view hex) {
  Secret<32> secret;
  std::ranges::copy(from_hex(hex), secret.mutable_view().begin());
  return X25519KeyPair(secret);
}

// RFC 7748 §5.2
TEST(X25519, MatchesRfc7748) {
  const auto first = key_pair("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
                         .agree(from_hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(to_hex(first->view()), "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  const auto second = key_pair("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d")
                          .agree(from_hex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(to_hex(second->view()), "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

TEST(X25519, BothSidesAgree) {
  SeededRng rng(1);
  const auto alice = X25519KeyPair::generate(rng);
  const auto bob = X25519KeyPair::generate(rng);
  const auto one = alice.agree(bob.public_key());
  const auto other = bob.agree(alice.public_key());
  ASSERT_TRUE(one.has_value() && other.has_value());
  EXPECT_TRUE(secure_equal(one->view(), other->view()));
  EXPECT_NE(alice.public_key(), bob.public_key());
}

TEST(X25519, PointsOfSmallOrderAreRefused) {
  SeededRng rng(2);
  const auto pair = X25519KeyPair::generate(rng);
  const std::string_view points[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p - 1
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p, not canonical
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p + 1
      "0000000000000000000000000000000000000000000000000000000000000080",  // the same with the unused bit set
      "0100000000000000000000000000000000000000000000000000000000000080",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  };
  for (const auto point : points) {
    const auto agreed = pair.agree(from_hex(point));
    ASSERT_FALSE(agreed.has_value()) << point;
    EXPECT_EQ(agreed.error().code(), Errc::bad_public_key);
  }
}

// RFC 7748 §5: values from p on and the unused bit are accepted, and mean what they are modulo p.
TEST(X25519, KeysThatAreNotCanonicalAreReducedAndNotRefused) {
  SeededRng rng(4);
  const auto pair = X25519KeyPair::generate(rng);
  for (const auto base_point : {
           "0900000000000000000000000000000000000000000000000000000000000000",
           "0900000000000000000000000000000000000000000000000000000000000080",
           "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p + 9
           "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
       }) {
    const auto agreed = pair.agree(from_hex(base_point));
    ASSERT_TRUE(agreed.has_value()) << base_point;
    EXPECT_EQ(to_hex(agreed->view()), to_hex(pair.public_key())) << base_point;
  }
}

// Half of all values are points of the twist and not of the curve. They agree like any other (RFC 7748 §7).
TEST(X25519, EveryValueOfTheFieldAgreesWhicheverKeyComesFirst) {
  SeededRng rng(5);
  const auto one = X25519KeyPair::generate(rng);
  const auto other = X25519KeyPair::generate(rng);
  for (unsigned u = 2; u < 40; ++u) {
    Bytes point(32);
    point[0] = static_cast<std::byte>(u);
    const auto first = one.agree(point);
    const auto second = other.agree(point);
    ASSERT_TRUE(first.has_value() && second.has_value()) << u;
    const auto first_then_other = other.agree(first->view());
    const auto second_then_one = one.agree(second->view());
    ASSERT_TRUE(first_then_other.has_value() && second_then_one.has_value()) << u;
    EXPECT_TRUE(secure_equal(first_then_other->view(), second_then_one->view())) << u;
  }
}

// RFC 7748 §5: three low bits and the highest are cleared, the second highest is set.
TEST(X25519, BitsThatAreClampedDoNotMatter) {
  const auto plain = key_pair("a046e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449a44");
  const auto other = key_pair("a746e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449a84");
  EXPECT_EQ(plain.public_key(), other.public_key());
}

TEST(X25519, WrongSizesAreRefused) {
  SeededRng rng(3);
  const auto pair = X25519KeyPair::generate(rng);
  for (const std::size_t size : {0uz, 31uz, 33uz, 64uz}) {
    EXPECT_EQ(pair.agree(Bytes(size, std::byte{9})).error().code(), Errc::bad_public_key) << size;
  }
}

}  // namespace
}  // namespace dig::crypto
