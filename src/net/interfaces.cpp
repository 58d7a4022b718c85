// SPDX-License-Identifier: Apache-2.0
#include "net/interfaces.hpp"

#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/address_class.hpp"
#include "net/sockaddr.hpp"

namespace dig::net {

std::vector<InterfaceAddress> interface_addresses() {
  std::vector<InterfaceAddress> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
  for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
    if (item->ifa_addr == nullptr || (item->ifa_flags & IFF_UP) == 0) continue;
    const int family = item->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    SocketAddress address;
    std::memcpy(address.mutable_get(), item->ifa_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    addresses.push_back({.interface = item->ifa_name,
                         .address = address.endpoint().address,
                         .is_loopback = (item->ifa_flags & IFF_LOOPBACK) != 0,
                         .is_running = (item->ifa_flags & IFF_RUNNING) != 0});
  }
  return addresses;
}

std::vector<Endpoint> dialable_endpoints(const Endpoint& bound, const std::vector<InterfaceAddress>& addresses) {
  if (!bound.address.is_unspecified()) return {bound};
  std::vector<Endpoint> endpoints;
  for (const bool wants_loopback : {false, true}) {
    for (const InterfaceAddress& item : addresses) {
      if (item.is_loopback != wants_loopback || item.address.family() != bound.address.family()) continue;
      const Endpoint endpoint{item.address, bound.port};
      const bool needs_scope = !item.address.is_v4() && classify(item.address) == AddressClass::link_local;
      if (needs_scope || std::ranges::find(endpoints, endpoint) != endpoints.end()) continue;
      endpoints.push_back(endpoint);
    }
  }
  return endpoints;
}

}  // namespace dig::net
