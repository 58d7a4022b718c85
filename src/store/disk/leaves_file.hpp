// SPDX-License-Identifier: Apache-2.0
// The `.leaves` file beside a partial store: a header, then one leaf hash for each chunk; zeros where there is none.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/hash256.hpp"

namespace dig::store {

struct LeavesHeader {
  StoreId store_id;
  RootHash root;
  std::uint64_t size = 0;

  static constexpr std::size_t encoded_bytes = 128;
  [[nodiscard]] Bytes encode() const;
  // Errors: truncated, malformed, oversized.
  [[nodiscard]] static Result<LeavesHeader> decode(BytesView bytes);
  friend bool operator==(const LeavesHeader&, const LeavesHeader&) = default;
};

[[nodiscard]] constexpr std::uint64_t leaf_offset(std::uint64_t index) {
  return LeavesHeader::encoded_bytes + index * sizeof(Hash256);
}

}  // namespace dig::store
