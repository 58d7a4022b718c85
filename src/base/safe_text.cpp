// SPDX-License-Identifier: Apache-2.0
#include "base/safe_text.hpp"

#include <cstdint>

namespace dig {
namespace {

struct Decoded {
  char32_t code_point;
  std::size_t size;  // 0: not valid UTF-8 here
};

Decoded decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return {0, 0};
  char32_t value = first & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {0, 0};
    value = (value << 6) | (byte(i) & 0x3FU);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < smallest[size] || value > 0x10FFFF || is_surrogate) return {0, 0};
  return {value, size};
}

bool is_fit(char32_t c) {
  const bool is_control = c < 0x20 || (c >= 0x7F && c <= 0x9F);
  const bool is_separator = c == 0x2028 || c == 0x2029;
  // Marks, embeddings, overrides and isolates (Unicode Bidi_Control), and invisible joiners.
  const bool is_bidi = c == 0x061C || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
                       (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
  return !is_control && !is_separator && !is_bidi;
}

}  // namespace

SafeText::SafeText(std::string_view raw, std::size_t limit) {
  text_.reserve(raw.size() < limit ? raw.size() : limit);
  while (!raw.empty()) {
    const Decoded next = decode_utf8(raw);
    const bool keep = next.size != 0 && is_fit(next.code_point);
    const std::string_view piece = keep ? raw.substr(0, next.size) : std::string_view("?");
    if (text_.size() + piece.size() > limit) break;
    text_ += piece;
    raw.remove_prefix(next.size != 0 ? next.size : 1);
  }
}

bool is_safe_text(std::string_view text) {
  while (!text.empty()) {
    const Decoded next = decode_utf8(text);
    if (next.size == 0 || !is_fit(next.code_point)) return false;
    text.remove_prefix(next.size);
  }
  return true;
}

}  // namespace dig
