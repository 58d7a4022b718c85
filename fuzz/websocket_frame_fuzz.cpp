// SPDX-License-Identifier: Apache-2.0
// The header of a WebSocket frame: what is accepted encodes to the same bytes, and a mask undoes itself.
#include <array>
#include <cstdint>

#include "input.hpp"
#include "wire/websocket_frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  const auto decoded = dig::WebsocketHeader::decode(input);
  if (!decoded || !*decoded) return 0;
  const auto& [header, header_size] = **decoded;
  std::array<std::byte, dig::WebsocketHeader::max_size> again{};
  dig::fuzz::require(header.encode(again) == header_size);
  dig::fuzz::require(dig::equal(dig::BytesView(again).first(header_size), input.first(header_size)));
  if (!header.mask) return 0;
  const dig::BytesView payload = input.subspan(header_size);
  dig::Bytes masked(payload.size());
  dig::apply_mask(*header.mask, header_size, payload, masked);
  dig::apply_mask(*header.mask, header_size, masked, masked);
  dig::fuzz::require(dig::equal(masked, payload));
  return 0;
}
