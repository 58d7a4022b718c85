// SPDX-License-Identifier: Apache-2.0
// How much of what its owner gives away in a calendar month (UTC) a node has relayed. Its owner keeps it on disk, as a
// restart must not begin a new month.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"

namespace dig::turn {

class MonthlyVolume {
 public:
  struct State {
    std::int32_t month = 0;  // since the beginning of year 0
    std::uint64_t bytes = 0;
    friend bool operator==(const State&, const State&) = default;
  };

  // `limit` in bytes; 0: none, they are only counted. `saved` is the last snapshot, or State{}.
  MonthlyVolume(std::uint64_t limit, const State& saved) : limit_(limit), state_(saved) {}

  void add(UnixTime now, std::uint64_t bytes);
  // Nothing where there is no limit.
  [[nodiscard]] std::optional<std::uint64_t> left(UnixTime now) const;
  [[nodiscard]] const State& snapshot() const noexcept { return state_; }

 private:
  // The month that counts at `now`, and what was relayed in it.
  [[nodiscard]] State at(UnixTime now) const;

  std::uint64_t limit_;
  State state_;
};

// As it is kept in a file: "2026-11 123456" and a line end.
[[nodiscard]] std::string to_text(const MonthlyVolume::State& state);
// Errors: malformed. Nothing but what to_text() writes, of the years 0 to 9999.
[[nodiscard]] Result<MonthlyVolume::State> parse_monthly_volume(std::string_view text);

}  // namespace dig::turn
