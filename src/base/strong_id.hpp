// SPDX-License-Identifier: Apache-2.0
// Integers that cannot be mixed up: `using StreamId = StrongId<struct StreamIdTag>;`
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace dig {

template <class Tag, class Integer = std::uint64_t>
struct StrongId {
  Integer value = 0;
  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
};

}  // namespace dig

template <class Tag, class Integer>
struct std::hash<dig::StrongId<Tag, Integer>> {
  std::size_t operator()(const dig::StrongId<Tag, Integer>& id) const noexcept {
    return std::hash<Integer>{}(id.value);
  }
};
