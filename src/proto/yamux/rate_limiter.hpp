// SPDX-License-Identifier: Apache-2.0
// Says whether one more event is within a rate and a burst (GCRA: one instant of state, no division per event).
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace dig::yamux {

struct Rate {
  std::uint32_t per_second = 1;
  std::uint32_t burst = 1;
};

class RateLimiter {
 public:
  explicit RateLimiter(Rate rate) noexcept
      : cost_(Duration(1s) / (rate.per_second == 0 ? 1 : rate.per_second)),
        tolerance_(cost_ * (rate.burst == 0 ? 0 : rate.burst - 1)) {}

  [[nodiscard]] bool allow(Instant now) noexcept {
    if (next_ < now) next_ = now;
    if (next_ - now > tolerance_) return false;
    next_ = next_ + cost_;
    return true;
  }

 private:
  Duration cost_;
  Duration tolerance_;
  Instant next_{Duration::min() / 2};
};

}  // namespace dig::yamux
