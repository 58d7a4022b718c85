// SPDX-License-Identifier: Apache-2.0
#include "sim/remote_filter.hpp"

#include <algorithm>

namespace dig::sim {

Endpoint relevant_part(Dependence dependence, const Endpoint& remote) {
  switch (dependence) {
    case Dependence::endpoint_independent:
      return {};
    case Dependence::address_dependent:
      return {remote.address, 0};
    case Dependence::address_and_port_dependent:
      break;
  }
  return remote;
}

void RemoteFilter::allow(Instant now, const Endpoint& remote) {
  // Everybody is admitted anyway: nothing to remember.
  if (spec_.dependence == Dependence::endpoint_independent) return;
  const Endpoint key = relevant_part(spec_.dependence, remote);
  if (!until_.contains(key)) make_room(now);
  until_[key] = now + spec_.lifetime;
}

bool RemoteFilter::admits(Instant now, const Endpoint& remote) const {
  if (spec_.dependence == Dependence::endpoint_independent) return true;
  const auto found = until_.find(relevant_part(spec_.dependence, remote));
  return found != until_.end() && now < found->second;
}

void RemoteFilter::make_room(Instant now) {
  if (until_.size() < spec_.max_remotes) return;
  std::erase_if(until_, [now](const auto& entry) { return entry.second <= now; });
  if (until_.size() < spec_.max_remotes) return;
  until_.erase(std::ranges::min_element(until_, {}, [](const auto& entry) { return entry.second; }));
}

}  // namespace dig::sim
