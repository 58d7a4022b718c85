// SPDX-License-Identifier: Apache-2.0
// The 12-byte yamux frame header (yamux spec, "Framing"): version, type, flags, stream id and length, big-endian.
// Only what one header says by itself is checked here; what it means is the business of yamux::Session.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

enum class YamuxType : std::uint8_t { data = 0, window_update = 1, ping = 2, go_away = 3 };

inline constexpr std::uint16_t k_yamux_syn = 1;  // opens a stream; on a ping: a request
inline constexpr std::uint16_t k_yamux_ack = 2;  // accepts a stream; on a ping: the answer
inline constexpr std::uint16_t k_yamux_fin = 4;
inline constexpr std::uint16_t k_yamux_rst = 8;

struct YamuxHeader {
  static constexpr std::size_t size = 12;

  YamuxType type = YamuxType::data;
  std::uint16_t flags = 0;
  std::uint32_t stream = 0;
  std::uint32_t length = 0;  // data: payload bytes; window_update: credit; ping: opaque value; go_away: code

  [[nodiscard]] bool has(std::uint16_t flag) const noexcept { return (flags & flag) != 0; }
  // Exactly `size` bytes. Versions other than 0, unknown types and unknown flags are refused.
  [[nodiscard]] static Result<YamuxHeader> decode(BytesView bytes);
  void encode(std::span<std::byte, size> out) const noexcept;

  friend bool operator==(const YamuxHeader&, const YamuxHeader&) = default;
};

}  // namespace dig
