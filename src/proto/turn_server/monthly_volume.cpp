// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/monthly_volume.hpp"

#include <algorithm>
#include <limits>

namespace dig::turn {
namespace {

// Beyond what the calendar of <chrono> holds no clock is right.
constexpr std::int64_t k_last_second = std::int64_t{253'402'300'799};  // of the year 9999

std::int32_t month_of(UnixTime time) {
  const std::chrono::sys_seconds seconds{
      std::chrono::seconds(std::clamp<std::int64_t>(time.seconds, 0, k_last_second))};
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(seconds)};
  return 12 * static_cast<int>(day.year()) + static_cast<std::int32_t>(static_cast<unsigned>(day.month())) - 1;
}

}  // namespace

// A clock that stands before the month that is being counted is wrong, for instance because the machine has just
// started and has not asked for the time yet: a new month would forget what the right one has used.
MonthlyVolume::State MonthlyVolume::at(UnixTime now) const {
  const std::int32_t month = month_of(now);
  return month > state_.month ? State{month, 0} : state_;
}

void MonthlyVolume::add(UnixTime now, std::uint64_t bytes) {
  state_ = at(now);
  const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - state_.bytes;
  state_.bytes += std::min(bytes, room);
}

std::optional<std::uint64_t> MonthlyVolume::left(UnixTime now) const {
  if (limit_ == 0) return std::nullopt;
  return limit_ - std::min(limit_, at(now).bytes);
}

}  // namespace dig::turn
