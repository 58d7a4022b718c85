// SPDX-License-Identifier: Apache-2.0
// What waits to be sent to the TURN server, in order and with a bound: whole datagrams, or the bytes of a stream. A
// full one takes nothing more and drops nothing: its owner tells the sender to wait.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace dig::turn {

class LegOutput {
 public:
  LegOutput(bool is_stream, std::size_t capacity) : is_stream_(is_stream), capacity_(capacity) {}

  // Room for one message behind the others, to be filled at once; empty when that would go beyond the capacity and
  // `extra`. (Requests may use a little more than the data of peers: a full queue must not keep an allocation from
  // being refreshed.)
  [[nodiscard]] MutableBytes reserve(std::size_t size, std::size_t extra = 0);
  // One datagram if it fits, or as many bytes of the stream as fit. Returns how many bytes that was.
  [[nodiscard]] std::size_t pop(MutableBytes out);

  [[nodiscard]] std::size_t size() const noexcept { return buffer_.size() - head_; }
  [[nodiscard]] bool is_half_empty() const noexcept { return size() <= capacity_ / 2; }
  void clear() noexcept;

 private:
  static constexpr std::size_t k_prefix = 4;  // the size of a datagram stands before it

  bool is_stream_;
  std::size_t capacity_;
  Bytes buffer_;
  std::size_t head_ = 0;  // what is before it was sent
};

}  // namespace dig::turn
