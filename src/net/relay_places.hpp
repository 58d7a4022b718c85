// SPDX-License-Identifier: Apache-2.0
// From where an open relay of a node sends, and under which address its clients know it.
#pragma once

#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "net/interfaces.hpp"

namespace dig::net {

// Of one family.
struct RelayPlace {
  IpAddress bound;  // of this machine: where relay sockets are bound
  IpAddress told;   // where others reach them
  friend bool operator==(const RelayPlace&, const RelayPlace&) = default;
};

// What an owner has said, one address a family.
struct RelayWish {
  std::vector<IpAddress> relay_ips;   // of this machine
  std::vector<IpAddress> public_ips;  // in front of it (1:1 NAT)
};

// `reached`: an address at which others reach this node, if any is known. Nothing when this machine has no address of
// the family, or clients could be told none.
[[nodiscard]] std::optional<RelayPlace> find_relay_place(const RelayWish& wish, IpFamily family,
                                                         const std::optional<IpAddress>& reached,
                                                         const std::vector<InterfaceAddress>& interfaces);

}  // namespace dig::net
