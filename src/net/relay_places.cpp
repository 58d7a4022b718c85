// SPDX-License-Identifier: Apache-2.0
#include "net/relay_places.hpp"

#include <algorithm>

#include "base/address_class.hpp"

namespace dig::net {
namespace {

std::optional<IpAddress> of_family(const std::vector<IpAddress>& addresses, IpFamily family) {
  const auto found = std::ranges::find(addresses, family, &IpAddress::family);
  return found == addresses.end() ? std::nullopt : std::optional(*found);
}

// The address that others reach, when this machine has it: peers that filter take no data from another one. Else one
// of the Internet, else the first.
std::optional<IpAddress> choose(IpFamily family, const std::optional<IpAddress>& reached,
                                const std::vector<InterfaceAddress>& interfaces) {
  std::vector<IpAddress> own;
  for (const Endpoint& endpoint : dialable_endpoints({IpAddress::any(family), 1}, interfaces)) {
    own.push_back(endpoint.address);
  }
  if (own.empty()) return std::nullopt;
  if (reached && std::ranges::find(own, *reached) != own.end()) return reached;
  const auto global = std::ranges::find_if(own, is_global);
  return global == own.end() ? own.front() : *global;
}

}  // namespace

std::optional<RelayPlace> find_relay_place(const RelayWish& wish, IpFamily family,
                                           const std::optional<IpAddress>& reached,
                                           const std::vector<InterfaceAddress>& interfaces) {
  const auto wanted = of_family(wish.relay_ips, family);
  const auto bound = wanted ? wanted : choose(family, reached, interfaces);
  if (!bound) return std::nullopt;
  if (const auto in_front = of_family(wish.public_ips, family)) return RelayPlace{*bound, *in_front};
  // Behind a NAT others reach an address that this machine does not have.
  const bool is_behind = reached && is_global(*reached) && !is_global(*bound);
  return RelayPlace{*bound, is_behind ? *reached : *bound};
}

}  // namespace dig::net
