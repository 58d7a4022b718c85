// SPDX-License-Identifier: Apache-2.0
// A sorted set of small values in blocks of memory: an order to walk in, logarithmic look-ups, and hardly more bytes
// than the values themselves. A change moves at most one block.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace dig::directory {

template <class T>
class SortedBlocks {
 public:
  // False when it is there already.
  bool insert(const T& value) {
    if (blocks_.empty()) add_block(blocks_.begin());
    auto block = block_of(value);
    auto place = std::ranges::lower_bound(*block, value);
    if (place != block->end() && *place == value) return false;
    if (block->size() == k_block_size) {
      const auto upper = split(block);
      block = upper->front() < value ? upper : upper - 1;
      place = std::ranges::lower_bound(*block, value);
    }
    block->insert(place, value);
    ++size_;
    return true;
  }
  // False when it is not there.
  bool erase(const T& value) {
    if (blocks_.empty()) return false;
    const auto block = block_of(value);
    const auto place = std::ranges::lower_bound(*block, value);
    if (place == block->end() || *place != value) return false;
    block->erase(place);
    --size_;
    if (block->empty()) {
      blocks_.erase(block);
    } else if (block->size() < k_block_size / 4) {
      merge_around(block);
    }
    return true;
  }
  // Calls visit(value) from the first value that is not less than `from`, until it returns false.
  template <class Visit>
  void visit_from(const T& from, Visit visit) const {
    if (blocks_.empty()) return;
    auto block = block_of(blocks_, from);
    auto place = std::ranges::lower_bound(*block, from);
    while (true) {
      for (; place != block->end(); ++place) {
        if (!visit(*place)) return;
      }
      if (++block == blocks_.end()) return;
      place = block->begin();
    }
  }

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // There must be one.
  [[nodiscard]] const T& front() const noexcept { return blocks_.front().front(); }
  [[nodiscard]] const T& back() const noexcept { return blocks_.back().back(); }
  [[nodiscard]] std::size_t memory() const noexcept {
    return blocks_.capacity() * sizeof(Block) + blocks_.size() * k_block_size * sizeof(T);
  }

 private:
  static constexpr std::size_t k_block_size = 128;
  using Block = std::vector<T>;  // never empty, but for the first value

  // The last block that does not begin behind the value, or the first.
  template <class Blocks>
  static auto block_of(Blocks& blocks, const T& value) {
    const auto next = std::upper_bound(blocks.begin(), blocks.end(), value, [](const T& wanted, const Block& block) {
      return !block.empty() && wanted < block.front();
    });
    return next == blocks.begin() ? next : next - 1;
  }
  auto block_of(const T& value) { return block_of(blocks_, value); }

  using Iterator = typename std::vector<Block>::iterator;
  Iterator add_block(Iterator before) {
    const auto added = blocks_.emplace(before);
    added->reserve(k_block_size);
    return added;
  }
  // Returns the upper half.
  Iterator split(Iterator block) {
    const auto upper = add_block(block + 1);
    const auto lower = upper - 1;
    const auto middle = lower->begin() + static_cast<std::ptrdiff_t>(k_block_size / 2);
    upper->assign(middle, lower->end());
    lower->erase(middle, lower->end());
    return upper;
  }
  // Blocks that shrink are joined with a neighbour, with room left, so that removals give memory back.
  void merge_around(Iterator block) {
    if (block + 1 != blocks_.end()) {
      merge(block, block + 1);
    } else if (block != blocks_.begin()) {
      merge(block - 1, block);
    }
  }
  void merge(Iterator lower, Iterator upper) {
    if (lower->size() + upper->size() > k_block_size * 3 / 4) return;
    lower->insert(lower->end(), upper->begin(), upper->end());
    blocks_.erase(upper);
  }

  std::vector<Block> blocks_;
  std::size_t size_ = 0;
};

}  // namespace dig::directory
