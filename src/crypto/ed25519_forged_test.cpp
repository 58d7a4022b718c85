// SPDX-License-Identifier: Apache-2.0
// Ed25519 signatures that only the holder of the key can make and that must not verify: scalars and points in encodings
// that are not the canonical one, and keys with a part of small order. Each is made here by the equation S = r + h a
// (RFC 8032 §5.1.6), beside a signature made in the same way that does verify.
#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "crypto/ed25519.hpp"
#include "crypto/testing/hex.hpp"

namespace dig::crypto {
namespace {

using testing::from_hex;

struct NumberDelete {
  void operator()(BIGNUM* number) const noexcept { BN_free(number); }
  void operator()(BN_CTX* context) const noexcept { BN_CTX_free(context); }
};
using Number = std::unique_ptr<BIGNUM, NumberDelete>;

Number number_of(BytesView little_endian) {
  return Number(BN_lebin2bn(octets(little_endian), static_cast<int>(little_endian.size()), nullptr));
}
Bytes bytes_of(const Number& number) {
  Bytes bytes(32);
  EXPECT_EQ(BN_bn2lebinpad(number.get(), writable_octets(bytes), 32), 32);
  return bytes;
}

Bytes sha512(std::initializer_list<BytesView> parts) {
  Bytes all;
  for (const BytesView part : parts) append(all, part);
  Bytes digest(64);
  EXPECT_EQ(EVP_Digest(all.data(), all.size(), writable_octets(digest), nullptr, EVP_sha512(), nullptr), 1);
  return digest;
}

class Ed25519Forged : public ::testing::Test {
 protected:
  // h of RFC 8032: what binds R, the key and the message.
  [[nodiscard]] static Bytes challenge(BytesView r_point, BytesView key, BytesView message) {
    return sha512({r_point, key, message});
  }
  // r + h a modulo the group order.
  [[nodiscard]] Bytes response(BytesView r, BytesView h) const {
    const std::unique_ptr<BN_CTX, NumberDelete> context(BN_CTX_new());
    const Number sum(BN_new());
    EXPECT_EQ(BN_mod_mul(sum.get(), number_of(h).get(), number_of(scalar_).get(), order_.get(), context.get()), 1);
    EXPECT_EQ(BN_mod_add(sum.get(), sum.get(), number_of(r).get(), order_.get(), context.get()), 1);
    return bytes_of(sum);
  }
  // With r = 0: R is the neutral element, in any encoding of it.
  [[nodiscard]] Bytes signature_of(BytesView neutral, BytesView key, BytesView message) const {
    Bytes signature = to_bytes(neutral);
    append(signature, response(Bytes(1), challenge(neutral, key, message)));
    return signature;
  }
  [[nodiscard]] Bytes with_s_plus(BytesView signature, unsigned times) const {
    const Number s = number_of(signature.last(32));
    for (unsigned i = 0; i < times; ++i) EXPECT_EQ(BN_add(s.get(), s.get(), order_.get()), 1);
    Bytes changed = to_bytes(signature.first(32));
    append(changed, bytes_of(s));
    return changed;
  }
  // The point (-x, -y).
  [[nodiscard]] Bytes negated_in_both(BytesView point) const {
    Bytes y = to_bytes(point);
    const std::byte flipped_sign = (y[31] & std::byte{0x80}) ^ std::byte{0x80};
    y[31] &= std::byte{0x7f};
    const Number negated(BN_new());
    EXPECT_EQ(BN_sub(negated.get(), prime_.get(), number_of(y).get()), 1);
    Bytes result = bytes_of(negated);
    result[31] |= flipped_sign;
    return result;
  }
  [[nodiscard]] bool is_odd_modulo_order(BytesView h) const {
    const std::unique_ptr<BN_CTX, NumberDelete> context(BN_CTX_new());
    const Number reduced(BN_new());
    EXPECT_EQ(BN_nnmod(reduced.get(), number_of(h).get(), order_.get(), context.get()), 1);
    return BN_is_odd(reduced.get()) == 1;
  }
  [[nodiscard]] static Errc error_of(BytesView key, BytesView message, BytesView signature) {
    const auto verified = ed25519_verify(key, message, signature);
    return verified ? Errc::internal : verified.error().code();
  }

  SeededRng rng_{11};
  Ed25519KeyPair pair_ = Ed25519KeyPair::generate(rng_);
  Number order_ = number_of(from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"));
  Number prime_ = number_of(from_hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));
  // RFC 8032 §5.1.5: the lower half of the hashed seed, clamped.
  Bytes scalar_ = [this] {
    Bytes half = sha512({pair_.seed().view()});
    half.resize(32);
    half[0] &= std::byte{0xf8};
    half[31] = (half[31] & std::byte{0x7f}) | std::byte{0x40};
    return half;
  }();
  const Bytes neutral_ = from_hex("0100000000000000000000000000000000000000000000000000000000000000");
};

TEST_F(Ed25519Forged, NeutralRVerifiesInItsCanonicalEncodingOnly) {
  const BytesView message = as_bytes("message");
  EXPECT_TRUE(ed25519_verify(pair_.public_key(), message, signature_of(neutral_, pair_.public_key(), message)));
  for (const auto encoding : {
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // y = p + 1
           "0100000000000000000000000000000000000000000000000000000000000080",  // x = -0
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",  // both
       }) {
    const Bytes signature = signature_of(from_hex(encoding), pair_.public_key(), message);
    EXPECT_EQ(error_of(pair_.public_key(), message, signature), Errc::bad_signature) << encoding;
  }
}

TEST_F(Ed25519Forged, EverySBeyondTheOrderIsRefused) {
  const BytesView message = as_bytes("message");
  const auto honest = pair_.sign(message);
  for (unsigned times = 1; times < 15; ++times) {  // 15 times the order still has 256 bits
    EXPECT_EQ(error_of(pair_.public_key(), message, with_s_plus(honest, times)), Errc::bad_signature) << times;
  }
  EXPECT_TRUE(ed25519_verify(pair_.public_key(), message, with_s_plus(honest, 0)));
}

TEST_F(Ed25519Forged, SAtTheBoundsIsRefused) {
  const BytesView message = as_bytes("message");
  const auto honest = pair_.sign(message);
  const Number below(BN_dup(order_.get()));
  EXPECT_EQ(BN_sub_word(below.get(), 1), 1);
  for (const Bytes& s : {Bytes(32), bytes_of(order_), bytes_of(below), Bytes(32, std::byte{0xff})}) {
    Bytes signature = to_bytes(BytesView(honest).first(32));
    append(signature, s);
    EXPECT_EQ(error_of(pair_.public_key(), message, signature), Errc::bad_signature);
  }
}

TEST_F(Ed25519Forged, NegatedPointsAreRefused) {
  const BytesView message = as_bytes("message");
  auto signature = pair_.sign(message);
  Bytes negated_key = to_bytes(BytesView(pair_.public_key()));
  negated_key[31] ^= std::byte{0x80};
  EXPECT_EQ(error_of(negated_key, message, signature), Errc::bad_signature);
  signature[31] ^= std::byte{0x80};
  EXPECT_EQ(error_of(pair_.public_key(), message, signature), Errc::bad_signature);
}

TEST_F(Ed25519Forged, KeysThatAreNoPointsAreRefused) {
  const auto signature = pair_.sign({});
  std::size_t refused = 0;
  for (unsigned y = 2; y < 40; ++y) {  // half of all values have no x
    Bytes key(32);
    key[0] = static_cast<std::byte>(y);
    refused += error_of(key, {}, signature) == Errc::bad_signature ? 1u : 0u;
  }
  EXPECT_EQ(refused, 38u);
}

// A + (0, -1), which is (-x, -y): such a key is not of small order, but a part of it is. With R neutral the equation
// without the cofactor, which is the one that is checked, then holds where the reduced h is even and no further.
TEST_F(Ed25519Forged, AKeyWithAPartOfSmallOrderGetsNoFurtherThanTheEquation) {
  const Bytes mixed = negated_in_both(pair_.public_key());
  ASSERT_TRUE(check_ed25519_key(mixed));
  std::size_t verified = 0;
  for (unsigned i = 0; i < 40; ++i) {
    const Bytes message(1, static_cast<std::byte>(i));
    const bool is_odd = is_odd_modulo_order(challenge(neutral_, mixed, message));
    const bool is_verified = ed25519_verify(mixed, message, signature_of(neutral_, mixed, message)).has_value();
    EXPECT_EQ(is_verified, !is_odd) << i;
    verified += is_verified ? 1u : 0u;
  }
  EXPECT_TRUE(verified > 0 && verified < 40);
}

}  // namespace
}  // namespace dig::crypto
