// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/format.hpp"

namespace dig::cli {
namespace {

constexpr std::size_t k_widest_bar = 30;
constexpr std::size_t k_narrowest_bar = 8;
constexpr Duration k_shortest_sample = std::chrono::milliseconds(100);  // shorter ones measure the scheduler

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string draw_bar(std::uint64_t bytes, std::uint64_t total, std::size_t cells) {
  const double share = total == 0 ? 0.0 : std::min(1.0, static_cast<double>(bytes) / static_cast<double>(total));
  const auto full = static_cast<std::size_t>(share * static_cast<double>(cells));
  std::string bar(full, '=');
  if (full < cells) bar.push_back('>');
  bar.resize(cells, ' ');
  return "[" + bar + "]";
}

}  // namespace

void ProgressMeter::update(Instant now, std::uint64_t bytes, std::uint64_t total, std::uint64_t fetched) {
  if (bytes > bytes_) grew_at_ = now;
  bytes_ = bytes;
  total_ = total;
  fetched_ = std::max(fetched_, fetched);
  if (!has_rate_ && fetched_ == 0) rate_at_ = now;  // the wait for the first byte is no speed
  const Duration passed = now - rate_at_;
  if (passed < k_shortest_sample) return;
  const double sample = static_cast<double>(fetched_ - rate_from_) / seconds(passed);
  // An exponentially weighted moving average over irregular samples; the first sample stands for itself.
  const double weight = has_rate_ ? 1.0 - std::exp(-seconds(passed) / seconds(k_rate_memory)) : 1.0;
  rate_ += weight * (sample - rate_);
  has_rate_ = true;
  rate_at_ = now;
  rate_from_ = fetched_;
}

int ProgressMeter::percent() const {
  if (total_ == 0) return 0;
  return static_cast<int>(static_cast<double>(std::min(bytes_, total_)) * 100.0 / static_cast<double>(total_));
}

std::string ProgressMeter::counts() const { return format_bytes(bytes_) + " of " + format_bytes(total_); }

std::string ProgressMeter::speed(Instant now) const {
  if (bytes_ >= total_) return format_rate(rate_);
  if (is_stalled(now)) return "stalled";
  if (rate_ < 1.0) return "-";
  const double left = static_cast<double>(total_ - bytes_) / rate_;
  const auto whole = std::chrono::seconds(static_cast<std::int64_t>(std::ceil(std::min(left, 1e9))));
  return format_rate(rate_) + "  " + format_time_left(whole) + " left";
}

std::string ProgressMeter::bar(Instant now, std::size_t width) const {
  if (total_ == 0) return (path_.empty() ? waiting_ : path_).substr(0, width);
  const std::string head = fmt::format("{:3}%", percent());
  const std::string tail = counts() + "  " + speed(now);
  const std::string with_path = path_.empty() ? tail : tail + "  " + path_;
  // What does not fit is left out: first the path, then the bar, then the counts.
  for (const std::string& rest : {with_path, tail}) {
    const std::size_t used = head.size() + rest.size() + 5;  // blanks and brackets
    if (used + k_narrowest_bar > width) continue;
    return head + " " + draw_bar(bytes_, total_, std::min(k_widest_bar, width - used)) + "  " + rest;
  }
  const std::string narrow = head + "  " + tail;
  return narrow.size() <= width ? narrow : head.substr(0, width);
}

std::string ProgressMeter::plain(Instant now) const {
  if (total_ == 0) return path_.empty() ? waiting_ : path_;
  return fmt::format("{}%  {}  {}{}", percent(), counts(), speed(now), path_.empty() ? "" : "  " + path_);
}

}  // namespace dig::cli
