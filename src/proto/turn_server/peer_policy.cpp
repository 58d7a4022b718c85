// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/peer_policy.hpp"

#include <algorithm>

#include "base/address_class.hpp"

namespace dig::turn {

bool PeerPolicy::permits(const IpAddress& peer) const noexcept {
  if (!peer.is_v4() && canonical(peer).is_v4()) return false;
  if (is_global(peer)) return true;
  return std::ranges::any_of(allowed_, [&](const Cidr& block) { return block.contains(peer); });
}

}  // namespace dig::turn
