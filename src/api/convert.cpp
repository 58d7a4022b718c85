// SPDX-License-Identifier: Apache-2.0
#include "api/convert.hpp"

#include <algorithm>

#include "base/base_encoding.hpp"

namespace dignet {

PortLease to_public(const dig::net::PortStatus& status) {
  return {status.purpose, status.preferred, status.port, status.protocols, status.reason};
}

StoreInfo to_public(const dig::store::StoreInfo& info) {
  return {.store_id = info.store_id.to_hex(),
          .root_hash = info.root.to_hex(),
          .urn = info.urn().to_string(),
          .bytes = info.size,
          .files = info.files,
          .sequence = info.sequence,
          .is_signed = info.is_signed};
}

VerifyReport to_public(const dig::store::VerifyReport& report) {
  VerifyReport result{report.stores, report.bytes, {}};
  for (const dig::store::DamagedStore& damaged : report.damaged) {
    const dig::store::Urn urn{damaged.store_id, damaged.root, {}};
    result.damaged.push_back({urn.to_string(), damaged.error});
  }
  return result;
}

NodeIdentity to_public(const dig::Identity& identity) {
  return {.peer_id = identity.peer_id().to_string(),
          .crypto_ipv6 = identity.crypto_ipv6().to_string(),
          .public_key = dig::to_hex(identity.public_key().data)};
}

Result<std::vector<PeerAddresses>> parse_peers(const std::vector<std::string>& texts) {
  std::vector<PeerAddresses> peers;
  for (const std::string& text : texts) {
    DIG_TRY(const dig::Multiaddr address, dig::Multiaddr::parse(text));
    const auto peer = address.peer_id();
    if (!peer) return dig::fail(Errc::bad_peer_id, "the address must end in /p2p/<peer id>: " + text);
    auto found = std::ranges::find(peers, *peer, &PeerAddresses::peer);
    if (found == peers.end()) found = peers.insert(peers.end(), PeerAddresses{*peer, {}});
    found->addresses.push_back(address.without_peer_id());
  }
  return peers;
}

Result<std::vector<dig::Multiaddr>> parse_addresses(const std::vector<std::string>& texts) {
  std::vector<dig::Multiaddr> addresses;
  for (const std::string& text : texts) {
    DIG_TRY(dig::Multiaddr address, dig::Multiaddr::parse(text));
    addresses.push_back(std::move(address));
  }
  return addresses;
}

}  // namespace dignet
