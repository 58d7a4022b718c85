// SPDX-License-Identifier: Apache-2.0
#include "node/turn_offer.hpp"

#include <algorithm>

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

}  // namespace

std::optional<TurnRole> make_turn_role(const TurnWish& wish, const std::vector<Multiaddr>& reachable) {
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
    if (!place.address) continue;
    auto& relay = place.address->is_v4() ? role.relay_v4 : role.relay_v6;
    if (!relay) relay = place.address;
  }
  // A name alone is one of this server too, but allocations need an address.
  if (servers.empty() || (!role.relay_v4 && !role.relay_v6)) return std::nullopt;
  return role;
}

}  // namespace dig::node
