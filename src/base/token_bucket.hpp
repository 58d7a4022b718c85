// SPDX-License-Identifier: Apache-2.0
// A rate of bytes or events: `burst` at once, `per_second` in the long run. A rate of 0 allows everything.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.hpp"

namespace dig {

class TokenBucket {
 public:
  struct Rate {
    std::uint64_t per_second = 0;
    std::uint64_t burst = 0;
  };

  // Whether `amount` is there; then it is taken.
  [[nodiscard]] bool take(Instant now, const Rate& rate, std::uint64_t amount) noexcept {
    if (rate.per_second == 0) return true;
    // In nanoseconds of the rate: how long ago the bucket would have been empty. No fractions are lost.
    const auto nanoseconds = [&](std::uint64_t tokens) {
      return Duration(static_cast<std::int64_t>(static_cast<__int128>(tokens) * 1'000'000'000 / rate.per_second));
    };
    const Instant empty = std::max(empty_since_, now - nanoseconds(rate.burst));
    const Instant next = empty + nanoseconds(amount);
    if (next > now) return false;
    empty_since_ = next;
    return true;
  }

 private:
  Instant empty_since_{Duration::min() / 2};
};

}  // namespace dig
