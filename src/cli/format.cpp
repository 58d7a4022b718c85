// SPDX-License-Identifier: Apache-2.0
#include "cli/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/safe_text.hpp"

namespace dig::cli {
namespace {

constexpr std::size_t k_max_printable = 1024;

// The number of terminal cells of UTF-8 text: one per character. Wide characters do not occur in what we print.
std::size_t cells(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  static constexpr std::array k_units = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024.0;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < k_units.size()) {
    value /= 1024.0;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, k_units[unit]);
}

std::string format_rate(double bytes_per_second) {
  const double bounded = std::clamp(bytes_per_second, 0.0, 1e18);
  return format_bytes(static_cast<std::uint64_t>(bounded)) + "/s";
}

std::string format_time_left(std::chrono::seconds left) {
  const auto seconds = std::max<std::int64_t>(left.count(), 0);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
  if (seconds <= 86'400) return fmt::format("{}h {:02}m", seconds / 3600, seconds % 3600 / 60);
  return ">1d";
}

std::string format_elapsed(double seconds) {
  if (seconds < 0.1) return fmt::format("{:.0f} ms", std::max(seconds, 0.0) * 1000.0);
  if (seconds < 60) return fmt::format("{:.2f} s", seconds);
  return format_time_left(std::chrono::seconds(static_cast<std::int64_t>(std::min(seconds, 1e9))));
}

std::string count_of(std::uint64_t count, std::string_view singular, std::string_view plural) {
  return fmt::format("{} {}", count, count == 1 ? singular : plural);
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  std::vector<std::vector<std::string>> safe;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    auto& out = safe.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      out.push_back(printable(row[i]));
      widths[i] = std::max(widths[i], cells(out.back()));
    }
  }
  std::string text;
  for (const auto& row : safe) {
    std::string line = text.empty() ? "" : "\n";
    for (std::size_t i = 0; i < row.size(); ++i) {
      line.append(i == 0 ? "  " : "").append(row[i]).append(widths[i] - cells(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text.append(line);
  }
  return text;
}

std::string printable(std::string_view text) { return SafeText(text, k_max_printable).str(); }

}  // namespace dig::cli
