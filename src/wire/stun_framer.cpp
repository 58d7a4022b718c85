// SPDX-License-Identifier: Apache-2.0
#include "wire/stun_framer.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"
#include "wire/stun_message.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::stun {
namespace {

constexpr std::size_t k_prefix = 4;  // both kinds tell their length in the first four bytes

}  // namespace

Result<Framer::Size> Framer::size_of(BytesView header) const {
  ByteReader reader(header);
  DIG_TRY(const std::uint16_t type, reader.u16());
  DIG_TRY(const std::uint16_t length, reader.u16());
  Size size;
  if (turn::is_channel_number(type)) {
    size.payload = turn::k_channel_header_size + length;
    size.total = size.payload + turn::channel_padding(length);
  } else if ((type & 0xC000U) == 0 && length % 4 == 0) {
    size.payload = size.total = k_header_size + length;
  } else {
    return fail(Errc::malformed, "neither STUN nor ChannelData on a stream");
  }
  if (size.total > max_size_) return fail(Errc::oversized, "a message on a stream");
  return size;
}

Result<std::optional<BytesView>> Framer::next(BytesView& bytes) {
  if (is_handed_out_) {
    partial_.clear();
    is_handed_out_ = false;
  }
  if (partial_.empty() && bytes.size() >= k_prefix) {
    DIG_TRY(const Size size, size_of(bytes.first(k_prefix)));
    if (bytes.size() >= size.total) {
      const BytesView frame = bytes.first(size.payload);
      bytes = bytes.subspan(size.total);
      return frame;
    }
  }
  const auto take = [&](std::size_t wanted) {  // until partial_ has so many bytes
    const std::size_t count = std::min(wanted - partial_.size(), bytes.size());
    append(partial_, bytes.first(count));
    bytes = bytes.subspan(count);
    return partial_.size() == wanted;
  };
  if (partial_.size() < k_prefix && !take(k_prefix)) return std::nullopt;
  DIG_TRY(const Size size, size_of(BytesView(partial_).first(k_prefix)));
  if (!take(size.total)) return std::nullopt;
  is_handed_out_ = true;
  return BytesView(partial_).first(size.payload);
}

}  // namespace dig::stun
