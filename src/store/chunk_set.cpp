// SPDX-License-Identifier: Apache-2.0
#include "store/chunk_set.hpp"

#include <algorithm>
#include <bit>

#include "store/merkle.hpp"

namespace dig::store {

ChunkRange chunks_of_bytes(std::uint64_t offset, std::uint64_t size) {
  if (size == 0) return {offset / k_chunk_size, 0};
  const std::uint64_t first = offset / k_chunk_size;
  const std::uint64_t last_byte = size - 1 > UINT64_MAX - offset ? UINT64_MAX : offset + size - 1;
  return {first, last_byte / k_chunk_size - first + 1};
}

ChunkSet ChunkSet::full(std::uint64_t size) {
  ChunkSet set(size);
  set.set_range({0, size});
  return set;
}

bool ChunkSet::set(std::uint64_t index) {
  if (index >= size_ || test(index)) return false;
  words_[index / 64] |= std::uint64_t{1} << (index % 64);
  ++count_;
  return true;
}

bool ChunkSet::reset(std::uint64_t index) {
  if (!test(index)) return false;
  words_[index / 64] &= ~(std::uint64_t{1} << (index % 64));
  --count_;
  return true;
}

void ChunkSet::set_range(ChunkRange range) {
  if (range.first >= size_) return;
  const std::uint64_t end = range.first + std::min(range.count, size_ - range.first);
  for (std::uint64_t index = range.first; index < end; index = (index / 64 + 1) * 64) {
    const std::uint64_t bits = std::min(end - index, 64 - index % 64);
    const std::uint64_t mask = (~std::uint64_t{0} >> (64 - bits)) << (index % 64);
    std::uint64_t& word = words_[index / 64];
    count_ += static_cast<std::uint64_t>(std::popcount(mask & ~word));
    word |= mask;
  }
}

std::optional<std::uint64_t> ChunkSet::next_present(std::uint64_t from) const {
  while (from < size_) {
    const std::uint64_t word = words_[from / 64] >> (from % 64);
    if (word != 0) return from + static_cast<std::uint64_t>(std::countr_zero(word));
    from = (from / 64 + 1) * 64;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> ChunkSet::next_missing(std::uint64_t from) const {
  while (from < size_) {
    const std::uint64_t word = ~words_[from / 64] >> (from % 64);
    if (word != 0) {
      const std::uint64_t index = from + static_cast<std::uint64_t>(std::countr_zero(word));
      return index < size_ ? std::optional(index) : std::nullopt;
    }
    from = (from / 64 + 1) * 64;
  }
  return std::nullopt;
}

std::vector<ChunkRange> ChunkSet::ranges(std::size_t max_ranges) const {
  std::vector<ChunkRange> out;
  for (std::optional<std::uint64_t> first = next_present(0); first && out.size() < max_ranges;) {
    const std::uint64_t end = next_missing(*first).value_or(size_);
    out.push_back({*first, end - *first});
    first = next_present(end);
  }
  return out;
}

}  // namespace dig::store
