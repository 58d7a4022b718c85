// SPDX-License-Identifier: Apache-2.0
#include "base/frame_reader.hpp"

#include <algorithm>
#include <utility>

namespace dig {

Result<std::size_t> FrameReader::feed(BytesView input) {
  if (error_) return std::unexpected(*error_);
  if (is_complete_) return std::size_t{0};
  std::size_t taken = 0;
  if (!expected_) {
    const Result<std::size_t> prefix = feed_prefix(input);
    if (!prefix) {
      error_ = prefix.error();
      return prefix;
    }
    taken = *prefix;
    if (!expected_) return taken;
  }
  const BytesView rest = input.subspan(taken);
  const std::size_t size = std::min(rest.size(), *expected_ - frame_.size());
  append(frame_, rest.first(size));
  is_complete_ = frame_.size() == *expected_;
  return taken + size;
}

Result<std::size_t> FrameReader::feed_prefix(BytesView input) {
  std::size_t taken = 0;
  while (taken < input.size()) {
    prefix_[prefix_size_++] = input[taken++];
    DIG_TRY(const std::optional<Uvarint> length, peek_uvarint(BytesView(prefix_).first(prefix_size_)));
    if (!length) continue;
    if (length->value > max_frame_) return fail(Errc::oversized, "a message longer than its limit");
    expected_ = static_cast<std::size_t>(length->value);
    break;
  }
  return taken;
}

std::optional<Bytes> FrameReader::take_frame() {
  if (!is_complete_) return std::nullopt;
  is_complete_ = false;
  prefix_size_ = 0;
  expected_.reset();
  return std::exchange(frame_, {});
}

void append_frame(Bytes& out, BytesView message) {
  write_uvarint(out, message.size());
  append(out, message);
}

}  // namespace dig
