// SPDX-License-Identifier: Apache-2.0
// Who can reach whom directly over UDP: ground truth for tests, stated without any NAT code.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace dig::sim::testing {

// What stands between a host and the Internet.
enum class NatKind : std::uint8_t {
  open,      // nothing
  firewall,  // a public address behind a stateful firewall
  full_cone,
  address_restricted,
  port_restricted,
  port_restricted_random,  // does not preserve ports
  address_dependent,
  symmetric_sequential,
  symmetric,
  cgnat,            // a port-restricted home behind a carrier's NAT
  cgnat_symmetric,  // the same, and the carrier's mapping depends on the remote
};

inline constexpr std::array k_nat_kinds{
    NatKind::open,
    NatKind::firewall,
    NatKind::full_cone,
    NatKind::address_restricted,
    NatKind::port_restricted,
    NatKind::port_restricted_random,
    NatKind::address_dependent,
    NatKind::symmetric_sequential,
    NatKind::symmetric,
    NatKind::cgnat,
    NatKind::cgnat_symmetric,
};

[[nodiscard]] constexpr std::string_view nat_kind_name(NatKind kind) {
  constexpr std::array<std::string_view, k_nat_kinds.size()> names{"open",
                                                                   "firewall",
                                                                   "full_cone",
                                                                   "address_restricted",
                                                                   "port_restricted",
                                                                   "port_restricted_random",
                                                                   "address_dependent",
                                                                   "symmetric_sequential",
                                                                   "symmetric",
                                                                   "cgnat",
                                                                   "cgnat_symmetric"};
  return names[static_cast<std::size_t>(kind)];
}

// Whether others see one endpoint of a socket, whoever they are (endpoint-independent mapping, RFC 4787 §4.1).
[[nodiscard]] constexpr bool has_one_endpoint(NatKind kind) {
  return kind != NatKind::address_dependent && kind != NatKind::symmetric_sequential && kind != NatKind::symmetric &&
         kind != NatKind::cgnat_symmetric;
}

// Whether it hears from ports to which it has not sent, at an address to which it has (RFC 4787 §5:
// endpoint-independent or address-dependent filtering).
[[nodiscard]] constexpr bool hears_any_port(NatKind kind) {
  return kind == NatKind::open || kind == NatKind::full_cone || kind == NatKind::address_restricted;
}

// A simultaneous hole punch, when each side knows one endpoint of the other. `has_prediction`: a side with one endpoint
// also tries the ports that come next after those on which it knows the other one.
[[nodiscard]] constexpr bool can_connect_directly(NatKind a, NatKind b, bool has_prediction = false) {
  if (has_one_endpoint(a) && has_one_endpoint(b)) return true;
  if (has_one_endpoint(a) && hears_any_port(a)) return true;
  if (has_one_endpoint(b) && hears_any_port(b)) return true;
  const auto is_predicted = [](NatKind guesser, NatKind guessed) {
    return has_one_endpoint(guesser) && guessed == NatKind::symmetric_sequential;
  };
  return has_prediction && (is_predicted(a, b) || is_predicted(b, a));
}

}  // namespace dig::sim::testing
