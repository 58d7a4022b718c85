// SPDX-License-Identifier: Apache-2.0
#include "wire/node_record.hpp"

#include "node_record.pb.h"
#include "wire/protobuf.hpp"
#include "wire/sequence.hpp"

namespace dig {
namespace {

// An address of a kind we do not know must not cost us the others; one beyond the limit is an attack.
Result<void> decode_addresses(const pb::NodeRecord& message, NodeRecord& out) {
  if (message.addresses_size() > static_cast<int>(NodeRecord::max_addresses)) {
    return fail(Errc::oversized, "a node record with too many addresses");
  }
  for (const std::string& field : message.addresses()) {
    if (field.size() > Multiaddr::max_size) return fail(Errc::oversized, "an address longer than its limit");
    if (Result<Multiaddr> address = Multiaddr::from_bytes(as_bytes(field)); address) {
      out.addresses.push_back(*std::move(address));
    } else {
      ++out.skipped_addresses;
    }
  }
  return {};
}

template <class Message>
std::optional<bool> fact(bool is_present, const Message& value) {
  return is_present ? std::optional<bool>(value) : std::nullopt;
}

// A value that this version does not know reads as absent in proto2, which is unknown.
Reachability decode_reachability(const pb::Reachability& message) {
  return {.mapping = static_cast<NatMapping>(message.mapping()),
          .filtering = static_cast<NatFiltering>(message.filtering()),
          .udp = fact(message.has_udp(), message.udp()),
          .tcp_443 = fact(message.has_tcp_443(), message.tcp_443()),
          .port_mapped = fact(message.has_port_mapped(), message.port_mapped()),
          .ipv6 = fact(message.has_ipv6(), message.ipv6())};
}

void fill(pb::Reachability& out, const Reachability& reachability) {
  if (reachability.mapping != NatMapping::unknown) {
    out.set_mapping(static_cast<pb::Reachability::Mapping>(reachability.mapping));
  }
  if (reachability.filtering != NatFiltering::unknown) {
    out.set_filtering(static_cast<pb::Reachability::Filtering>(reachability.filtering));
  }
  if (reachability.udp) out.set_udp(*reachability.udp);
  if (reachability.tcp_443) out.set_tcp_443(*reachability.tcp_443);
  if (reachability.port_mapped) out.set_port_mapped(*reachability.port_mapped);
  if (reachability.ipv6) out.set_ipv6(*reachability.ipv6);
}

}  // namespace

Result<NodeRecord> NodeRecord::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::NodeRecord>(bytes, max_encoded_size));
  NodeRecord record;
  DIG_TRY(record.peer, PeerId::from_bytes(as_bytes(message.peer_id())));
  DIG_TRY(record.sequence, checked_sequence(message.sequence()));
  record.lifetime = std::chrono::seconds(message.lifetime());
  if (record.lifetime < std::chrono::seconds(1) || record.lifetime > max_lifetime) {
    return fail(Errc::malformed, "a node record with an impossible lifetime");
  }
  DIG_CHECK(decode_addresses(message, record));
  record.roles = {message.roles()};
  record.reachability = decode_reachability(message.reachability());
  record.pages = message.pages();
  if (record.pages > max_pages) return fail(Errc::oversized, "a node record with too many pages of stores");
  return record;
}

Bytes NodeRecord::encode() const {
  pb::NodeRecord message;
  message.set_peer_id(to_field(peer.bytes()));
  message.set_sequence(sequence);
  message.set_lifetime(static_cast<std::uint32_t>(lifetime.count()));
  for (const Multiaddr& address : addresses) message.add_addresses(to_field(address.bytes()));
  if (roles.bits != 0) message.set_roles(roles.bits);
  if (reachability != Reachability()) fill(*message.mutable_reachability(), reachability);
  if (pages != 0) message.set_pages(pages);
  return serialise_protobuf(message);
}

Result<NodeRemoval> NodeRemoval::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::NodeRemoval>(bytes, max_encoded_size));
  NodeRemoval removal;
  DIG_TRY(removal.peer, PeerId::from_bytes(as_bytes(message.peer_id())));
  DIG_TRY(removal.sequence, checked_sequence(message.sequence()));
  return removal;
}

Bytes NodeRemoval::encode() const {
  pb::NodeRemoval message;
  message.set_peer_id(to_field(peer.bytes()));
  message.set_sequence(sequence);
  return serialise_protobuf(message);
}

}  // namespace dig
