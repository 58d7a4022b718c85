// SPDX-License-Identifier: Apache-2.0
#include "wire/peer_record.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"
#include "base/rng.hpp"
#include "peer_record.pb.h"
#include "wire/protobuf.hpp"
#include "wire/signed_envelope.hpp"
#include "wire/testing/envelope_vectors.hpp"

namespace dig {
namespace {

constexpr std::string_view k_domain = "libp2p-peer-record";
const Bytes k_type = from_hex("0301").value();

class PeerRecordTest : public ::testing::Test {
 protected:
  PeerRecord record() const {
    PeerRecord made;
    made.peer_id = peer.peer_id();
    made.sequence = 1570215229;
    made.addresses = {address, Multiaddr::parse("/ip6/2001:db8::1/tcp/4001").value()};
    return made;
  }
  pb::PeerRecord message() const {
    pb::PeerRecord made;
    made.set_peer_id(to_field(peer.peer_id().bytes()));
    return made;
  }
  Result<PeerRecord> open(const pb::PeerRecord& payload) const {
    const auto envelope = SignedEnvelope::seal(peer, k_domain, k_type, serialise_protobuf(payload));
    return PeerRecord::open(envelope.encode());
  }

  SeededRng rng{1};
  Identity peer = Identity::generate(rng);
  Multiaddr address = Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value();
};

TEST_F(PeerRecordTest, WhatAPeerSealsAnybodyCanOpen) {
  EXPECT_EQ(PeerRecord::open(record().seal(peer)).value(), record());
  PeerRecord bare;
  bare.peer_id = peer.peer_id();
  bare.sequence = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(PeerRecord::open(bare.seal(peer)).value(), bare);
}

TEST_F(PeerRecordTest, HasTheBytesOfTheSpecification) {
  const auto envelope = SignedEnvelope::decode(record().seal(peer)).value();
  EXPECT_EQ(to_hex(envelope.payload), "0a26" + to_hex(peer.peer_id().bytes()) + "10bdaadeec05" +
                                          "1a0a0a0804c0000201060fa1" +
                                          "1a160a142920010db8000000000000000000000001060fa1");
  EXPECT_TRUE(envelope.verify(k_domain, k_type));
}

TEST_F(PeerRecordTest, ARecordMadeByOthersOpens) {
  const auto opened = PeerRecord::open(from_hex(testing::k_ed25519_peer_record).value());
  ASSERT_TRUE(opened) << opened.error().message();
  PeerRecord expected = record();
  expected.peer_id = PeerId::from_bytes(from_hex(testing::k_ed25519_signer).value()).value();
  EXPECT_EQ(*opened, expected);
}

TEST_F(PeerRecordTest, ARecordThatAnotherPeerSignedIsRefused) {
  const Identity other = Identity::generate(rng);
  EXPECT_EQ(PeerRecord::open(record().seal(other)).error().code(), Errc::peer_id_mismatch);
}

TEST_F(PeerRecordTest, AnEnvelopeForAnotherPurposeIsRefused) {
  const auto envelope = SignedEnvelope::decode(record().seal(peer)).value();
  const auto voucher = SignedEnvelope::seal(peer, "libp2p-relay-rsvp", k_type, envelope.payload);
  EXPECT_EQ(PeerRecord::open(voucher.encode()).error().code(), Errc::bad_signature);
  const auto typed = SignedEnvelope::seal(peer, k_domain, from_hex("0302").value(), envelope.payload);
  EXPECT_EQ(PeerRecord::open(typed.encode()).error().code(), Errc::malformed);
}

TEST_F(PeerRecordTest, AddressesItDoesNotUnderstandAreSkippedAndCounted) {
  pb::PeerRecord payload = message();
  for (const std::string_view bytes : {"8401", "", "040102", "04c0000201060fa1"}) {
    payload.add_addresses()->set_multiaddr(to_field(from_hex(bytes).value()));
  }
  payload.add_addresses();
  const auto opened = open(payload).value();
  EXPECT_EQ(opened.addresses, std::vector{address});
  EXPECT_EQ(opened.skipped, 4U);
}

TEST_F(PeerRecordTest, IsBounded) {
  pb::PeerRecord payload = message();
  for (std::size_t i = 0; i < PeerRecord::max_addresses; ++i) payload.add_addresses();
  EXPECT_TRUE(open(payload));
  payload.add_addresses();
  EXPECT_EQ(open(payload).error().code(), Errc::oversized);

  pb::PeerRecord long_one = message();
  long_one.add_addresses()->set_multiaddr(std::string(Multiaddr::max_size, 'x'));
  EXPECT_TRUE(open(long_one));
  long_one.mutable_addresses(0)->set_multiaddr(std::string(Multiaddr::max_size + 1, 'x'));
  EXPECT_EQ(open(long_one).error().code(), Errc::oversized);

  Bytes padded = serialise_protobuf(message());
  append(padded, from_hex("9a06ff3f").value());
  padded.resize(padded.size() + 8191);
  EXPECT_EQ(PeerRecord::open(SignedEnvelope::seal(peer, k_domain, k_type, padded).encode()).error().code(),
            Errc::oversized);
}

TEST_F(PeerRecordTest, APayloadThatIsNoRecordIsRefused) {
  EXPECT_EQ(open(pb::PeerRecord()).error().code(), Errc::malformed);
  const auto garbage = SignedEnvelope::seal(peer, k_domain, k_type, from_hex("0f").value());
  EXPECT_EQ(PeerRecord::open(garbage.encode()).error().code(), Errc::malformed);
  EXPECT_EQ(PeerRecord::open({}).error().code(), Errc::bad_public_key);
}

}  // namespace
}  // namespace dig
