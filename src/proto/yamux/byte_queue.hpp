// SPDX-License-Identifier: Apache-2.0
// A FIFO of bytes in blocks. Bulk data moves by memcpy or by handing whole blocks over; blocks of the full size are
// kept for reuse, so that a busy stream allocates nothing. Small queues use small blocks: many idle streams stay cheap.
#pragma once

#include <memory>
#include <vector>

#include "base/bytes.hpp"

namespace dig::yamux {

struct Block {
  explicit Block(std::size_t size) : bytes(std::make_unique_for_overwrite<std::byte[]>(size)), capacity(size) {}

  std::unique_ptr<std::byte[]> bytes;
  std::size_t capacity;
  std::size_t begin = 0;  // the data is bytes[begin, end)
  std::size_t end = 0;
  std::unique_ptr<Block> next;
};
using BlockPtr = std::unique_ptr<Block>;

class BlockPool {
 public:
  static constexpr std::size_t k_full_size = 65536;  // holds the plaintext of one Noise frame
  static constexpr std::size_t k_min_size = 1024;
  static constexpr std::size_t k_max_kept = 16;

  // A block of at least min(wanted, k_full_size) bytes.
  [[nodiscard]] BlockPtr take(std::size_t wanted);
  void give_back(BlockPtr block);
  // Frees what is kept: for connections that have become idle.
  void trim() { kept_.clear(); }

 private:
  std::vector<BlockPtr> kept_;
};

class ByteQueue {
 public:
  ByteQueue() = default;
  ~ByteQueue() { drop_all(); }
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  void append(BlockPool& pool, BytesView bytes);
  // Takes over block->bytes[begin, end) without copying.
  void append_block(BlockPtr block);
  // Moves min(size(), out.size()) bytes to `out` and returns how many.
  std::size_t pop(BlockPool& pool, MutableBytes out);
  void clear(BlockPool& pool);

 private:
  void push_back(BlockPtr block) noexcept;
  void drop_all() noexcept;
  BlockPtr pop_front() noexcept;

  BlockPtr head_;
  Block* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace dig::yamux
