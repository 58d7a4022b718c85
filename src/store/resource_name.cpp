// SPDX-License-Identifier: Apache-2.0
#include "store/resource_name.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "store/unicode_fold.hpp"

namespace dig::store {
namespace {

constexpr std::array<std::string_view, 6> k_device_names = {"con", "prn", "aux", "nul", "conin$", "conout$"};

char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_ignoring_case(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](char a, char b) { return ascii_lower(a) == b; });
}

// Windows gives these names to devices in every folder, whatever extension follows.
bool is_device_name(std::string_view segment) {
  std::string_view stem = segment.substr(0, segment.find('.'));
  while (stem.ends_with(' ')) stem.remove_suffix(1);
  if (std::ranges::any_of(k_device_names, [&](auto name) { return same_ignoring_case(stem, name); })) return true;
  const std::string_view prefix = stem.substr(0, 3);
  if (!same_ignoring_case(prefix, "com") && !same_ignoring_case(prefix, "lpt")) return false;
  const std::string_view digit = stem.substr(3);
  return (digit.size() == 1 && digit[0] >= '0' && digit[0] <= '9') || digit == "\u00b9" || digit == "\u00b2" ||
         digit == "\u00b3";
}

bool is_unfit(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) ||                          // C0, DEL, C1
         c == 0x061c || c == 0x200e || c == 0x200f ||                     // bidirectional marks
         (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||  // embeddings, overrides, isolates
         c == 0x200b || c == 0x2060 || c == 0xfeff || c == 0x00ad ||      // invisible
         c == 0x2028 || c == 0x2029 ||                                    // line and paragraph separator
         (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef) ||        // noncharacters
         (c >= 0xe0000 && c <= 0xe007f);                                  // tags
}

Result<void> check_segment(std::string_view segment) {
  if (segment.empty()) return fail(Errc::malformed, "the name has an empty segment");
  if (segment == "." || segment == "..") return fail(Errc::malformed, "the name has a '.' or '..' segment");
  if (segment.size() > ResourceNameLimits::segment_bytes) {
    return fail(Errc::oversized, "a segment of the name is longer than 255 bytes");
  }
  if (segment.ends_with('.') || segment.ends_with(' ')) {
    return fail(Errc::malformed, "a segment of the name ends in a dot or a space");
  }
  if (is_device_name(segment)) return fail(Errc::malformed, "a segment of the name is a device name on Windows");
  if (same_ignoring_case(segment, ".git")) return fail(Errc::malformed, "'.git' folders do not belong in a store");
  return {};
}

}  // namespace

Result<void> check_resource_name(std::string_view name) {
  if (name.size() > ResourceNameLimits::name_bytes) return fail(Errc::oversized, "the name is longer than 4096 bytes");
  if (name.starts_with('/')) return fail(Errc::malformed, "the name is an absolute path");
  for (std::string_view rest = name; !rest.empty();) {
    const std::optional<char32_t> c = take_utf8(rest);
    if (!c) return fail(Errc::malformed, "the name is not valid UTF-8");
    if (*c == '\\' || *c == ':') return fail(Errc::malformed, "the name contains '\\' or ':'");
    if (is_unfit(*c)) return fail(Errc::malformed, "the name contains a control or invisible character");
  }
  std::size_t segments = 0;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    DIG_CHECK(check_segment(name.substr(begin, end - begin)));
    if (++segments > ResourceNameLimits::segments) return fail(Errc::oversized, "the name has more than 256 segments");
    begin = end + 1;
  }
  return {};
}

std::string collision_key(std::string_view name) { return unicode_fold(name); }

}  // namespace dig::store
