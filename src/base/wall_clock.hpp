// SPDX-License-Identifier: Apache-2.0
// Wall-clock time between two readings of the system's clock: for machines whose protocol carries it.
#pragma once

#include "base/time.hpp"

namespace dig {

class WallClock {
 public:
  WallClock(Instant now, UnixTime wall) : read_(now), wall_(wall) {}

  // Milliseconds since 1970-01-01 UTC; never negative.
  [[nodiscard]] std::uint64_t milliseconds(Instant now) const {
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - read_);
    const auto wall = std::chrono::seconds(wall_.seconds) + since;
    return wall > 0ms ? static_cast<std::uint64_t>(wall / 1ms) : 0;
  }

 private:
  Instant read_;
  UnixTime wall_;
};

}  // namespace dig
