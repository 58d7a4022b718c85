// SPDX-License-Identifier: Apache-2.0
#include "base/decimal.hpp"

namespace dig {

Result<std::uint64_t> parse_decimal(std::string_view text, std::uint64_t max) {
  if (text.empty()) return fail(Errc::malformed, "a number is missing");
  if (text.size() > 1 && text.front() == '0') return fail(Errc::malformed, "a number with a leading zero");
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return fail(Errc::malformed, "a character that is no digit");
    const auto digit = static_cast<std::uint64_t>(c - '0');
    // value * 10 + digit <= max, without overflow
    if (digit > max || value > (max - digit) / 10) return fail(Errc::malformed, "a number beyond its range");
    value = value * 10 + digit;
  }
  return value;
}

}  // namespace dig
