// SPDX-License-Identifier: Apache-2.0
// Chunk buffers that are used again, so that a transfer in its steady state allocates (and page-faults) nothing. One
// pool serves all exchange streams of a node. Owned by the core loop; not thread-safe.
#pragma once

#include <utility>
#include <vector>

#include "base/bytes.hpp"

namespace dig::exchange {

class BufferPool {
 public:
  // 32 chunks: 8 MiB at most are kept when nothing is in flight.
  explicit BufferPool(std::size_t max_spare = 32) : max_spare_(max_spare) {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // A buffer of exactly `size` bytes; its content is whatever was there before.
  [[nodiscard]] Bytes take(std::size_t size) {
    Bytes buffer;
    if (!spare_.empty()) {
      buffer = std::move(spare_.back());
      spare_.pop_back();
    }
    buffer.resize(size);
    return buffer;
  }
  void give(Bytes buffer) {
    if (buffer.capacity() != 0 && spare_.size() < max_spare_) spare_.push_back(std::move(buffer));
  }
  [[nodiscard]] std::size_t spare() const noexcept { return spare_.size(); }

 private:
  std::size_t max_spare_;
  std::vector<Bytes> spare_;
};

}  // namespace dig::exchange
