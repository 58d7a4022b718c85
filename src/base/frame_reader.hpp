// SPDX-License-Identifier: Apache-2.0
// Messages on a stream, each prefixed with its length as a uvarint: the framing of identify, circuit relay, the store
// exchange and other libp2p protocols. The length is checked against the cap before a byte of the message is kept, and
// memory grows with what was received, never with what was announced.
#pragma once

#include <array>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/uvarint.hpp"

namespace dig {

class FrameReader {
 public:
  // `max_frame`: the largest message accepted, in bytes, without its prefix.
  explicit FrameReader(std::size_t max_frame) noexcept : max_frame_(max_frame) {}

  // Takes bytes up to the end of one message and returns how many it took; the rest belongs to what follows. Takes
  // nothing while a whole message waits in take_frame(). Errors (oversized, malformed) are final: each later call
  // fails.
  [[nodiscard]] Result<std::size_t> feed(BytesView input);
  // The whole message, once.
  [[nodiscard]] std::optional<Bytes> take_frame();

  [[nodiscard]] bool has_frame() const noexcept { return is_complete_; }
  // True between messages: the end of the stream here cuts nothing off.
  [[nodiscard]] bool is_idle() const noexcept { return prefix_size_ == 0; }
  [[nodiscard]] std::size_t buffered() const noexcept { return prefix_size_ + frame_.size(); }

 private:
  [[nodiscard]] Result<std::size_t> feed_prefix(BytesView input);

  std::size_t max_frame_;
  std::array<std::byte, k_max_uvarint_size> prefix_{};
  std::size_t prefix_size_ = 0;
  std::optional<std::size_t> expected_;  // known once the prefix is complete
  Bytes frame_;
  bool is_complete_ = false;
  std::optional<Error> error_;
};

// Appends `message` with its length before it.
void append_frame(Bytes& out, BytesView message);

}  // namespace dig
