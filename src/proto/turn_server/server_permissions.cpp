// SPDX-License-Identifier: Apache-2.0
// CreatePermission (RFC 8656 §10) and ChannelBind (§12), and whom an allocation may talk to.
#include <algorithm>

#include "proto/turn_server/server_reply.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::turn {

bool Server::is_own_relay_address(const IpAddress& address) const noexcept {
  return address == config_.relay_v4 || address == config_.relay_v6;
}

void Server::set_relay_addresses(std::optional<IpAddress> v4, std::optional<IpAddress> v6) {
  config_.relay_v4 = v4;
  config_.relay_v6 = v6;
  own_relay_addresses();
}

void Server::set_own_addresses(std::vector<IpAddress> addresses) {
  config_.own_addresses = std::move(addresses);
  own_relay_addresses();
}

// What this host has besides its relays is nobody's peer.
void Server::own_relay_addresses() {
  for (const auto& address : {config_.relay_v4, config_.relay_v6}) {
    std::vector<IpAddress>& own = config_.own_addresses;
    if (address && std::ranges::find(own, *address) == own.end()) own.push_back(*address);
  }
}

// Another allocation of this server is reached by its relayed address; nothing else on this host is anybody's peer.
bool Server::may_be_peer(const IpAddress& address) const noexcept {
  return is_own_relay_address(address) || may_send_to(address);
}

bool Server::may_send_to(const IpAddress& address) const noexcept {
  return config_.peers.permits(address) &&
         std::ranges::find(config_.own_addresses, address) == config_.own_addresses.end();
}

bool Server::is_own_service(const Endpoint& peer) const noexcept {
  const bool is_relay_port = peer.port >= config_.ports.first && peer.port <= config_.ports.last;
  return is_own_relay_address(peer.address) && !is_relay_port && !may_send_to(peer.address);
}

std::uint16_t Server::refusal_of(Allocation& allocation, const Endpoint& peer) {
  if (!allocation.relay(peer.address.family())) return 443;
  const bool may = config_.is_pair_relay ? has_mirror(allocation, peer.address) : may_be_peer(peer.address);
  return may ? 0 : 403;
}

// All of them, or none: false when there is no room, or when there are too many new ones in this time.
bool Server::add_permissions(Instant now, Allocation& allocation, std::span<const Endpoint> peers) {
  std::vector<Permission>& permissions = allocation.permissions;
  std::size_t added = 0;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const auto is_peer = [&](const Endpoint& other) { return other.address == peers[i].address; };
    const bool is_repeated = std::ranges::any_of(peers.first(i), is_peer);
    const bool is_known = std::ranges::find(permissions, peers[i].address, &Permission::peer) != permissions.end();
    if (!is_repeated && !is_known) ++added;
  }
  if (added > 0 && (permissions.size() + added > config_.limits.max_permissions ||
                    !allocation.new_peers.take(now, config_.limits.new_peers, added))) {
    return false;
  }
  const Instant expires = now + config_.limits.permission_lifetime;
  for (const Endpoint& peer : peers) {
    const auto known = std::ranges::find(permissions, peer.address, &Permission::peer);
    if (known != permissions.end()) {
      known->expires = expires;
    } else {
      permissions.push_back({peer.address, expires});
    }
  }
  return true;
}

void Server::handle_create_permission(const Request& request, Authenticated& who, Allocation& allocation) {
  std::array<Endpoint, stun::k_max_attributes> peers;
  std::size_t count = 0;
  std::uint16_t refusal = 0;
  // All or none (RFC 8656 §10.2).
  request.message.for_each(stun::Attribute::xor_peer_address, [&](BytesView value) {
    const auto peer = stun::decode_xor_address(value, request.message.transaction());
    refusal = peer ? refusal_of(allocation, *peer) : 400;
    if (refusal == 0) peers[count++] = *peer;
    return refusal == 0;
  });
  if (refusal == 0 && count == 0) refusal = 400;
  if (refusal == 0 && !add_permissions(request.now, allocation, std::span(peers).first(count))) refusal = 508;
  if (refusal != 0) {
    if (refusal == 403) drop(Drop::peer_forbidden);
    return refuse(request, &who, refusal);
  }
  Reply reply(request.message, stun::Class::success);
  send(request, reply, who);
}

void Server::handle_channel_bind(const Request& request, Authenticated& who, Allocation& allocation) {
  const auto number_value = request.message.find(stun::Attribute::channel_number);
  const auto peer = stun::xor_address(request.message, stun::Attribute::xor_peer_address);
  const auto number = number_value ? stun::decode_channel_number(*number_value) : Result<std::uint16_t>(0);
  if (!number || *number < k_min_channel || *number > config_.limits.max_channel_number || !peer) {
    return refuse(request, &who, 400);
  }
  std::uint16_t refusal = refusal_of(allocation, *peer);
  if (refusal == 0 && config_.is_pair_relay && find_mirror(allocation, *peer) == nullptr) refusal = 403;
  // A permission is for an address (RFC 8656 §9), so that this can be said of a channel only; packets are dropped.
  if (refusal == 0 && !config_.is_pair_relay && is_own_service(*peer)) refusal = 403;
  if (refusal != 0) {
    if (refusal == 403) drop(Drop::peer_forbidden);
    return refuse(request, &who, refusal);
  }
  // RFC 8656 §12.2: a number belongs to one peer and a peer to one number, also for a while after they have expired.
  const auto by_number = std::ranges::find(allocation.channels, *number, &Channel::number);
  const auto by_peer = std::ranges::find(allocation.channels, *peer, &Channel::peer);
  if (by_number != by_peer) return refuse(request, &who, 400);
  const bool is_new = by_number == allocation.channels.end();
  if (is_new && allocation.channels.size() >= config_.limits.max_channels) return refuse(request, &who, 508);
  if (!add_permissions(request.now, allocation, std::span(&*peer, 1))) return refuse(request, &who, 508);
  const Instant expires = request.now + config_.limits.channel_lifetime;
  if (is_new) {
    allocation.channels.push_back({*peer, expires, *number});
  } else {
    by_number->expires = expires;
  }
  Reply reply(request.message, stun::Class::success);
  send(request, reply, who);
}

}  // namespace dig::turn
