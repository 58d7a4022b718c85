// SPDX-License-Identifier: Apache-2.0
#include "wire/node_record.hpp"

#include <gtest/gtest.h>

#include "node_record.pb.h"
#include "wire/protobuf.hpp"
#include "wire/signed_statement.hpp"
#include "wire/store_announcement.hpp"

namespace dig {
namespace {

Identity identity_of(std::uint64_t seed) {
  SeededRng rng(seed);
  return Identity::generate(rng);
}

template <class T>
Errc code_of(const Result<T>& result) {
  EXPECT_FALSE(result);
  return result ? Errc::internal : result.error().code();
}

struct NodeRecordTest : ::testing::Test {
  Identity identity = identity_of(1);
  NodeRecord full{.peer = identity.peer_id(),
                  .sequence = 1'800'000'000'000,
                  .lifetime = std::chrono::hours(1),
                  .addresses = {Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value(),
                                Multiaddr::parse("/ip4/192.0.2.2/tcp/443/p2p/" + identity_of(2).peer_id().to_string() +
                                                 "/p2p-circuit")
                                    .value()},
                  .roles = {0x80000015},
                  .reachability = {.mapping = NatMapping::dependent,
                                   .filtering = NatFiltering::address_and_port_dependent,
                                   .udp = true,
                                   .tcp_443 = false,
                                   .port_mapped = std::nullopt,
                                   .ipv6 = true},
                  .pages = NodeRecord::max_pages};

  // What a node of another kind may send.
  pb::NodeRecord message() const {
    pb::NodeRecord out;
    out.set_peer_id(to_field(identity.peer_id().bytes()));
    out.set_sequence(5);
    out.set_lifetime(60);
    return out;
  }
  static Errc refusal(const pb::NodeRecord& message) {
    return code_of(NodeRecord::decode(serialise_protobuf(message)));
  }
};

TEST_F(NodeRecordTest, SurvivesEncoding) {
  const auto again = NodeRecord::decode(full.encode());
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, full);
  const auto least = NodeRecord::decode(serialise_protobuf(message()));
  ASSERT_TRUE(least);
  EXPECT_EQ(least->reachability, Reachability());
  EXPECT_EQ(NodeRecord::decode(least->encode()), least);
}

TEST_F(NodeRecordTest, WhatIsNotKnownYetCostsNothingElse) {
  pb::NodeRecord later = message();
  later.add_addresses(to_field(full.addresses[0].bytes()));
  later.add_addresses("\xff\xff\x01");
  later.mutable_reachability()->set_ipv6(true);
  Bytes bytes = serialise_protobuf(later);
  append(bytes, to_bytes("\x92\x03\x02hi"));  // field 50
  const auto record = NodeRecord::decode(bytes);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->addresses.size(), 1u);
  EXPECT_EQ(record->skipped_addresses, 1u);
  EXPECT_EQ(record->reachability.ipv6, true);
}

TEST_F(NodeRecordTest, EachFieldHasItsBounds) {
  pb::NodeRecord bad = message();
  bad.set_sequence(0);
  EXPECT_EQ(refusal(bad), Errc::malformed);
  bad.set_sequence(UINT64_MAX);
  EXPECT_EQ(refusal(bad), Errc::malformed);
  bad = message();
  bad.set_lifetime(0);
  EXPECT_EQ(refusal(bad), Errc::malformed);
  bad.set_lifetime(7201);
  EXPECT_EQ(refusal(bad), Errc::malformed);
  bad.set_lifetime(UINT32_MAX);
  EXPECT_EQ(refusal(bad), Errc::malformed);
  bad = message();
  bad.set_pages(NodeRecord::max_pages + 1);
  EXPECT_EQ(refusal(bad), Errc::oversized);
  bad = message();
  bad.set_peer_id("x");
  EXPECT_EQ(refusal(bad), Errc::bad_peer_id);
  bad = message();
  for (std::size_t i = 0; i <= NodeRecord::max_addresses; ++i) bad.add_addresses("x");
  EXPECT_EQ(refusal(bad), Errc::oversized);
  bad = message();
  bad.add_addresses(std::string(Multiaddr::max_size + 1, 'x'));
  EXPECT_EQ(refusal(bad), Errc::oversized);
  Bytes long_record = serialise_protobuf(message());
  append(long_record, Bytes(NodeRecord::max_encoded_size));
  EXPECT_EQ(code_of(NodeRecord::decode(long_record)), Errc::oversized);
  EXPECT_EQ(code_of(NodeRecord::decode(to_bytes("\xff"))), Errc::malformed);
}

TEST_F(NodeRecordTest, RolesAreAskedForTogether) {
  NodeRoles roles;
  roles.add(NodeRole::relay);
  roles.add(NodeRole::bootstrap);
  EXPECT_TRUE(roles.has_all({1}));
  EXPECT_TRUE(roles.has_all({9}));
  EXPECT_FALSE(roles.has_all({3}));
  EXPECT_TRUE(roles.has_all({}));
}

TEST_F(NodeRecordTest, ARemovalSurvivesEncoding) {
  const NodeRemoval removal{identity.peer_id(), 7};
  EXPECT_EQ(NodeRemoval::decode(removal.encode()), removal);
  EXPECT_EQ(code_of(NodeRemoval::decode(NodeRemoval{identity.peer_id(), 0}.encode())), Errc::malformed);
  EXPECT_EQ(code_of(NodeRemoval::decode(Bytes(200))), Errc::oversized);
}

// --- signed ------------------------------------------------------------------------------------------------------

TEST_F(NodeRecordTest, IsReadBackAsItsPeerSignedIt) {
  const SignedEnvelope envelope = sign_statement(identity, full);
  const auto record = read_statement<NodeRecord>(SignedEnvelope::decode(envelope.encode()).value());
  ASSERT_TRUE(record) << record.error().message();
  EXPECT_EQ(*record, full);
}

TEST_F(NodeRecordTest, TheKeyMustBeThatOfThePeer) {
  EXPECT_EQ(code_of(read_statement<NodeRecord>(sign_statement(identity_of(2), full))), Errc::record_of_another_peer);
  SignedEnvelope swapped = sign_statement(identity, full);
  swapped.public_key = identity_of(2).public_key();
  EXPECT_EQ(code_of(read_statement<NodeRecord>(swapped)), Errc::record_of_another_peer);
  SignedEnvelope other_key = sign_statement(identity, full);
  other_key.public_key = {KeyType::secp256k1, Bytes(33)};
  EXPECT_EQ(code_of(read_statement<NodeRecord>(other_key)), Errc::bad_public_key);
}

TEST_F(NodeRecordTest, OnlyTheSignatureForThisPurposeCounts) {
  SignedEnvelope envelope = sign_statement(identity, full);
  envelope.payload.back() ^= std::byte{1};
  EXPECT_FALSE(read_statement<NodeRecord>(envelope));
  const NodeRemoval removal{identity.peer_id(), 7};
  SignedEnvelope relabelled = sign_statement(identity, removal);
  EXPECT_EQ(code_of(read_statement<NodeRecord>(relabelled)), Errc::malformed);
  relabelled.payload_type = to_bytes(NodeRecord::payload_type);
  EXPECT_FALSE(read_statement<NodeRecord>(relabelled));
  const SignedEnvelope domain =
      SignedEnvelope::seal(identity, NodeRemoval::domain, as_bytes(NodeRecord::payload_type), full.encode());
  EXPECT_EQ(code_of(read_statement<NodeRecord>(domain)), Errc::bad_signature);
}

}  // namespace
}  // namespace dig
