// SPDX-License-Identifier: Apache-2.0
#include "wire/turn_channel_data.hpp"

#include "base/byte_reader.hpp"

namespace dig::turn {

Result<ChannelData> decode_channel_data(BytesView datagram) {
  ByteReader reader(datagram);
  DIG_TRY(const std::uint16_t channel, reader.u16());
  DIG_TRY(const std::uint16_t size, reader.u16());
  if (!is_channel_number(channel)) return fail(Errc::malformed, "not a channel number");
  DIG_TRY(const BytesView data, reader.bytes(size));
  if (reader.remaining() > 3) return fail(Errc::malformed, "bytes behind ChannelData");
  return ChannelData{channel, data};
}

void encode_channel_header(std::uint16_t channel, std::size_t data_size,
                           std::span<std::byte, k_channel_header_size> out) noexcept {
  out[0] = static_cast<std::byte>(channel >> 8U);
  out[1] = static_cast<std::byte>(channel);
  out[2] = static_cast<std::byte>(data_size >> 8U);
  out[3] = static_cast<std::byte>(data_size);
}

}  // namespace dig::turn
