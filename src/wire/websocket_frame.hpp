// SPDX-License-Identifier: Apache-2.0
// The header of a WebSocket frame and the masking of its payload (RFC 6455 §5.2-5.3), without extensions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

// RFC 6455 §11.8.
enum class WebsocketOpcode : std::uint8_t {
  continuation = 0x0,
  text = 0x1,
  binary = 0x2,
  close = 0x8,
  ping = 0x9,
  pong = 0xA,
};
[[nodiscard]] constexpr bool is_control(WebsocketOpcode opcode) noexcept {
  return static_cast<std::uint8_t>(opcode) >= 0x8;
}

using WebsocketMask = std::array<std::byte, 4>;

struct WebsocketHeader {
  static constexpr std::size_t max_size = 14;
  static constexpr std::size_t max_control_payload = 125;  // RFC 6455 §5.5

  bool is_final = true;
  WebsocketOpcode opcode = WebsocketOpcode::binary;
  std::uint64_t payload_size = 0;
  std::optional<WebsocketMask> mask{};

  struct Decoded;
  // The header that `bytes` begin with; absent while it is not complete. malformed: bits or opcodes of extensions, a
  // length that is not in its shortest form, a control frame that is fragmented or too long.
  [[nodiscard]] static Result<std::optional<Decoded>> decode(BytesView bytes);
  // Returns how much of `out` was written.
  [[nodiscard]] std::size_t encode(std::span<std::byte, max_size> out) const noexcept;

  friend bool operator==(const WebsocketHeader&, const WebsocketHeader&) = default;
};

struct WebsocketHeader::Decoded {
  WebsocketHeader header;
  std::size_t size = 0;
};

// Copies `from` to `to`, which has room for it and may be the same, with the mask laid on or taken off. `offset`: how
// many bytes of the payload come before.
void apply_mask(const WebsocketMask& mask, std::uint64_t offset, BytesView from, MutableBytes to) noexcept;

}  // namespace dig
