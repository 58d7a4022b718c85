// SPDX-License-Identifier: Apache-2.0
#include "wire/peer_record.hpp"

#include <array>

#include "peer_record.pb.h"
#include "wire/protobuf.hpp"
#include "wire/signed_envelope.hpp"

namespace dig {
namespace {

// What all implementations use. The RFC's text names another domain and a path for a type, which nobody sends.
constexpr std::string_view k_domain = "libp2p-peer-record";
constexpr std::array k_payload_type = {std::byte{0x03}, std::byte{0x01}};

}  // namespace

Bytes PeerRecord::seal(const Identity& identity) const {
  pb::PeerRecord message;
  message.set_peer_id(to_field(peer_id.bytes()));
  message.set_seq(sequence);
  for (const Multiaddr& address : addresses) message.add_addresses()->set_multiaddr(to_field(address.bytes()));
  return SignedEnvelope::seal(identity, k_domain, k_payload_type, serialise_protobuf(message)).encode();
}

Result<PeerRecord> PeerRecord::open(BytesView bytes) {
  DIG_TRY(const SignedEnvelope envelope, SignedEnvelope::decode(bytes));
  DIG_CHECK(envelope.verify(k_domain, k_payload_type));
  DIG_TRY(const auto message, parse_protobuf<pb::PeerRecord>(envelope.payload, max_encoded_size));
  PeerRecord record;
  auto peer = PeerId::from_bytes(as_bytes(message.peer_id()));
  if (!peer) return fail(Errc::malformed, "a peer record without a valid peer id");
  if (envelope.signer() != *peer) return fail(Errc::peer_id_mismatch, "the peer record was signed by another peer");
  record.peer_id = *std::move(peer);
  record.sequence = message.seq();
  if (message.addresses_size() > static_cast<int>(max_addresses)) return fail(Errc::oversized, "too many addresses");
  for (const pb::PeerRecord::AddressInfo& info : message.addresses()) {
    if (info.multiaddr().size() > Multiaddr::max_size) return fail(Errc::oversized, "an address longer than its limit");
    if (auto address = Multiaddr::from_bytes(as_bytes(info.multiaddr()))) {
      record.addresses.push_back(*std::move(address));
    } else {
      ++record.skipped;
    }
  }
  return record;
}

}  // namespace dig
