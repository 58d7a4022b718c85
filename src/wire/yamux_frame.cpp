// SPDX-License-Identifier: Apache-2.0
#include "wire/yamux_frame.hpp"

#include "base/byte_reader.hpp"

namespace dig {
namespace {

constexpr std::uint16_t k_known_flags = k_yamux_syn | k_yamux_ack | k_yamux_fin | k_yamux_rst;

void put_u32(std::byte* out, std::uint32_t value) noexcept {
  out[0] = static_cast<std::byte>(value >> 24);
  out[1] = static_cast<std::byte>(value >> 16);
  out[2] = static_cast<std::byte>(value >> 8);
  out[3] = static_cast<std::byte>(value);
}

}  // namespace

Result<YamuxHeader> YamuxHeader::decode(BytesView bytes) {
  ByteReader reader(bytes);
  DIG_TRY(const std::uint8_t version, reader.u8());
  DIG_TRY(const std::uint8_t type, reader.u8());
  DIG_TRY(const std::uint16_t flags, reader.u16());
  DIG_TRY(const std::uint32_t stream, reader.u32());
  DIG_TRY(const std::uint32_t length, reader.u32());
  DIG_CHECK(reader.expect_end());
  if (version != 0) return fail(Errc::malformed, "yamux version");
  if (type > static_cast<std::uint8_t>(YamuxType::go_away)) return fail(Errc::malformed, "yamux frame type");
  if ((flags & ~k_known_flags) != 0) return fail(Errc::malformed, "yamux flags");
  return YamuxHeader{.type = static_cast<YamuxType>(type), .flags = flags, .stream = stream, .length = length};
}

void YamuxHeader::encode(std::span<std::byte, size> out) const noexcept {
  out[0] = std::byte{0};
  out[1] = static_cast<std::byte>(type);
  out[2] = static_cast<std::byte>(flags >> 8);
  out[3] = static_cast<std::byte>(flags);
  put_u32(&out[4], stream);
  put_u32(&out[8], length);
}

}  // namespace dig
