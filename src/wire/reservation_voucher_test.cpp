// SPDX-License-Identifier: Apache-2.0
#include "wire/reservation_voucher.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "base/rng.hpp"
#include "wire/signed_envelope.hpp"
#include "wire/testing/envelope_vectors.hpp"

namespace dig {
namespace {

constexpr std::string_view k_domain = "libp2p-relay-rsvp";
const Bytes k_type = from_hex("0302").value();

class ReservationVoucherTest : public ::testing::Test {
 protected:
  ReservationVoucher voucher() const { return {relay.peer_id(), peer.peer_id(), {1893456000}}; }
  Errc error_of(const SignedEnvelope& envelope) const {
    const auto opened = ReservationVoucher::open(envelope.encode());
    EXPECT_FALSE(opened);
    return opened ? Errc::internal : opened.error().code();
  }
  SignedEnvelope around(BytesView payload) const { return SignedEnvelope::seal(relay, k_domain, k_type, payload); }
  // Field 1 and 2 with ids, field 3 with the number 1.
  static Bytes payload(BytesView relay_id, BytesView peer_id) {
    Bytes out;
    for (const auto& [tag, id] : {std::pair(std::byte{0x0a}, relay_id), std::pair(std::byte{0x12}, peer_id)}) {
      out.push_back(tag);
      out.push_back(static_cast<std::byte>(id.size()));
      append(out, id);
    }
    append(out, from_hex("1801").value());
    return out;
  }

  SeededRng rng{1};
  Identity relay = Identity::generate(rng);
  Identity peer = Identity::generate(rng);
};

TEST_F(ReservationVoucherTest, WhatARelaySealsAnybodyCanOpen) {
  EXPECT_EQ(ReservationVoucher::open(voucher().seal(relay)).value(), voucher());
}

TEST_F(ReservationVoucherTest, HasTheBytesOfTheSpecification) {
  const auto envelope = SignedEnvelope::decode(voucher().seal(relay)).value();
  EXPECT_EQ(to_hex(envelope.payload_type), "0302");
  EXPECT_EQ(to_hex(envelope.payload),
            "0a26" + to_hex(relay.peer_id().bytes()) + "1226" + to_hex(peer.peer_id().bytes()) + "1880b1ef8607");
  EXPECT_TRUE(envelope.verify(k_domain, k_type));
}

TEST_F(ReservationVoucherTest, RelaysMayHaveKeysOfAnyType) {
  for (const std::string_view vector :
       {testing::k_rsa_voucher, testing::k_secp256k1_voucher, testing::k_ecdsa_voucher, testing::k_ed25519_voucher}) {
    Bytes bytes = from_hex(vector).value();
    const auto opened = ReservationVoucher::open(bytes);
    ASSERT_TRUE(opened) << opened.error().message();
    EXPECT_EQ(opened->relay, SignedEnvelope::decode(bytes)->signer());
    EXPECT_EQ(opened->peer, PeerId::from_public_key(PublicKey::ed25519(Bytes(32, std::byte{7}))));
    EXPECT_EQ(opened->expiration.seconds, 1893456000);
    bytes.back() ^= std::byte{1};
    EXPECT_EQ(ReservationVoucher::open(bytes).error().code(), Errc::bad_signature);
  }
}

TEST_F(ReservationVoucherTest, AVoucherThatAnotherPeerSignedIsRefused) {
  EXPECT_EQ(ReservationVoucher::open(voucher().seal(peer)).error().code(), Errc::peer_id_mismatch);
}

TEST_F(ReservationVoucherTest, AnEnvelopeForAnotherPurposeIsRefused) {
  const Bytes good = payload(relay.peer_id().bytes(), peer.peer_id().bytes());
  ASSERT_TRUE(ReservationVoucher::open(around(good).encode()));
  EXPECT_EQ(error_of(SignedEnvelope::seal(relay, "libp2p-peer-record", k_type, good)), Errc::bad_signature);
  EXPECT_EQ(error_of(SignedEnvelope::seal(relay, k_domain, from_hex("0301").value(), good)), Errc::malformed);
  EXPECT_EQ(error_of(SignedEnvelope::seal(relay, k_domain, from_hex("8206").value(), good)), Errc::malformed);
}

TEST_F(ReservationVoucherTest, APayloadThatIsNoVoucherIsRefused) {
  EXPECT_EQ(error_of(around({})), Errc::malformed);
  EXPECT_EQ(error_of(around(from_hex("0f").value())), Errc::malformed);
  EXPECT_EQ(error_of(around(payload(relay.peer_id().bytes(), {}))), Errc::malformed);
  EXPECT_EQ(error_of(around(payload({}, peer.peer_id().bytes()))), Errc::malformed);
  Bytes late = payload(relay.peer_id().bytes(), peer.peer_id().bytes());
  append(late, from_hex("18ffffffffffffffffff01").value());
  EXPECT_EQ(error_of(around(late)), Errc::malformed);
  Bytes padded = payload(relay.peer_id().bytes(), peer.peer_id().bytes());
  append(padded, from_hex("9a06e001").value());
  padded.resize(padded.size() + 224);
  EXPECT_EQ(error_of(around(padded)), Errc::oversized);
}

}  // namespace
}  // namespace dig
