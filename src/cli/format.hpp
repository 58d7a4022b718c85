// SPDX-License-Identifier: Apache-2.0
// Numbers, times and tables for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dig::cli {

// "917 B", "1.4 MiB": three digits at most before the unit changes, one decimal from KiB on.
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);
// "38.2 MiB/s"
[[nodiscard]] std::string format_rate(double bytes_per_second);
// Two units at most: "6s", "3m 20s", "2h 05m"; above a day ">1d".
[[nodiscard]] std::string format_time_left(std::chrono::seconds left);
// "84 ms", "0.84 s", "3m 20s"
[[nodiscard]] std::string format_elapsed(double seconds);
// "1 store", "2 stores"
[[nodiscard]] std::string count_of(std::uint64_t count, std::string_view singular, std::string_view plural);

// Left-aligned columns with two blanks between them; the first row is the head. Cells are made fit for a terminal.
[[nodiscard]] std::string format_table(const std::vector<std::vector<std::string>>& rows);
// Text from elsewhere, fit for a terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace dig::cli
