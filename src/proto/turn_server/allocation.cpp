// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/allocation.hpp"

#include <algorithm>

namespace dig::turn {

// A few entries each: a walk through them is faster than a table, and smaller.
const Channel* Allocation::find_channel(Instant now, std::uint16_t number) const noexcept {
  const auto found = std::ranges::find(channels, number, &Channel::number);
  return found != channels.end() && found->expires > now ? &*found : nullptr;
}

const Channel* Allocation::find_channel(Instant now, const Endpoint& peer) const noexcept {
  const auto found = std::ranges::find(channels, peer, &Channel::peer);
  return found != channels.end() && found->expires > now ? &*found : nullptr;
}

bool Allocation::has_permission(Instant now, const IpAddress& peer) const noexcept {
  const auto found = std::ranges::find(permissions, peer, &Permission::peer);
  return found != permissions.end() && found->expires > now;
}

}  // namespace dig::turn
