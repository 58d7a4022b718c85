// SPDX-License-Identifier: Apache-2.0
#include "wire/noise_payload.hpp"

#include <gtest/gtest.h>

#include "noise.pb.h"
#include "wire/protobuf.hpp"

namespace dig {
namespace {

NoisePayload some_payload() {
  NoisePayload payload;
  payload.identity_key = PublicKey::ed25519(Bytes(32, std::byte{7}));
  payload.identity_key_bytes = payload.identity_key.encode();
  payload.signature = Bytes(64, std::byte{9});
  payload.muxers = {"/yamux/1.0.0", "/other/2"};
  return payload;
}

pb::NoiseHandshakePayload some_message() {
  return parse_protobuf<pb::NoiseHandshakePayload>(some_payload().encode(), 4096).value();
}

Errc error_of(const pb::NoiseHandshakePayload& message) {
  const auto payload = NoisePayload::decode(serialise_protobuf(message));
  EXPECT_FALSE(payload);
  return payload ? Errc::internal : payload.error().code();
}

TEST(NoisePayload, RoundTrips) {
  EXPECT_EQ(NoisePayload::decode(some_payload().encode()).value(), some_payload());
  NoisePayload plain = some_payload();
  plain.muxers.clear();
  EXPECT_EQ(NoisePayload::decode(plain.encode()).value(), plain);
}

TEST(NoisePayload, NeedsKeyAndSignature) {
  EXPECT_EQ(NoisePayload::decode({}).error().code(), Errc::bad_public_key);
  auto message = some_message();
  message.clear_identity_key();
  EXPECT_EQ(error_of(message), Errc::bad_public_key);
  message = some_message();
  message.clear_identity_sig();
  EXPECT_EQ(error_of(message), Errc::malformed);
}

TEST(NoisePayload, RefusesKeysOfOtherSizesAndTypes) {
  for (const std::size_t size : {0U, 31U, 33U, 64U, 96U}) {
    auto message = some_message();
    message.set_identity_key(to_field(PublicKey{KeyType::ed25519, Bytes(size)}.encode()));
    EXPECT_EQ(error_of(message), Errc::bad_public_key) << size;
  }
  auto message = some_message();
  message.set_identity_key(to_field(PublicKey{KeyType::rsa, Bytes(1025)}.encode()));
  EXPECT_EQ(error_of(message), Errc::bad_public_key);
  message.set_identity_key("\x08\x63\x12\x01x");
  EXPECT_EQ(error_of(message), Errc::bad_public_key);
}

TEST(NoisePayload, BoundsTheSignature) {
  auto message = some_message();
  message.set_identity_sig(std::string(NoisePayload::max_signature, 's'));
  EXPECT_TRUE(NoisePayload::decode(serialise_protobuf(message)));
  message.set_identity_sig(std::string(NoisePayload::max_signature + 1, 's'));
  EXPECT_EQ(error_of(message), Errc::oversized);
}

TEST(NoisePayload, BoundsTheMuxers) {
  auto message = some_message();
  message.mutable_extensions()->clear_stream_muxers();
  for (std::size_t i = 0; i < NoisePayload::max_muxers; ++i) message.mutable_extensions()->add_stream_muxers("/m");
  EXPECT_TRUE(NoisePayload::decode(serialise_protobuf(message)));
  message.mutable_extensions()->add_stream_muxers("/m");
  EXPECT_EQ(error_of(message), Errc::oversized);
  message = some_message();
  message.mutable_extensions()->add_stream_muxers(std::string(NoisePayload::max_muxer_name + 1, 'm'));
  EXPECT_EQ(error_of(message), Errc::oversized);
  for (const char* name : {"", "/yamux\n", "/\x1b[31m", "/\xFF"}) {
    message = some_message();
    message.mutable_extensions()->add_stream_muxers(name);
    EXPECT_EQ(error_of(message), Errc::malformed);
  }
}

TEST(NoisePayload, RefusesMessagesAboveTheCapAndGarbage) {
  EXPECT_EQ(NoisePayload::decode(Bytes(NoisePayload::max_encoded_size + 1)).error().code(), Errc::oversized);
  EXPECT_EQ(NoisePayload::decode(to_bytes("\xFF\xFF\xFF")).error().code(), Errc::malformed);
}

TEST(NoisePayload, SurvivesEveryCut) {
  const Bytes encoded = some_payload().encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    const auto cut = NoisePayload::decode(BytesView(encoded).first(size));
    if (cut) {
      EXPECT_NE(*cut, some_payload()) << size;
    }
  }
}

}  // namespace
}  // namespace dig
