// SPDX-License-Identifier: Apache-2.0
// ChannelData (RFC 8656 §12.4-12.5) and what tells it from STUN on one connection.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig::turn {

// RFC 8656 §12: channel numbers that a client may bind. Clients of RFC 5766 take them up to 0x7FFF; so readers know the
// whole range, and a server says how much of it may be bound.
inline constexpr std::uint16_t k_min_channel = 0x4000;
inline constexpr std::uint16_t k_max_channel = 0x4FFF;
inline constexpr std::uint16_t k_max_old_channel = 0x7FFF;
inline constexpr std::size_t k_channel_header_size = 4;
[[nodiscard]] constexpr bool is_channel_number(std::uint16_t number) noexcept {
  return number >= k_min_channel && number <= k_max_old_channel;
}

struct ChannelData {
  std::uint16_t channel = 0;
  BytesView data;  // without padding
};

// Whether the first byte is one that ChannelData begins with.
[[nodiscard]] constexpr bool starts_channel_data(std::byte first) noexcept {
  return (first & std::byte{0xC0}) == std::byte{0x40};
}

// One message in a datagram. Padding of up to three bytes may follow (RFC 8656 §12.5); more is malformed.
[[nodiscard]] Result<ChannelData> decode_channel_data(BytesView datagram);

// data_size <= 65535.
void encode_channel_header(std::uint16_t channel, std::size_t data_size,
                           std::span<std::byte, k_channel_header_size> out) noexcept;

// What follows the data on a stream, so that every message is a multiple of four bytes long.
[[nodiscard]] constexpr std::size_t channel_padding(std::size_t data_size) noexcept { return (4 - data_size % 4) % 4; }

}  // namespace dig::turn
