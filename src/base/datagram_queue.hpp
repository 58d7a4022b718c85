// SPDX-License-Identifier: Apache-2.0
// A bounded FIFO of datagrams in one block of memory: once the block has its size, nothing is allocated any more.
#pragma once

#include <optional>

#include "base/bytes.hpp"

namespace dig {

class DatagramQueue {
 public:
  // `limit` counts what waits, with 4 bytes besides for each datagram.
  explicit DatagramQueue(std::size_t limit) noexcept : limit_(limit) {}

  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  [[nodiscard]] std::size_t bytes_waiting() const noexcept { return end_ - begin_; }

  // Room for one datagram of up to `size` bytes, to be written in place and then committed. Valid until the next call.
  [[nodiscard]] MutableBytes reserve(std::size_t size) {
    if (begin_ == end_) begin_ = end_ = 0;
    const std::size_t needed = k_header + size;
    if (block_.size() - end_ < needed && begin_ > 0) {
      std::memmove(block_.data(), block_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    if (block_.size() - end_ < needed) block_.resize(end_ + needed);
    return MutableBytes(block_).subspan(end_ + k_header, size);
  }
  // Takes the first `size` bytes of what was reserved. False: the queue is full and the datagram is dropped.
  [[nodiscard]] bool commit(std::size_t size) noexcept {
    if (bytes_waiting() + k_header + size > limit_) return false;
    const auto header = static_cast<std::uint32_t>(size);
    std::memcpy(block_.data() + end_, &header, k_header);
    end_ += k_header + size;
    return true;
  }
  [[nodiscard]] bool push(BytesView datagram) {
    if (bytes_waiting() + k_header + datagram.size() > limit_) return false;
    const MutableBytes room = reserve(datagram.size());
    if (!datagram.empty()) std::memcpy(room.data(), datagram.data(), datagram.size());
    return commit(datagram.size());
  }

  // The oldest datagram; valid until the next call that is not const.
  [[nodiscard]] std::optional<BytesView> front() const noexcept {
    if (empty()) return std::nullopt;
    return BytesView(block_).subspan(begin_ + k_header, front_size());
  }
  void pop() noexcept { begin_ += k_header + front_size(); }
  // Also gives the memory back.
  void clear() noexcept {
    block_ = {};
    begin_ = end_ = 0;
  }

 private:
  static constexpr std::size_t k_header = sizeof(std::uint32_t);

  [[nodiscard]] std::size_t front_size() const noexcept {
    std::uint32_t size = 0;
    std::memcpy(&size, block_.data() + begin_, k_header);
    return size;
  }

  std::size_t limit_;
  Bytes block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace dig
