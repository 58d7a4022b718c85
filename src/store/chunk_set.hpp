// SPDX-License-Identifier: Apache-2.0
// A set of chunk indices in [0, size): one bit each. What a partial store has, what a fetch wants.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace dig::store {

struct ChunkRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  friend bool operator==(const ChunkRange&, const ChunkRange&) = default;
};

// The chunks that hold the bytes [offset, offset + size).
[[nodiscard]] ChunkRange chunks_of_bytes(std::uint64_t offset, std::uint64_t size);

class ChunkSet {
 public:
  ChunkSet() = default;
  explicit ChunkSet(std::uint64_t size) : size_(size), words_((size + 63) / 64) {}
  [[nodiscard]] static ChunkSet full(std::uint64_t size);

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] bool all() const noexcept { return count_ == size_; }
  [[nodiscard]] bool none() const noexcept { return count_ == 0; }
  // False for an index past the end.
  [[nodiscard]] bool test(std::uint64_t index) const noexcept {
    return index < size_ && ((words_[index / 64] >> (index % 64)) & 1) != 0;
  }
  // True when this changed the set. An index past the end changes nothing.
  bool set(std::uint64_t index);
  bool reset(std::uint64_t index);
  // The part of the range that lies below size().
  void set_range(ChunkRange range);

  // The first index >= `from` that is in the set / not in it.
  [[nodiscard]] std::optional<std::uint64_t> next_present(std::uint64_t from) const;
  [[nodiscard]] std::optional<std::uint64_t> next_missing(std::uint64_t from) const;
  // Hands each run of missing chunks in `within` to `take`, in order; `take` may add the run to the set.
  template <class Take>
  void for_each_missing_range(ChunkRange within, Take take) const {
    const std::uint64_t end = within.first + std::min(within.count, size_ - std::min(size_, within.first));
    for (std::optional<std::uint64_t> first = next_missing(within.first); first && *first < end;) {
      const std::uint64_t run_end = std::min(next_present(*first).value_or(size_), end);
      take(ChunkRange{*first, run_end - *first});
      first = next_missing(run_end);
    }
  }
  // The runs of the set, at most `max_ranges` of them.
  [[nodiscard]] std::vector<ChunkRange> ranges(std::size_t max_ranges) const;

  friend bool operator==(const ChunkSet&, const ChunkSet&) = default;

 private:
  std::uint64_t size_ = 0;
  std::uint64_t count_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace dig::store
