// SPDX-License-Identifier: Apache-2.0
// One half of a pair: what a peer may use a pair relay for. The other peer's half is its mirror.
#pragma once

#include <compare>

#include "wire/peer_id.hpp"

namespace dig::turn {

struct PairRole {
  PeerId self;  // whose allocation it is
  PeerId peer;  // whom it may reach
  friend auto operator<=>(const PairRole&, const PairRole&) = default;
};

}  // namespace dig::turn
