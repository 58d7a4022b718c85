// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/counters.hpp"

#include <algorithm>

namespace dig::turn {

std::string_view drop_name(Drop drop) noexcept {
  static constexpr std::string_view k_names[] = {
#define DIG_TURN_DROP(name) #name,
      DIG_TURN_DROPS(DIG_TURN_DROP)
#undef DIG_TURN_DROP
  };
  return drop < Drop::count ? k_names[static_cast<std::size_t>(drop)] : "";
}

Counters& Counters::operator+=(const Counters& more) noexcept {
  packets_to_peers += more.packets_to_peers;
  bytes_to_peers += more.bytes_to_peers;
  packets_to_clients += more.packets_to_clients;
  bytes_to_clients += more.bytes_to_clients;
  peer_errors += more.peer_errors;
  bindings += more.bindings;
  allocations_made += more.allocations_made;
  allocations_ended += more.allocations_ended;
  for (std::size_t i = 0; i < refusals.size(); ++i) refusals[i] += more.refusals[i];
  for (std::size_t i = 0; i < drops.size(); ++i) drops[i] += more.drops[i];
  return *this;
}

void Counters::refuse(std::uint16_t code) noexcept {
  const auto found = std::ranges::find(k_refusals, code);
  if (found != k_refusals.end()) ++refusals[static_cast<std::size_t>(found - k_refusals.begin())];
}

std::uint64_t Counters::refused(std::uint16_t code) const noexcept {
  const auto found = std::ranges::find(k_refusals, code);
  return found == k_refusals.end() ? 0 : refusals[static_cast<std::size_t>(found - k_refusals.begin())];
}

}  // namespace dig::turn
