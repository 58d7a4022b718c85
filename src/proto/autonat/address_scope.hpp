// SPDX-License-Identifier: Apache-2.0
// How far an address reaches. Who is on the Internet can say whether an address of the Internet is reached; about one
// of a private network only somebody in it can, and about loopback only the same machine.
#pragma once

#include <cstdint>

#include "base/accept_limiter.hpp"
#include "base/address_class.hpp"

namespace dig::autonat {

enum class AddressScope : std::uint8_t {
  none,  // nobody is probed there: link-local addresses mean another link elsewhere, the rest is no host
  loopback,
  local,     // a private network; the one behind a carrier's NAT is one too
  internet,  // and whatever looks like it: documentation and benchmarking networks are the Internets of laboratories
};

[[nodiscard]] inline AddressScope scope_of(const IpAddress& address) noexcept {
  switch (classify(address)) {
    case AddressClass::loopback:
      return AddressScope::loopback;
    case AddressClass::private_use:
    case AddressClass::cgnat:
      return AddressScope::local;
    case AddressClass::global:
    case AddressClass::documentation:
    case AddressClass::benchmarking:
      return AddressScope::internet;
    default:
      return AddressScope::none;
  }
}

[[nodiscard]] inline bool is_same_scope(const IpAddress& a, const IpAddress& b) noexcept {
  return scope_of(a) == scope_of(b) && scope_of(a) != AddressScope::none;
}

// Whether a server with this address can say something about an address of this node: one of the same scope that is not
// in the same place. From our own address it would come from inside; on loopback all do, and inside is where it is
// asked.
[[nodiscard]] inline bool can_probe(const IpAddress& server, const IpAddress& own) {
  if (!is_same_scope(server, own)) return false;
  switch (scope_of(own)) {
    case AddressScope::internet:
      return AcceptLimiter::prefix_of(server) != AcceptLimiter::prefix_of(own);
    case AddressScope::local:
      return server != own;
    default:
      return true;
  }
}

}  // namespace dig::autonat
