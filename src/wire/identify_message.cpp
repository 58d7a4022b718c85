// SPDX-License-Identifier: Apache-2.0
#include "wire/identify_message.hpp"

#include "identify.pb.h"
#include "wire/protobuf.hpp"

namespace dig {
namespace {

// An address of a kind we do not know must not cost us the others; one beyond the limit is an attack.
Result<std::optional<Multiaddr>> decode_address(const std::string& field) {
  if (field.size() > Multiaddr::max_size) return fail(Errc::oversized, "an address longer than its limit");
  Result<Multiaddr> address = Multiaddr::from_bytes(as_bytes(field));
  if (!address) return std::optional<Multiaddr>();
  return std::optional(*std::move(address));
}

Result<void> decode_addresses(const pb::Identify& message, Identify& out) {
  if (message.listen_addrs_size() > static_cast<int>(Identify::max_addresses)) {
    return fail(Errc::oversized, "too many addresses");
  }
  for (const std::string& field : message.listen_addrs()) {
    DIG_TRY(std::optional<Multiaddr> address, decode_address(field));
    if (address) {
      out.listen_addresses.push_back(*std::move(address));
    } else {
      ++out.skipped;
    }
  }
  if (!message.observed_addr().empty()) {
    DIG_TRY(out.observed_address, decode_address(message.observed_addr()));
    if (!out.observed_address) ++out.skipped;
  }
  return {};
}

Result<void> decode_protocols(const pb::Identify& message, Identify& out) {
  if (message.protocols_size() > static_cast<int>(Identify::max_protocols)) {
    return fail(Errc::oversized, "too many protocols");
  }
  for (const std::string& name : message.protocols()) {
    if (name.size() > Identify::max_protocol_size) return fail(Errc::oversized, "the name of a protocol is too long");
    if (!name.empty() && is_safe_text(name)) {
      out.protocols.push_back(name);
    } else {
      ++out.skipped;
    }
  }
  return {};
}

}  // namespace

Result<Identify> Identify::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::Identify>(bytes, max_encoded_size));
  Identify identify;
  if (message.has_public_key()) {
    DIG_TRY(identify.public_key, PublicKey::decode(as_bytes(message.public_key())));
  }
  DIG_CHECK(decode_addresses(message, identify));
  DIG_CHECK(decode_protocols(message, identify));
  identify.protocol_version = SafeText(message.protocol_version());
  identify.agent_version = SafeText(message.agent_version());
  identify.signed_peer_record = to_bytes(message.signed_peer_record());
  return identify;
}

Bytes Identify::encode() const {
  pb::Identify message;
  if (public_key) message.set_public_key(to_field(public_key->encode()));
  for (const Multiaddr& address : listen_addresses) message.add_listen_addrs(to_field(address.bytes()));
  for (const std::string& protocol : protocols) message.add_protocols(protocol);
  if (observed_address) message.set_observed_addr(to_field(observed_address->bytes()));
  if (!protocol_version.empty()) message.set_protocol_version(protocol_version.str());
  if (!agent_version.empty()) message.set_agent_version(agent_version.str());
  if (!signed_peer_record.empty()) message.set_signed_peer_record(to_field(signed_peer_record));
  return serialise_protobuf(message);
}

}  // namespace dig
