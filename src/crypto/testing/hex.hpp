// SPDX-License-Identifier: Apache-2.0
// Hexadecimal text for test vectors. Test code only: wrong text throws.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "base/bytes.hpp"

namespace dig::crypto::testing {

[[nodiscard]] inline Bytes from_hex(std::string_view text) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  Bytes bytes(text.size() / 2);
  if (text.size() % 2 != 0) throw std::invalid_argument("odd number of hex digits");
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = k_digits.find(text[i]);
    if (digit == std::string_view::npos) throw std::invalid_argument("not a hex digit");
    bytes[i / 2] |= static_cast<std::byte>(i % 2 == 0 ? digit << 4 : digit);
  }
  return bytes;
}

[[nodiscard]] inline std::string to_hex(BytesView bytes) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) {
    text += k_digits[std::to_integer<std::size_t>(b >> 4)];
    text += k_digits[std::to_integer<std::size_t>(b & std::byte{15})];
  }
  return text;
}

}  // namespace dig::crypto::testing
