// SPDX-License-Identifier: Apache-2.0
// circuit relay v2 (libp2p circuit-v2 spec): its protocols, and what a status means to whoever is answered with it.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "wire/circuit_message.hpp"

namespace dig::relay {

inline constexpr std::string_view k_hop_protocol = "/libp2p/circuit/relay/0.2.0/hop";
inline constexpr std::string_view k_stop_protocol = "/libp2p/circuit/relay/0.2.0/stop";

// For every status but OK: relay_reservation_refused, relay_limit_exceeded, relay_permission_denied,
// relay_connection_failed, relay_no_reservation; relay_refused for all others.
[[nodiscard]] Error refusal(circuit::Status status);

}  // namespace dig::relay
