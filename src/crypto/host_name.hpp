// SPDX-License-Identifier: Apache-2.0
// The form of a host name as it stands in certificates and in SNI (RFC 5890 §2.3.1, RFC 6066 §3): letters, digits and
// hyphens in labels; international names in their xn-- form.
#pragma once

#include <string_view>

namespace dig::crypto {

[[nodiscard]] constexpr bool is_host_name(std::string_view name) noexcept {
  constexpr std::size_t k_max_name = 253;
  constexpr std::size_t k_max_label = 63;
  if (name.empty() || name.size() > k_max_name) return false;
  std::size_t label = 0;
  char previous = '.';
  for (const char c : name) {
    const bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == '.') {
      if (label == 0 || previous == '-') return false;
      label = 0;
    } else {
      const bool is_inner = c == '-' && label > 0;
      if (!(is_alphanumeric || c == '_' || is_inner) || ++label > k_max_label) return false;
    }
    previous = c;
  }
  return label > 0 && previous != '-';
}

}  // namespace dig::crypto
