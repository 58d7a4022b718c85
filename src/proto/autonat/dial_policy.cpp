// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/dial_policy.hpp"

#include "proto/autonat/address_scope.hpp"

namespace dig::autonat {

std::optional<Endpoint> dialable(const Multiaddr& address, const PeerId& client,
                                 const std::optional<IpAddress>& observed, const DialPolicy& policy) {
  const Result<Endpoint> endpoint = address.tcp_endpoint();
  if (!endpoint || address.peer_id().value_or(client) != client) return std::nullopt;
  return is_dialable(*endpoint, observed, policy) ? std::optional(*endpoint) : std::nullopt;
}

bool is_dialable(const Endpoint& endpoint, const std::optional<IpAddress>& observed, const DialPolicy& policy) {
  const AddressScope scope = scope_of(endpoint.address);
  const bool is_within_reach = policy.is_public ? scope == AddressScope::internet : scope != AddressScope::none;
  if (is_within_reach && endpoint.address == observed && endpoint.port != 0) return true;
  const bool has_family = endpoint.address.is_v4() ? policy.has_v4 : policy.has_v6;
  return has_family && stun::is_usable(endpoint, policy.addresses);
}

}  // namespace dig::autonat
