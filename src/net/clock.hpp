// SPDX-License-Identifier: Apache-2.0
// The only place where the clocks are read. A driver reads the monotonic clock once per wake-up and passes it down.
#pragma once

#include "base/time.hpp"

namespace dig::net {

[[nodiscard]] inline Instant monotonic_now() noexcept {
  return {std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

[[nodiscard]] inline UnixTime wall_now() noexcept {
  using std::chrono::system_clock;
  return {std::chrono::duration_cast<std::chrono::seconds>(system_clock::now().time_since_epoch()).count()};
}

}  // namespace dig::net
