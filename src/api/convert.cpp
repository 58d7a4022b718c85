// SPDX-License-Identifier: Apache-2.0
#include "api/convert.hpp"

#include <algorithm>

#include "base/base_encoding.hpp"
#include "wire/public_key.hpp"

namespace dignet {
namespace {

double seconds(dig::Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::optional<double> seconds_until(dig::Instant now, const std::optional<dig::Instant>& end) {
  return end && *end > now ? std::optional(seconds(*end - now)) : std::nullopt;
}

// Empty for a key that stands in the peer id as a hash only.
std::string crypto_ipv6_of(const dig::PeerId& peer) {
  const auto key = peer.public_key();
  return key ? dig::crypto_ipv6(*key).to_string() : std::string();
}

std::vector<std::string> role_names(const dig::NodeRoles& roles) {
  constexpr std::pair<dig::NodeRole, std::string_view> k_names[] = {
      {dig::NodeRole::bootstrap, "bootstrap"},
      {dig::NodeRole::relay, "relay"},
      {dig::NodeRole::turn_pair_relay, "turn-pair-relay"},
      {dig::NodeRole::turn_open_relay, "turn"},
      {dig::NodeRole::autonat_server, "autonat"},
  };
  std::vector<std::string> names{"peer"};
  for (const auto& [role, name] : k_names) {
    dig::NodeRoles one;
    one.add(role);
    if (roles.has_all(one)) names.emplace_back(name);
  }
  return names;
}

BootstrapServerStatus to_public(dig::Instant now, const dig::node::BootstrapStatus& server) {
  return {.peer_id = server.peer.to_string(),
          .is_connected = server.is_connected,
          .registered_seconds = seconds_until(now, server.registered_until),
          .is_replicated = server.is_replicated,
          .error = server.error};
}

ReservationStatus to_public(dig::Instant now, const dig::relay::KeptRelay& relay) {
  return {.relay_peer_id = relay.relay.to_string(),
          .seconds = seconds_until(now, relay.reserved_until),
          .error = relay.last_failure};
}

}  // namespace

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

PeerStatus to_public(dig::Instant now, const dig::node::LinkStatus& link) {
  const dig::ladder::MethodRow& row = dig::node::method_row_of(link.path.is_relayed);
  return {.peer_id = link.peer.to_string(),
          .crypto_ipv6 = crypto_ipv6_of(link.peer),
          .address = link.path.address.to_string(),
          .is_inbound = link.direction == dig::Direction::inbound,
          .tier = static_cast<int>(row.tier),
          .tier_name = std::string(row.tier_name),
          .method = std::string(row.name),
          .seconds = seconds(now - link.established)};
}

OnePortStatus to_public(const dig::net::PortStreamsStatus& streams,
                        const dig::one_port::DatagramRouter::Status& datagrams) {
  OnePortStatus out{.unidentified = streams.unidentified,
                    .accepted = streams.tcp.accepted,
                    .rejected = streams.tcp.rejected,
                    .libp2p = streams.libp2p,
                    .stun = streams.stun,
                    .pages = streams.pages,
                    .misdirected_pages = streams.misdirected,
                    .refused = {},
                    .datagrams_refused = {}};
  for (const auto& row : streams.refused) out.refused.push_back({std::string(row.phase), row.reason, row.count});
  for (std::size_t i = 0; i < datagrams.refused.size(); ++i) {
    const auto reason = static_cast<dig::one_port::Refusal>(i);
    out.datagrams_refused.push_back({std::string(dig::one_port::to_text(reason)), datagrams.refused[i]});
  }
  return out;
}

NodeStatus to_public(dig::Instant now, const dig::node::NodeStatus& status) {
  NodeStatus out;
  out.roles = role_names(status.roles);
  out.connections = status.connections;
  for (const auto& server : status.bootstraps) out.bootstraps.push_back(to_public(now, server));
  for (const auto& relay : status.reservations) out.reservations.push_back(to_public(now, relay));
  dig::NodeRoles relaying;
  relaying.add(dig::NodeRole::relay);
  if (status.roles.has_all(relaying)) {
    out.relay = RelayRoleStatus{.reservations = status.relay.reservations,
                                .circuits = status.relay.circuits,
                                .circuits_admitted = status.relay.circuits_admitted,
                                .circuits_refused = status.relay.circuits_refused};
  }
  if (const auto& directory = status.directory) {
    out.directory = DirectoryStatus{.records = directory->live,
                                    .bytes = directory->bytes,
                                    .registered = directory->registered,
                                    .refused = directory->refused,
                                    .expired = directory->expired,
                                    .look_ups = directory->look_ups,
                                    .is_shared = std::nullopt};
  }
  return out;
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
