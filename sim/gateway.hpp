// SPDX-License-Identifier: Apache-2.0
// A router between hosts and the rest of the virtual world, for their TCP: a NAT (RFC 5382 says for TCP what RFC 4787
// says for UDP, and the mapping and filtering of both have the same names), with ports forwarded by hand. What stands
// is let through; what is asked of it is whether a connection may begin, and what the other end sees of it.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "sim/nat.hpp"

namespace dig::sim {

struct GatewaySpec {
  IpAddress outside;
  std::set<IpAddress> inside;
  Dependence mapping = Dependence::endpoint_independent;
  Dependence filtering = Dependence::address_and_port_dependent;
  std::map<std::uint16_t, Endpoint> forwards{};  // of outside ports
};

class Gateway {
 public:
  Gateway(const GatewaySpec& spec, Rng& rng) : spec_(spec), nat_(nat_spec(spec), {spec.outside}, rng) {}

  [[nodiscard]] bool is_inside(const IpAddress& address) const { return spec_.inside.contains(address); }
  [[nodiscard]] const IpAddress& outside() const noexcept { return spec_.outside; }
  void remove_forward(std::uint16_t outside_port) { spec_.forwards.erase(outside_port); }
  // A host inside begins: as whom it is seen.
  [[nodiscard]] std::optional<Endpoint> outbound(Instant now, const Endpoint& inside, const Endpoint& remote) {
    return nat_.outbound(now, inside, remote);
  }
  // Somebody outside begins: who inside gets it.
  [[nodiscard]] std::optional<Endpoint> inbound(Instant now, const Endpoint& remote, const Endpoint& mapped) {
    const auto forward = spec_.forwards.find(mapped.port);
    return forward != spec_.forwards.end() ? std::optional(forward->second) : nat_.inbound(now, remote, mapped);
  }

 private:
  static NatSpec nat_spec(const GatewaySpec& spec) {
    NatSpec nat;
    nat.mapping = spec.mapping;
    nat.filtering = spec.filtering;
    nat.lifetime = std::chrono::hours(2) + 4min;  // RFC 5382 REQ-5
    return nat;
  }

  GatewaySpec spec_;
  Nat nat_;
};

}  // namespace dig::sim
