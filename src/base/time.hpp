// SPDX-License-Identifier: Apache-2.0
// Time as an argument. Below net/ nobody reads a clock: the shell (or the simulator) passes `Instant now`.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>

namespace dig {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

// A point on a monotonic clock whose origin means nothing. Only differences count.
struct Instant {
  Duration since_origin{0};

  friend constexpr auto operator<=>(const Instant&, const Instant&) = default;
  friend constexpr Instant operator+(Instant t, Duration d) { return {t.since_origin + d}; }
  friend constexpr Instant operator-(Instant t, Duration d) { return {t.since_origin - d}; }
  friend constexpr Duration operator-(Instant a, Instant b) { return a.since_origin - b.since_origin; }
};

// Seconds since 1970-01-01 UTC; passed only where a protocol carries wall-clock time.
struct UnixTime {
  std::int64_t seconds = 0;
  friend constexpr auto operator<=>(const UnixTime&, const UnixTime&) = default;
};

// The earlier of two deadlines; an absent one never comes.
[[nodiscard]] constexpr std::optional<Instant> earliest(std::optional<Instant> a, std::optional<Instant> b) {
  if (!a) return b;
  if (!b) return a;
  return *a < *b ? a : b;
}

}  // namespace dig
