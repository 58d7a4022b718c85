// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_client/leg_output.hpp"

#include <algorithm>
#include <cstring>

namespace dig::turn {

MutableBytes LegOutput::reserve(std::size_t size, std::size_t extra) {
  const std::size_t prefix = is_stream_ ? 0 : k_prefix;
  if (this->size() + prefix + size > capacity_ + extra) return {};
  // What was sent is taken out when it is the larger part: each byte is then moved once at most, on average.
  if (head_ > buffer_.size() / 2) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  const std::size_t begin = buffer_.size();
  buffer_.resize(begin + prefix + size);
  if (!is_stream_) {
    const auto stored = static_cast<std::uint32_t>(size);
    std::memcpy(buffer_.data() + begin, &stored, k_prefix);
  }
  return MutableBytes(buffer_).subspan(begin + prefix);
}

std::size_t LegOutput::pop(MutableBytes out) {
  if (size() == 0) return 0;
  std::size_t count = std::min(size(), out.size());
  if (!is_stream_) {
    std::uint32_t stored = 0;
    std::memcpy(&stored, buffer_.data() + head_, k_prefix);
    if (stored > out.size()) return 0;
    head_ += k_prefix;
    count = stored;
  }
  std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(head_), count, out.begin());
  head_ += count;
  if (size() == 0) clear();
  return count;
}

void LegOutput::clear() noexcept {
  buffer_.clear();
  head_ = 0;
}

}  // namespace dig::turn
