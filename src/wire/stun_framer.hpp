// SPDX-License-Identifier: Apache-2.0
// STUN messages and ChannelData on a byte stream (RFC 8489 §6.2.2, RFC 8656 §12.5): finds where each one ends. A frame
// that arrives whole is handed on from where it stands; only the pieces of a split one are collected.
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig::stun {

class Framer {
 public:
  // The largest there is: ChannelData of 65535 bytes, its header and a byte of padding.
  static constexpr std::size_t max_frame = 4 + 65536;

  // `max_size` bounds one frame and with it what a peer can make us hold.
  explicit Framer(std::size_t max_size = max_frame) noexcept : max_size_(max_size) {}

  // Takes the next frame off `bytes`, which is moved past what was taken. Nothing: everything was taken, and the frame
  // goes on. The frame is valid until the next call; ChannelData comes without its padding. After an error the stream
  // has no meaning any more.
  [[nodiscard]] Result<std::optional<BytesView>> next(BytesView& bytes);

  // Nothing of a frame is held.
  [[nodiscard]] bool is_idle() const noexcept { return partial_.empty() || is_handed_out_; }

 private:
  struct Size {
    std::size_t payload = 0;  // what is handed on
    std::size_t total = 0;    // with padding
  };
  [[nodiscard]] Result<Size> size_of(BytesView header) const;

  std::size_t max_size_;
  Bytes partial_;
  bool is_handed_out_ = false;  // partial_ is a frame that was handed on
};

}  // namespace dig::stun
