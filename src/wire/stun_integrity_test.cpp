// SPDX-License-Identifier: Apache-2.0
#include "wire/stun_integrity.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/testing/stun_vectors.hpp"

namespace dig::stun {
namespace {

using namespace testing;

Bytes vector_of(std::string_view hex) { return from_hex(hex).value(); }
BytesView short_term_key() { return as_bytes(k_short_term_password); }

// A request with a user name, ready for an integrity attribute.
class Built {
 public:
  Built() { writer.add_text(Attribute::username, "user"); }
  [[nodiscard]] Bytes finish() const { return to_bytes(writer.written()); }

  std::array<std::byte, 512> buffer{};
  Writer writer{buffer, {Method::binding, Class::request, {}}};
};

TEST(StunIntegrity, SampleRequestOfRfc5769) {
  const Bytes bytes = vector_of(k_sample_request);
  const auto message = Message::parse(bytes);
  ASSERT_TRUE(message) << message.error().message();
  EXPECT_TRUE(message->is(Method::binding, Class::request));
  EXPECT_EQ(as_text(*message->find(Attribute::software)), "STUN test client");
  EXPECT_EQ(as_text(*message->find(Attribute::username)), "evtj:h6vY");
  EXPECT_EQ(decode_u32(*message->find(Attribute::priority)), 0x6e0001ffU);
  EXPECT_EQ(decode_u64(*message->find(Attribute::ice_controlled)), 0x932ff9b151263b36U);
  EXPECT_TRUE(has_valid_integrity(*message, short_term_key()));
  EXPECT_TRUE(has_valid_fingerprint(*message));
  EXPECT_FALSE(has_valid_integrity(*message, as_bytes("VOkJxbRl1RmTxUk/WvJxBT")));
  EXPECT_FALSE(has_valid_integrity_sha256(*message, short_term_key()));
}

TEST(StunIntegrity, SampleResponsesOfRfc5769) {
  const struct {
    std::string_view hex;
    std::string_view mapped;
  } samples[] = {{k_sample_ipv4_response, "192.0.2.1:32853"},
                 {k_sample_ipv6_response, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"}};
  for (const auto& sample : samples) {
    const Bytes bytes = vector_of(sample.hex);
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message);
    EXPECT_EQ(xor_address(*message, Attribute::xor_mapped_address).value().to_string(), sample.mapped);
    EXPECT_TRUE(has_valid_integrity(*message, short_term_key()));
    EXPECT_TRUE(has_valid_fingerprint(*message));
  }
}

TEST(StunIntegrity, SampleResponseIsWrittenByteForByte) {
  // The sample pads with spaces (RFC 5769 §2); we pad with zeros, which makes another MAC but the same fields.
  const Bytes sample = vector_of(k_sample_ipv6_response);
  const auto from = Message::parse(sample);
  ASSERT_TRUE(from);
  std::array<std::byte, 256> buffer{};
  Writer writer(buffer, from->header());
  writer.add_text(Attribute::software, "test vector");
  add_xor_address(writer, Attribute::xor_mapped_address,
                  *Endpoint::parse("[2001:db8:1234:5678:11:2233:4455:6677]:32853"), from->transaction());
  add_integrity(writer, short_term_key());
  add_fingerprint(writer);
  const auto again = Message::parse(writer.written());
  ASSERT_TRUE(again);
  EXPECT_EQ(writer.finish(), sample.size());
  EXPECT_TRUE(has_valid_integrity(*again, short_term_key()));
  EXPECT_TRUE(has_valid_fingerprint(*again));
  EXPECT_TRUE(equal(*again->find(Attribute::xor_mapped_address), *from->find(Attribute::xor_mapped_address)));
}

TEST(StunIntegrity, SampleLongTermRequestIsWrittenByteForByte) {
  const Bytes sample = vector_of(k_sample_long_term_request);
  const auto message = Message::parse(sample);
  ASSERT_TRUE(message);
  const LongTermKey key(PasswordAlgorithm::md5, k_long_term_username, k_long_term_realm, k_long_term_password);
  EXPECT_TRUE(has_valid_integrity(*message, key.view()));
  std::array<std::byte, 256> buffer{};
  Writer writer(buffer, message->header());
  writer.add_text(Attribute::username, k_long_term_username);
  writer.add_text(Attribute::nonce, "f//499k954d6OL34oL9FSTvy64sA");
  writer.add_text(Attribute::realm, k_long_term_realm);
  add_integrity(writer, key.view());
  EXPECT_EQ(to_hex(writer.written()), k_sample_long_term_request);
}

TEST(StunIntegrity, SampleSha256RequestOfRfc8489IsWrittenByteForByte) {
  const Bytes sample = vector_of(k_sample_sha256_request);
  const auto message = Message::parse(sample);
  ASSERT_TRUE(message) << message.error().message();
  const LongTermKey key(PasswordAlgorithm::sha256, k_long_term_username, k_long_term_realm, k_long_term_password);
  EXPECT_TRUE(has_valid_integrity_sha256(*message, key.view()));
  EXPECT_FALSE(has_valid_integrity(*message, key.view()));
  EXPECT_EQ(decode_password_algorithm(*message->find(Attribute::password_algorithm)), 2);
  EXPECT_EQ(features_of_nonce(*message->find(Attribute::nonce)), (SecurityFeatures{.username_anonymity = true}));
  std::array<std::byte, 256> buffer{};
  Writer writer(buffer, message->header());
  writer.add(Attribute::userhash, userhash(k_long_term_username, k_long_term_realm));
  writer.add_text(Attribute::nonce, k_sample_sha256_nonce);
  writer.add_text(Attribute::realm, k_long_term_realm);
  add_password_algorithm(writer, PasswordAlgorithm::sha256);
  add_integrity_sha256(writer, key.view());
  EXPECT_EQ(to_hex(writer.written()), k_sample_sha256_request);
}

TEST(StunIntegrity, EveryAlteredByteBreaksIt) {
  for (const std::string_view hex : {k_sample_request, k_sample_ipv4_response}) {
    const Bytes sample = vector_of(hex);
    const std::size_t covered = sample.size() - 8;  // the fingerprint stands behind the MAC
    for (std::size_t i = 0; i < sample.size(); ++i) {
      Bytes altered = sample;
      altered[i] ^= std::byte{1};
      const auto message = Message::parse(altered);
      if (!message) continue;
      EXPECT_FALSE(has_valid_integrity(*message, short_term_key()) && has_valid_fingerprint(*message)) << i;
      const bool is_covered = i >= k_header_size && i < covered;
      EXPECT_FALSE(is_covered && has_valid_integrity(*message, short_term_key())) << i;
    }
  }
}

TEST(StunIntegrity, WhatFollowsTheIntegrityAttributeDoesNotCount) {
  // Somebody on the path appends attributes: the MAC still fits what it covers.
  Built built;
  add_integrity(built.writer, short_term_key());
  built.writer.add_u32(Attribute::lifetime, 3600);
  add_xor_address(built.writer, Attribute::xor_peer_address, *Endpoint::parse("192.0.2.9:9"), {});
  const Bytes bytes = built.finish();
  const auto message = Message::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_TRUE(has_valid_integrity(*message, short_term_key()));
  EXPECT_FALSE(message->has(Attribute::lifetime));
  EXPECT_FALSE(message->has(Attribute::xor_peer_address));
  EXPECT_EQ(message->attributes().size(), 1u);
}

TEST(StunIntegrity, BothKindsMayStandInOneMessage) {
  Built built;
  add_integrity(built.writer, short_term_key());
  add_integrity_sha256(built.writer, short_term_key());
  add_fingerprint(built.writer);
  const Bytes bytes = built.finish();
  const auto message = Message::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_TRUE(has_valid_integrity(*message, short_term_key()));
  EXPECT_TRUE(has_valid_integrity_sha256(*message, short_term_key()));
  EXPECT_TRUE(has_valid_fingerprint(*message));
}

TEST(StunIntegrity, Sha256MayBeCutToSixteenBytesAndNoFurther) {
  for (std::size_t size = 0; size <= 36; ++size) {
    Built built;
    built.writer.set_length_ahead(k_attribute_header_size + size);
    const auto digest = crypto::hmac_sha256(short_term_key(), {built.writer.written()});
    Bytes cut(digest.begin(), digest.end());
    cut.resize(size);
    built.writer.add(Attribute::message_integrity_sha256, cut);
    const Bytes bytes = built.finish();
    const auto message = Message::parse(bytes);
    const bool is_allowed = size >= 16 && size <= 32 && size % 4 == 0;
    ASSERT_EQ(message.has_value(), is_allowed) << size;
    EXPECT_EQ(is_allowed, message && has_valid_integrity_sha256(*message, short_term_key())) << size;
  }
}

TEST(StunIntegrity, AMissingAttributeIsNeverValid) {
  const Bytes bytes = Built().finish();
  const auto message = Message::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_FALSE(has_valid_integrity(*message, short_term_key()));
  EXPECT_FALSE(has_valid_integrity_sha256(*message, short_term_key()));
  EXPECT_FALSE(has_valid_fingerprint(*message));
}

TEST(StunIntegrity, NonceCookiesTellTheFeatures) {
  for (const bool algorithms : {false, true}) {
    for (const bool anonymity : {false, true}) {
      const SecurityFeatures features{algorithms, anonymity};
      const std::string cookie = nonce_cookie(features);
      EXPECT_EQ(cookie.size(), k_nonce_cookie_size);
      EXPECT_EQ(features_of_nonce(as_bytes(cookie + "rest")), features);
    }
  }
  EXPECT_EQ(nonce_cookie({.username_anonymity = true}), "obMatJos2AAAC");
  for (const std::string_view none : {"", "f//499k954d6OL34oL9FSTvy64sA", "obMatJos2AAA", "obMatJos2====x"}) {
    EXPECT_FALSE(features_of_nonce(as_bytes(none))) << none;
  }
}

TEST(StunIntegrity, PasswordAlgorithmsKeepTheirOrderAndAreBounded) {
  Built built;
  add_password_algorithms(built.writer, std::array{PasswordAlgorithm::sha256, PasswordAlgorithm::md5});
  const Bytes bytes = built.finish();
  const auto message = Message::parse(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(decode_password_algorithms(*message->find(Attribute::password_algorithms)),
            (std::vector<std::uint16_t>{2, 1}));
  EXPECT_EQ(decode_password_algorithms(vector_of("0007000161000000"
                                                 "00020000")),
            (std::vector<std::uint16_t>{7, 2}));
  EXPECT_EQ(decode_password_algorithms({}), std::vector<std::uint16_t>());
  EXPECT_FALSE(decode_password_algorithms(vector_of("000200")));
  EXPECT_FALSE(decode_password_algorithms(vector_of("0002ffff")));
  EXPECT_FALSE(decode_password_algorithms(Bytes(17 * 4)));
  EXPECT_FALSE(decode_password_algorithm(vector_of("0002000000")));
}

}  // namespace
}  // namespace dig::stun
