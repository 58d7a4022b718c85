// SPDX-License-Identifier: Apache-2.0
// The one place that says what kind of address an IP address is. Every policy (whom to dial, whom to relay to, which
// address to believe) asks here and denies what is not listed in it.
//
// The blocks are those of the IANA special-purpose registries (RFC 6890 and its updates). IPv6 forms that carry an IPv4
// address are judged by that address, so that no spelling of 127.0.0.1 gets past a policy.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/endpoint.hpp"

namespace dig {

enum class AddressClass : std::uint8_t {
  unspecified,  // 0.0.0.0/8 and ::
  loopback,
  private_use,  // RFC 1918, fc00::/7, fec0::/10, and the locally used NAT64 prefix 64:ff9b:1::/48
  link_local,
  cgnat,  // 100.64.0.0/10
  documentation,
  benchmarking,
  multicast,
  broadcast,
  reserved,  // everything else that no host on the Internet has
  global,
};

[[nodiscard]] std::string_view address_class_name(AddressClass address_class) noexcept;

// The IPv4 address that an IPv6 address carries: v4-mapped (::ffff:0:0/96), v4-compatible (::/96), NAT64 (64:ff9b::/96,
// 64:ff9b:1::/48), 6to4 (2002::/16), Teredo (2001::/32, the client). All other addresses stay as they are, without
// scope.
[[nodiscard]] IpAddress canonical(const IpAddress& address) noexcept;

[[nodiscard]] AddressClass classify(const IpAddress& address) noexcept;

[[nodiscard]] inline bool is_global(const IpAddress& address) noexcept {
  return classify(address) == AddressClass::global;
}

}  // namespace dig
