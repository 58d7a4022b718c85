// SPDX-License-Identifier: Apache-2.0
// The addresses of this machine, for announcing where we listen when we are bound to "any".
#pragma once

#include <string>
#include <vector>

#include "base/endpoint.hpp"

namespace dig::net {

struct InterfaceAddress {
  std::string interface;  // "eth0"
  IpAddress address;      // with its scope where link-local
  bool is_loopback = false;
  bool is_running = false;  // its link carries something (netdevice(7), IFF_RUNNING)
  friend auto operator<=>(const InterfaceAddress&, const InterfaceAddress&) = default;
};

// Of the interfaces that are up, in the system's order; empty when the system does not say.
[[nodiscard]] std::vector<InterfaceAddress> interface_addresses();

// Where others can dial what is bound to `bound`: itself, or for 0.0.0.0 and [::] one endpoint per address of that
// family, loopback last, link-local IPv6 left out (it means nothing without the dialler's own interface).
[[nodiscard]] std::vector<Endpoint> dialable_endpoints(const Endpoint& bound,
                                                       const std::vector<InterfaceAddress>& addresses);

}  // namespace dig::net
