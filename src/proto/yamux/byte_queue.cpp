// SPDX-License-Identifier: Apache-2.0
#include "proto/yamux/byte_queue.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace dig::yamux {

BlockPtr BlockPool::take(std::size_t wanted) {
  const std::size_t size = std::bit_ceil(std::clamp(wanted, k_min_size, k_full_size));
  if (size < k_full_size || kept_.empty()) return std::make_unique<Block>(size);
  BlockPtr block = std::move(kept_.back());
  kept_.pop_back();
  return block;
}

void BlockPool::give_back(BlockPtr block) {
  if (!block || block->capacity != k_full_size || kept_.size() >= k_max_kept) return;
  block->begin = 0;
  block->end = 0;
  kept_.push_back(std::move(block));
}

void ByteQueue::append(BlockPool& pool, BytesView bytes) {
  while (!bytes.empty()) {
    // Blocks grow with the queue: at most about half of the memory is unused, and bulk uses full blocks.
    if (tail_ == nullptr || tail_->end == tail_->capacity) push_back(pool.take(std::max(bytes.size(), size_)));
    const std::size_t count = std::min(bytes.size(), tail_->capacity - tail_->end);
    std::memcpy(tail_->bytes.get() + tail_->end, bytes.data(), count);
    tail_->end += count;
    size_ += count;
    bytes = bytes.subspan(count);
  }
}

void ByteQueue::append_block(BlockPtr block) {
  if (block->begin == block->end) return;
  size_ += block->end - block->begin;
  push_back(std::move(block));
}

std::size_t ByteQueue::pop(BlockPool& pool, MutableBytes out) {
  std::size_t moved = 0;
  while (moved < out.size() && head_) {
    const std::size_t count = std::min(out.size() - moved, head_->end - head_->begin);
    std::memcpy(out.data() + moved, head_->bytes.get() + head_->begin, count);
    moved += count;
    head_->begin += count;
    if (head_->begin == head_->end) pool.give_back(pop_front());
  }
  size_ -= moved;
  return moved;
}

void ByteQueue::clear(BlockPool& pool) {
  while (head_) pool.give_back(pop_front());
  size_ = 0;
}

void ByteQueue::push_back(BlockPtr block) noexcept {
  Block* const added = block.get();
  (tail_ == nullptr ? head_ : tail_->next) = std::move(block);
  tail_ = added;
}

void ByteQueue::drop_all() noexcept {
  while (head_) pop_front();  // one by one: a chain of unique_ptr would recurse
}

BlockPtr ByteQueue::pop_front() noexcept {
  BlockPtr first = std::move(head_);
  head_ = std::move(first->next);
  if (!head_) tail_ = nullptr;
  return first;
}

}  // namespace dig::yamux
