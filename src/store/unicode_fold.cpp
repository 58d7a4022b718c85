// SPDX-License-Identifier: Apache-2.0
#include "store/unicode_fold.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace dig::store {
namespace {

struct Fold {
  char32_t from;
  std::uint16_t at;  // in k_fold_pool
  std::uint16_t size;
};
struct MarkRange {
  char32_t first;
  char32_t last;
};

#include "store/unicode_fold_table.inc"

bool is_mark(char32_t c) {
  const auto* range = std::ranges::lower_bound(k_marks, c, {}, &MarkRange::last);
  return range != std::end(k_marks) && range->first <= c;
}

// Unicode §3.12: a Hangul syllable is the arithmetic composition of two or three jamo.
void append_hangul(std::vector<char32_t>& out, char32_t c) {
  constexpr char32_t base = 0xac00, leading = 0x1100, vowel = 0x1161, trailing = 0x11a7;
  const char32_t index = c - base;
  out.push_back(leading + index / (21 * 28));
  out.push_back(vowel + (index % (21 * 28)) / 28);
  if (index % 28 != 0) out.push_back(trailing + index % 28);
}

void append_folded(std::vector<char32_t>& out, char32_t c) {
  if (c >= 0xac00 && c <= 0xd7a3) return append_hangul(out, c);
  const auto* fold = std::ranges::lower_bound(k_folds, c, {}, &Fold::from);
  if (fold == std::end(k_folds) || fold->from != c) {
    out.push_back(c);
    return;
  }
  const auto to = std::span(k_fold_pool).subspan(fold->at, fold->size);
  out.insert(out.end(), to.begin(), to.end());
}

}  // namespace

std::optional<char32_t> take_utf8(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  std::size_t size = 1;
  char32_t value = first;
  if (first >= 0x80) {
    if (first < 0xc2 || first > 0xf4) return std::nullopt;
    size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    value = first & (0xffU >> (size + 1));
    if (text.size() < size) return std::nullopt;
    for (std::size_t i = 1; i < size; ++i) {
      if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
      value = (value << 6) | (byte(i) & 0x3fU);
    }
    constexpr char32_t smallest[] = {0x80, 0x800, 0x10000};
    if (value < smallest[size - 2] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return std::nullopt;
  }
  text.remove_prefix(size);
  return value;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(static_cast<std::uint8_t>(byte))); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xc0 | (c >> 6));
  } else {
    if (c < 0x10000) {
      put(0xe0 | (c >> 12));
    } else {
      put(0xf0 | (c >> 18));
      put(0x80 | ((c >> 12) & 0x3f));
    }
    put(0x80 | ((c >> 6) & 0x3f));
  }
  put(0x80 | (c & 0x3f));
}

std::string unicode_fold(std::string_view text) {
  std::vector<char32_t> folded;
  folded.reserve(text.size());
  while (!text.empty()) {
    const std::optional<char32_t> c = take_utf8(text);
    if (!c) break;
    append_folded(folded, *c);
  }
  for (auto at = folded.begin(); at != folded.end();) {
    const auto first = std::find_if(at, folded.end(), is_mark);
    const auto last = std::find_if_not(first, folded.end(), is_mark);
    std::sort(first, last);
    at = last;
  }
  std::string out;
  for (const char32_t c : folded) append_utf8(out, c);
  out += text;
  return out;
}

}  // namespace dig::store
