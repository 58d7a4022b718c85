// SPDX-License-Identifier: Apache-2.0
#include "proto/store_exchange/range_set.hpp"

#include <algorithm>
#include <iterator>

namespace dig::exchange {

void RangeSet::add(std::uint64_t first, std::uint64_t count) {
  if (count == 0) return;
  std::uint64_t end = first + count;
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin() && std::prev(it)->second >= first) --it;
  while (it != ranges_.end() && it->first <= end) {
    first = std::min(first, it->first);
    end = std::max(end, it->second);
    size_ -= it->second - it->first;
    it = ranges_.erase(it);
  }
  ranges_.emplace_hint(it, first, end);
  size_ += end - first;
}

void RangeSet::remove(std::uint64_t first, std::uint64_t count) {
  if (count == 0) return;
  const std::uint64_t end = first + count;
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin()) --it;
  while (it != ranges_.end() && it->first < end) {
    const auto [old_first, old_end] = *it;
    if (old_end <= first) {
      ++it;
      continue;
    }
    it = ranges_.erase(it);
    size_ -= std::min(old_end, end) - std::max(old_first, first);
    if (old_first < first) ranges_.emplace(old_first, first);
    if (old_end > end) ranges_.emplace(end, old_end);
  }
}

bool RangeSet::contains(std::uint64_t index) const {
  const auto it = ranges_.upper_bound(index);
  return it != ranges_.begin() && std::prev(it)->second > index;
}

std::optional<store::ChunkRange> RangeSet::first_common(const RangeSet& other, std::uint64_t max_count) const {
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const std::uint64_t first = std::max(a->first, b->first);
    const std::uint64_t end = std::min(a->second, b->second);
    if (first < end) return store::ChunkRange{.first = first, .count = std::min(end - first, max_count)};
    if (a->second <= b->second) {
      // Jump to the first range that can reach the other one: sets may have thousands of ranges.
      a = ranges_.upper_bound(b->first);
      if (a != ranges_.begin() && std::prev(a)->second > b->first) --a;
    } else {
      b = other.ranges_.upper_bound(a->first);
      if (b != other.ranges_.begin() && std::prev(b)->second > a->first) --b;
    }
  }
  return std::nullopt;
}

}  // namespace dig::exchange
