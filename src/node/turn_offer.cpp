// SPDX-License-Identifier: Apache-2.0
#include "node/turn_offer.hpp"

#include <algorithm>

#include "proto/autonat/address_scope.hpp"

namespace dig::node {
namespace {

struct Place {
  std::string host;
  std::uint16_t port = 0;
  std::optional<IpAddress> address;  // absent: a name
  friend bool operator==(const Place&, const Place&) = default;
};

std::optional<Place> place_of(const Multiaddr& address) {
  if (const auto endpoint = address.tcp_endpoint()) {
    // A zone means nothing to others.
    if (endpoint->address.scope() != 0) return std::nullopt;
    return Place{endpoint->address.to_string(), endpoint->port, endpoint->address};
  }
  if (auto name = address.dns_tcp()) return Place{std::move(name->host), name->port, std::nullopt};
  return std::nullopt;
}

// The first of each family.
void add_relay(TurnRole& role, const IpAddress& address) {
  auto& relay = address.is_v4() ? role.relay_v4 : role.relay_v6;
  if (!relay) relay = address;
}

}  // namespace

std::optional<TurnRole> make_turn_role(const TurnWish& wish, const std::vector<Multiaddr>& reachable,
                                       const std::vector<Multiaddr>& own) {
  std::vector<Place> places;
  for (const Multiaddr& address : reachable) {
    auto place = place_of(address);
    if (place && std::ranges::find(places, *place) == places.end()) places.push_back(std::move(*place));
  }
  TurnRole role{.offer = {.kind = wish.kind, .servers = {}}, .relay_v4 = {}, .relay_v6 = {}};
  auto& servers = role.offer.servers;
  for (const Place& place : places) {
    // The same port takes all of them. UDP first: it is the fastest, and who cannot use it goes on to the next.
    for (const StunTransport transport : {StunTransport::udp, StunTransport::tcp, StunTransport::tls}) {
      if (transport == StunTransport::tls && !wish.has_tls) continue;
      if (servers.size() == TurnCredentials::max_servers) break;
      servers.push_back({.is_turn = true, .transport = transport, .host = place.host, .port = place.port});
    }
    if (place.address) add_relay(role, *place.address);
  }
  // A name alone is one of this server too, but allocations need an address.
  if (!role.relay_v4 && !role.relay_v6) {
    for (const Multiaddr& address : own) {
      const auto endpoint = address.tcp_endpoint();
      const bool is_public = endpoint && autonat::scope_of(endpoint->address) == autonat::AddressScope::internet;
      if (is_public) add_relay(role, endpoint->address);
    }
  }
  if (servers.empty() || (!role.relay_v4 && !role.relay_v6)) return std::nullopt;
  return role;
}

}  // namespace dig::node
