// SPDX-License-Identifier: Apache-2.0
#include "store/urn.hpp"

#include <algorithm>

#include "store/resource_name.hpp"

namespace dig::store {
namespace {

constexpr std::string_view k_urn_prefix = "urn:dig:chia:";
constexpr std::string_view k_url_prefix = "dig://";
constexpr std::size_t k_hex_digits = 64;
// Every byte of a resource key may come as three characters.
constexpr std::size_t k_max_text = k_urn_prefix.size() + 2 * k_hex_digits + 2 + 3 * ResourceNameLimits::name_bytes;
constexpr std::string_view k_index_name = "index.html";

char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool take_prefix(std::string_view& text, std::string_view lower) {
  const bool same =
      text.size() >= lower.size() &&
      std::ranges::equal(text.substr(0, lower.size()), lower, [](char a, char b) { return ascii_lower(a) == b; });
  if (same) text.remove_prefix(lower.size());
  return same;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Exactly 64 hex digits, followed by the end, ':' or '/'.
template <class Id>
Result<Id> take_hash(std::string_view& text, std::string_view what) {
  const std::size_t size = std::min(text.find_first_of(":/"), text.size());
  if (size != k_hex_digits) return fail(Errc::bad_urn, std::string(what) + " must have 64 hex digits");
  std::string digits(text.substr(0, size));
  std::ranges::transform(digits, digits.begin(), ascii_lower);
  auto id = Id::from_hex(digits);
  if (!id) return fail(Errc::bad_urn, std::string(what) + " must have 64 hex digits");
  if (*id == Id{}) return fail(Errc::bad_urn, std::string(what) + " is zero");
  text.remove_prefix(size);
  return *id;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '?' || text[i] == '#') return fail(Errc::bad_urn, "query and fragment parts are not supported");
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return fail(Errc::bad_urn, "'%' must be followed by two hex digits");
    out.push_back(static_cast<char>(static_cast<unsigned char>(high * 16 + low)));
    i += 2;
  }
  return out;
}

// RFC 3986 §3.3 pchar without escapes, and '/'.
bool needs_no_escape(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~!$&'()*+,;=@/").contains(c);
}

void append_escaped(std::string& out, std::string_view key) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : key) {
    if (needs_no_escape(c)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(digits[byte >> 4]);
      out.push_back(digits[byte & 15]);
    }
  }
}

}  // namespace

Result<Urn> Urn::parse(std::string_view text) {
  if (text.size() > k_max_text) return fail(Errc::bad_urn, "it is too long");
  if (!take_prefix(text, k_urn_prefix) && !take_prefix(text, k_url_prefix)) {
    return fail(Errc::bad_urn, "it must begin with urn:dig:chia: or dig://");
  }
  Urn urn;
  DIG_TRY(urn.store_id, take_hash<StoreId>(text, "the store id"));
  if (text.starts_with(':')) {
    text.remove_prefix(1);
    DIG_TRY(urn.root, take_hash<RootHash>(text, "the root hash"));
  }
  if (text.empty()) return urn;
  if (text[0] != '/') return fail(Errc::bad_urn, "unexpected text after the hashes");
  DIG_TRY(urn.resource, percent_decode(text.substr(1)));
  if (urn.resource.empty() || urn.resource.ends_with('/')) urn.resource += k_index_name;
  if (auto checked = check_resource_name(urn.resource); !checked) {
    return fail(Errc::bad_urn, checked.error().detail());
  }
  return urn;
}

std::string Urn::to_string() const {
  std::string out = std::string(k_urn_prefix) + store_id.to_hex();
  if (root) out += ":" + root->to_hex();
  if (!resource.empty()) {
    out += '/';
    append_escaped(out, resource);
  }
  return out;
}

}  // namespace dig::store
