// SPDX-License-Identifier: Apache-2.0
// The one table of ways to reach a peer (design §2). Order, CLI names and metric labels come from it. Adding a method
// is one row here, one connector, its protocol folder and one simulator scenario.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "dignet/events.hpp"

namespace dig::ladder {

enum class Tier : std::uint8_t { direct = 1, traversal = 2, peer_turn = 3, bootstrap_turn = 4, public_turn = 5 };

enum class Method : std::uint8_t {
  tcp,
  quic,
  upnp,
  natpmp,
  pcp,
  punch_udp,
  punch_tcp,
  webrtc,
  circuit,
  turn_udp,
  turn_tcp,
  turn_tls,
};

struct MethodRow {
  Tier tier;
  Method method;
  std::string_view tier_name;
  std::string_view name;
  // What the path costs others: 0 nothing, 1 a relay's signalling, 2 a relay's bandwidth, 3 a stranger's.
  std::uint8_t cost;
  Duration budget;      // how long one attempt may take
  Duration head_start;  // how long the tiers below wait while this one is undecided
  bool is_available;    // this version has a connector for it
};

// In ladder order: best first.
[[nodiscard]] std::span<const MethodRow> methods();
[[nodiscard]] const MethodRow& method_row(Tier tier, Method method);
[[nodiscard]] std::string_view tier_name(Tier tier);
// What an operation is told of a path that was reached by this method.
[[nodiscard]] dignet::PathEvent path_event(const MethodRow& row, std::string from, std::string to, std::string peer_id);

inline constexpr std::uint8_t k_tier_count = 5;

}  // namespace dig::ladder
