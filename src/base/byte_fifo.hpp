// SPDX-License-Identifier: Apache-2.0
// A FIFO of bytes in one block of memory, for streams whose owner bounds what waits in it.
#pragma once

#include "base/bytes.hpp"

namespace dig {

class ByteFifo {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() - begin_; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  // Everything that waits; valid until the next call that is not const.
  [[nodiscard]] BytesView view() const noexcept { return BytesView(bytes_).subspan(begin_); }

  void append(BytesView more) {
    compact();
    dig::append(bytes_, more);
  }
  // Moves what fits into `out` and returns how much.
  std::size_t pop(MutableBytes out) noexcept {
    const std::size_t size_moved = out.size() < size() ? out.size() : size();
    if (size_moved > 0) std::memcpy(out.data(), bytes_.data() + begin_, size_moved);
    begin_ += size_moved;
    return size_moved;
  }
  // Also gives the memory back.
  void clear() noexcept {
    bytes_ = {};
    begin_ = 0;
  }

 private:
  // Moves only when at least half of the block is free, so that each byte is moved at most once on average.
  void compact() {
    if (begin_ == 0 || begin_ < bytes_.size() - begin_) return;
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }

  Bytes bytes_;
  std::size_t begin_ = 0;
};

}  // namespace dig
