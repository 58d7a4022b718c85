// SPDX-License-Identifier: Apache-2.0
#include "wire/websocket_frame.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"

namespace dig {
namespace {

constexpr unsigned k_fin = 0x80;
constexpr unsigned k_reserved = 0x70;
constexpr unsigned k_opcode = 0x0F;
constexpr unsigned k_masked = 0x80;
constexpr unsigned k_length = 0x7F;
constexpr unsigned k_length_16 = 126;  // the length follows in so many bits
constexpr unsigned k_length_64 = 127;

bool is_known(unsigned opcode) { return opcode <= 0x2 || (opcode >= 0x8 && opcode <= 0xA); }

// RFC 6455 §5.2: "the minimal number of bytes MUST be used".
Result<std::uint64_t> read_length(ByteReader& reader, unsigned length) {
  if (length == k_length_16) {
    DIG_TRY(const std::uint16_t value, reader.u16());
    if (value < k_length_16) return fail(Errc::malformed, "a WebSocket length that is not in its shortest form");
    return value;
  }
  if (length == k_length_64) {
    DIG_TRY(const std::uint64_t value, reader.u64());
    if (value <= 0xFFFF || value >> 63U != 0) {
      return fail(Errc::malformed, "a WebSocket length that is not in its shortest form");
    }
    return value;
  }
  return length;
}

}  // namespace

Result<std::optional<WebsocketHeader::Decoded>> WebsocketHeader::decode(BytesView bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const auto first = std::to_integer<unsigned>(bytes[0]);
  const auto second = std::to_integer<unsigned>(bytes[1]);
  const unsigned length = second & k_length;
  WebsocketHeader header{.is_final = (first & k_fin) != 0, .opcode = static_cast<WebsocketOpcode>(first & k_opcode)};
  if ((first & k_reserved) != 0) return fail(Errc::malformed, "a WebSocket extension that was not agreed on");
  if (!is_known(first & k_opcode)) return fail(Errc::malformed, "an unknown WebSocket opcode");
  if (is_control(header.opcode) && (!header.is_final || length > max_control_payload)) {
    return fail(Errc::malformed, "a WebSocket control frame that is fragmented or too long");
  }
  const std::size_t length_size = length == k_length_16 ? 2U : length == k_length_64 ? 8U : 0U;
  const std::size_t mask_size = (second & k_masked) != 0 ? std::tuple_size_v<WebsocketMask> : 0U;
  ByteReader reader(bytes.subspan(2));
  if (reader.remaining() < length_size) return std::nullopt;
  DIG_TRY(header.payload_size, read_length(reader, length));
  if (reader.remaining() < mask_size) return std::nullopt;
  if (mask_size > 0) {
    header.mask.emplace();
    std::ranges::copy(reader.rest().first(mask_size), header.mask->begin());
  }
  return Decoded{header, 2 + length_size + mask_size};
}

std::size_t WebsocketHeader::encode(std::span<std::byte, max_size> out) const noexcept {
  const std::size_t length_size = payload_size < k_length_16 ? 0U : payload_size <= 0xFFFF ? 2U : 8U;
  const std::uint64_t length = length_size == 0 ? payload_size : length_size == 2 ? k_length_16 : k_length_64;
  out[0] = static_cast<std::byte>((is_final ? k_fin : 0U) | static_cast<unsigned>(opcode));
  out[1] = static_cast<std::byte>((mask ? k_masked : 0U) | length);
  std::size_t size = 2;
  for (std::size_t i = length_size; i-- > 0;) out[size++] = static_cast<std::byte>(payload_size >> (8 * i));
  if (!mask) return size;
  std::ranges::copy(*mask, out.begin() + static_cast<std::ptrdiff_t>(size));
  return size + mask->size();
}

void apply_mask(const WebsocketMask& mask, std::uint64_t offset, BytesView from, MutableBytes to) noexcept {
  std::array<std::byte, 8> turned;  // the mask as it lies on the next bytes, twice
  for (std::size_t i = 0; i < turned.size(); ++i) turned[i] = mask[(offset + i) % mask.size()];
  std::uint64_t wide = 0;
  std::memcpy(&wide, turned.data(), sizeof(wide));
  std::size_t at = 0;
  for (; from.size() - at >= sizeof(wide); at += sizeof(wide)) {
    std::uint64_t word = 0;
    std::memcpy(&word, from.data() + at, sizeof(word));
    word ^= wide;
    std::memcpy(to.data() + at, &word, sizeof(word));
  }
  for (std::size_t i = 0; at < from.size(); ++at, ++i) to[at] = from[at] ^ turned[i];
}

}  // namespace dig
