// SPDX-License-Identifier: Apache-2.0
// What a node offers as a TURN server, made of what its owner wants and of where it can be reached.
#pragma once

#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "proto/turn_credentials/issuer.hpp"
#include "wire/multiaddr.hpp"

namespace dig::node {

struct TurnWish {
  TurnRelayKind kind = TurnRelayKind::pair;
  bool has_tls = false;  // with a certificate that the clients of others believe
  // An open relay whose relay ports nobody vouches for: it is offered once a datagram from outside has reached one.
  bool needs_probe = false;
  bool is_paused = false;  // nothing is offered now, as there is nothing left to give
  friend bool operator==(const TurnWish&, const TurnWish&) = default;
};

struct TurnRole {
  turn_credentials::Issuer::Offer offer;
  // Under which addresses allocations are named, by family.
  std::optional<IpAddress> relay_v4;
  std::optional<IpAddress> relay_v6;
};

// `reachable`: addresses of the one port. Of those that are no plain TCP addresses nothing is taken: the others say the
// same place again. Where only names are left, allocations are named under what is on the Internet of `own`, which this
// machine listens on. Nothing when no server or no address is left.
[[nodiscard]] std::optional<TurnRole> make_turn_role(const TurnWish& wish, const std::vector<Multiaddr>& reachable,
                                                     const std::vector<Multiaddr>& own = {});

}  // namespace dig::node
