// SPDX-License-Identifier: Apache-2.0
// A set of chunk indices kept as disjoint ranges: small where a bitmap of a large store would be slow to search.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "store/chunk_set.hpp"

namespace dig::exchange {

class RangeSet {
 public:
  // first + count must not overflow; an empty range changes nothing.
  void add(std::uint64_t first, std::uint64_t count);
  void remove(std::uint64_t first, std::uint64_t count);
  [[nodiscard]] bool contains(std::uint64_t index) const;
  [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  // The largest index; the set must not be empty.
  [[nodiscard]] std::uint64_t last() const { return ranges_.rbegin()->second - 1; }
  // The lowest run of at most `max_count` indices that lies in this set and in `other`.
  [[nodiscard]] std::optional<store::ChunkRange> first_common(const RangeSet& other, std::uint64_t max_count) const;

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  // first -> one past the last; disjoint, never touching
  std::uint64_t size_ = 0;
};

}  // namespace dig::exchange
