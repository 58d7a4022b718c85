// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_server/monthly_volume.hpp"

#include <algorithm>
#include <charconv>
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

constexpr std::int32_t k_months = 12 * 10'000;  // of the years 0 to 9999

// Before this program could count anything. A clock that stands there is not set.
constexpr std::int32_t k_first_month = 12 * 2026;

std::string padded(std::int32_t number, std::size_t width) {
  const std::string digits = std::to_string(number);
  return std::string(width - std::min(width, digits.size()), '0') + digits;
}

// All of the text, in decimal and without a sign.
template <class T>
std::optional<T> number_of(std::string_view text) {
  T number{};
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end ? std::optional(number) : std::nullopt;
}

}  // namespace

// A clock that stands before the month that is being counted is wrong now, or was wrong before.
//   - It is not set yet, because the machine has just started and has not asked for the time: a new month would forget
//     what the right one has used, with each start again.
//   - It was set back a little at the end of a month: the count of the month that had begun goes on, or a clock that
//     goes to and fro would be given the volume each time. That ends with the month.
//   - It was far ahead, and is right again: what was counted there would never end. The present month begins anew. Who
//     makes a clock do that often gets more than one volume; he owns the machine, and could as well ask for more.
MonthlyVolume::State MonthlyVolume::at(UnixTime now) const {
  const std::int32_t month = month_of(now);
  const bool was_far_ahead = month >= k_first_month && state_.month > month + 1;
  return month > state_.month || was_far_ahead ? State{month, 0} : state_;
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

std::string to_text(const MonthlyVolume::State& state) {
  const std::int32_t month = std::clamp(state.month, 0, k_months - 1);
  return padded(month / 12, 4) + "-" + padded(month % 12 + 1, 2) + " " + std::to_string(state.bytes) + "\n";
}

Result<MonthlyVolume::State> parse_monthly_volume(std::string_view text) {
  constexpr std::size_t k_before_bytes = 8;  // "2026-11 "
  const auto malformed = [] { return fail(Errc::malformed, "no volume of a month"); };
  if (text.size() <= k_before_bytes || text[4] != '-' || text[7] != ' ' || !text.ends_with('\n')) return malformed();
  const auto year = number_of<std::uint16_t>(text.substr(0, 4));
  const auto month = number_of<std::uint16_t>(text.substr(5, 2));
  const auto bytes = number_of<std::uint64_t>(text.substr(k_before_bytes, text.size() - k_before_bytes - 1));
  if (!year || !month || !bytes || *month < 1 || *month > 12) return malformed();
  const MonthlyVolume::State state{12 * *year + *month - 1, *bytes};
  if (to_text(state) != text) return malformed();  // zeros in front
  return state;
}

}  // namespace dig::turn
