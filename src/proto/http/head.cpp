// SPDX-License-Identifier: Apache-2.0
#include "proto/http/head.hpp"

#include <algorithm>

namespace dig::http {
namespace {

constexpr std::string_view k_line_end = "\r\n";

bool is_digit_or_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view k_space = " \t";
  const std::size_t first = text.find_first_not_of(k_space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(k_space) - first + 1);
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

bool is_token(std::string_view text) noexcept {
  constexpr std::string_view k_marks = "!#$%&'*+-.^_`|~";
  return !text.empty() &&
         std::ranges::all_of(text, [&](char c) { return is_digit_or_letter(c) || k_marks.contains(c); });
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

Result<std::size_t> HeadCollector::feed(BytesView input) {
  std::size_t taken = 0;
  while (taken < input.size() && !is_complete_) {
    DIG_CHECK(add(static_cast<char>(input[taken])));
    ++taken;
  }
  return taken;
}

// Whatever cannot be part of a head is refused at once: nobody is kept waiting for a line end that is none.
Result<void> HeadCollector::add(char next) {
  if (text_.size() == max_size_) return fail(Errc::oversized, "a head of HTTP");
  const bool is_after_cr = text_.ends_with('\r');
  if (is_after_cr != (next == '\n')) return fail(Errc::malformed, "a line of HTTP ends with CR LF");
  if (next != '\r' && next != '\n' && is_control(next)) return fail(Errc::malformed, "a control character in HTTP");
  text_.push_back(next);
  is_complete_ = text_.ends_with("\r\n\r\n");
  if (text_ == k_line_end) return fail(Errc::malformed, "an empty line before a head of HTTP");
  return {};
}

Result<Fields> Fields::parse(std::string_view lines, std::size_t max_fields) {
  Fields fields;
  while (!lines.starts_with(k_line_end)) {
    const std::size_t end = lines.find(k_line_end);
    if (end == std::string_view::npos) return fail(Errc::truncated, "a head of HTTP");
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + k_line_end.size());
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return fail(Errc::malformed, "a line of HTTP that is no field");  // folded ones, too: RFC 9112 §5.2
    }
    if (fields.fields_.size() == max_fields) return fail(Errc::oversized, "fields of HTTP");
    fields.fields_.push_back({to_lower(line.substr(0, colon)), std::string(trimmed(line.substr(colon + 1)))});
  }
  return fields;
}

std::optional<std::string_view> Fields::only(std::string_view name) const {
  if (count(name) != 1) return std::nullopt;
  return std::ranges::find(fields_, name, &Field::name)->value;
}

std::size_t Fields::count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count(fields_, name, &Field::name));
}

bool Fields::has_token(std::string_view name, std::string_view token) const {
  for (const Field& field : fields_) {
    if (field.name != name) continue;
    std::string_view rest = field.value;
    for (;;) {
      const std::size_t comma = rest.find(',');
      if (equal_in_any_case(trimmed(rest.substr(0, comma)), token)) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

}  // namespace dig::http
