// SPDX-License-Identifier: Apache-2.0
#include "sim/firewall.hpp"

#include <algorithm>

namespace dig::sim {

void Firewall::outbound(Instant now, const Endpoint& inside, const Endpoint& remote) {
  auto state = states_.find(inside);
  if (state != states_.end() && state->second.expires <= now) {
    states_.erase(state);
    state = states_.end();
  }
  if (state == states_.end()) {
    make_room(now);
    const RemoteFilter filter({.dependence = spec_.filtering, .lifetime = spec_.lifetime});
    state = states_.emplace(inside, State{filter, now}).first;
  }
  state->second.expires = now + spec_.lifetime;
  state->second.filter.allow(now, remote);
}

bool Firewall::inbound(Instant now, const Endpoint& remote, const Endpoint& inside) {
  const auto state = states_.find(inside);
  if (state == states_.end() || state->second.expires <= now) return false;
  if (!state->second.filter.admits(now, remote)) return false;
  if (spec_.inbound_refreshes) {
    state->second.expires = now + spec_.lifetime;
    state->second.filter.allow(now, remote);
  }
  return true;
}

void Firewall::make_room(Instant now) {
  if (states_.size() < spec_.max_inside_endpoints) return;
  std::erase_if(states_, [now](const auto& entry) { return entry.second.expires <= now; });
  if (states_.size() < spec_.max_inside_endpoints) return;
  states_.erase(std::ranges::min_element(states_, {}, [](const auto& entry) { return entry.second.expires; }));
}

}  // namespace dig::sim
