// SPDX-License-Identifier: Apache-2.0
// 32-byte identifiers. What a hash names is part of its type, so that a store id is never taken for a root hash.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "base/base_encoding.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

template <class Tag>
struct TaggedHash256 {
  static constexpr std::size_t size = 32;

  std::array<std::byte, size> bytes{};

  // Exactly 32 bytes.
  [[nodiscard]] static Result<TaggedHash256> from_bytes(BytesView view) {
    if (view.size() != size) return fail(Errc::malformed, "a hash has 32 bytes");
    TaggedHash256 hash;
    std::copy(view.begin(), view.end(), hash.bytes.begin());
    return hash;
  }
  // Exactly 64 hexadecimal digits in either case.
  [[nodiscard]] static Result<TaggedHash256> from_hex(std::string_view text) {
    if (text.size() != 2 * size) return fail(Errc::malformed, "a hash has 64 hexadecimal digits");
    DIG_TRY(const Bytes decoded, dig::from_hex(text));
    return from_bytes(decoded);
  }

  [[nodiscard]] std::string to_hex() const { return dig::to_hex(bytes); }
  [[nodiscard]] BytesView view() const noexcept { return bytes; }
  [[nodiscard]] bool is_zero() const noexcept {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
  }

  friend bool operator==(const TaggedHash256&, const TaggedHash256&) = default;
  friend auto operator<=>(const TaggedHash256&, const TaggedHash256&) = default;
};

using Hash256 = TaggedHash256<struct PlainHashTag>;
using StoreId = TaggedHash256<struct StoreIdTag>;
using RootHash = TaggedHash256<struct RootHashTag>;

}  // namespace dig

// Peers choose these values: a map keyed by them must also bound its size.
template <class Tag>
struct std::hash<dig::TaggedHash256<Tag>> {
  std::size_t operator()(const dig::TaggedHash256<Tag>& id) const noexcept {
    return std::hash<std::string_view>{}(dig::as_text(id.bytes));
  }
};
