// SPDX-License-Identifier: Apache-2.0
// The words of RFC 4787 for what a NAT does, which a node says of itself in its record.
#pragma once

#include <cstdint>

namespace dig {

enum class NatMapping : std::uint8_t {
  unknown,
  none,  // a server sees the address of the socket
  endpoint_independent,
  address_dependent,
  address_and_port_dependent,
  dependent,  // one of the two above; ordinary servers cannot tell which
};
enum class NatFiltering : std::uint8_t { unknown, endpoint_independent, address_dependent, address_and_port_dependent };

}  // namespace dig
