// SPDX-License-Identifier: Apache-2.0
#include "wire/signed_envelope.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "base/rng.hpp"

namespace dig {
namespace {

constexpr std::string_view k_domain = "test-domain";
const Bytes k_type = from_hex("0301").value();

SignedEnvelope sealed() {
  SeededRng rng(1);
  return SignedEnvelope::seal(Identity::generate(rng), k_domain, k_type, as_bytes("what is vouched for"));
}

TEST(SignedEnvelope, SurvivesEncodingAndIsVerified) {
  const SignedEnvelope envelope = sealed();
  const auto again = SignedEnvelope::decode(envelope.encode());
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, envelope);
  EXPECT_TRUE(again->verify(k_domain, k_type));
  SeededRng rng(1);
  EXPECT_EQ(again->signer(), Identity::generate(rng).peer_id());
}

// RFC 0002: the signature is over domain, type and payload, each behind its length.
TEST(SignedEnvelope, TheSignatureIsOverTheBytesOfTheSpecification) {
  const SignedEnvelope envelope = sealed();
  const std::string text = std::string("\x0btest-domain") + "\x02\x03\x01" + "\x13what is vouched for";
  EXPECT_TRUE(verify_signature(envelope.public_key, as_bytes(text), envelope.signature));
}

TEST(SignedEnvelope, NothingOfItCanBeChanged) {
  EXPECT_EQ(sealed().verify("another-domain", k_type).error().code(), Errc::bad_signature);
  EXPECT_EQ(sealed().verify(k_domain, from_hex("0302").value()).error().code(), Errc::malformed);
  SignedEnvelope payload = sealed();
  payload.payload.back() ^= std::byte{1};
  EXPECT_EQ(payload.verify(k_domain, k_type).error().code(), Errc::bad_signature);
  SignedEnvelope signature = sealed();
  signature.signature.front() ^= std::byte{1};
  EXPECT_EQ(signature.verify(k_domain, k_type).error().code(), Errc::bad_signature);
  SignedEnvelope key = sealed();
  SeededRng rng(2);
  key.public_key = Identity::generate(rng).public_key();
  EXPECT_EQ(key.verify(k_domain, k_type).error().code(), Errc::bad_signature);
  // A byte that moves from the type to the payload.
  SignedEnvelope moved = sealed();
  moved.payload.insert(moved.payload.begin(), moved.payload_type.back());
  moved.payload_type.pop_back();
  EXPECT_EQ(moved.verify(k_domain, moved.payload_type).error().code(), Errc::bad_signature);
}

TEST(SignedEnvelope, WhatIsMissingOrTooLongIsRefused) {
  const SignedEnvelope good = sealed();
  SignedEnvelope envelope = good;
  envelope.payload_type.clear();
  EXPECT_EQ(SignedEnvelope::decode(envelope.encode()).error().code(), Errc::malformed);
  envelope = good;
  envelope.signature.clear();
  EXPECT_EQ(SignedEnvelope::decode(envelope.encode()).error().code(), Errc::malformed);
  envelope = good;
  envelope.payload_type.resize(SignedEnvelope::max_payload_type + 1);
  EXPECT_EQ(SignedEnvelope::decode(envelope.encode()).error().code(), Errc::oversized);
  envelope = good;
  envelope.payload.resize(SignedEnvelope::max_encoded_size);
  EXPECT_EQ(SignedEnvelope::decode(envelope.encode()).error().code(), Errc::oversized);
  EXPECT_FALSE(SignedEnvelope::decode({}));
  EXPECT_EQ(SignedEnvelope::decode(from_hex("ff").value()).error().code(), Errc::malformed);
}

}  // namespace
}  // namespace dig
