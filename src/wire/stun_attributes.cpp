// SPDX-License-Identifier: Apache-2.0
#include "wire/stun_attributes.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"

namespace dig::stun {
namespace {

// What an XOR address is XORed with: the cookie, then the transaction id (RFC 8489 §14.2).
std::array<std::byte, 16> mask_of(const TransactionId& transaction) {
  std::array<std::byte, 16> mask;
  for (std::size_t i = 0; i < 4; ++i) mask[i] = static_cast<std::byte>(k_magic_cookie >> (24 - 8 * i));
  std::ranges::copy(transaction, mask.begin() + 4);
  return mask;
}

Result<Endpoint> decode_masked(BytesView value, const std::array<std::byte, 16>& mask) {
  ByteReader reader(value);
  DIG_CHECK(reader.skip(1));
  DIG_TRY(const std::uint8_t family, reader.u8());
  DIG_TRY(std::uint16_t port, reader.u16());
  const bool is_v4 = family == static_cast<std::uint8_t>(AddressFamily::ipv4);
  if (!is_v4 && family != static_cast<std::uint8_t>(AddressFamily::ipv6)) {
    return fail(Errc::unsupported, "an address family");
  }
  DIG_TRY(const BytesView raw, reader.bytes(is_v4 ? 4 : 16));
  DIG_CHECK(reader.expect_end());
  std::array<std::byte, 16> plain{};
  for (std::size_t i = 0; i < raw.size(); ++i) plain[i] = raw[i] ^ mask[i];
  port ^= static_cast<std::uint16_t>(std::to_integer<unsigned>(mask[0]) << 8U | std::to_integer<unsigned>(mask[1]));
  DIG_TRY(const IpAddress address, IpAddress::from_bytes(std::span(plain).first(raw.size())));
  return Endpoint{address, port};
}

void add_masked(Writer& writer, Attribute type, const Endpoint& endpoint,
                const std::array<std::byte, 16>& mask) noexcept {
  const BytesView raw = endpoint.address.bytes();
  const MutableBytes out = writer.reserve(type, 4 + raw.size());
  if (out.empty()) return;
  out[0] = std::byte{0};
  out[1] = static_cast<std::byte>(address_family(endpoint.address.family()));
  out[2] = static_cast<std::byte>(endpoint.port >> 8U) ^ mask[0];
  out[3] = static_cast<std::byte>(endpoint.port) ^ mask[1];
  for (std::size_t i = 0; i < raw.size(); ++i) out[4 + i] = raw[i] ^ mask[i];
}

Result<std::uint8_t> first_of_four(BytesView value) {
  ByteReader reader(value);
  DIG_TRY(const std::uint8_t first, reader.u8());
  DIG_CHECK(reader.skip(3));  // reserved: ignored
  DIG_CHECK(reader.expect_end());
  return first;
}

void add_first_of_four(Writer& writer, Attribute type, std::uint8_t first) noexcept {
  writer.add_u32(type, static_cast<std::uint32_t>(first) << 24U);
}

}  // namespace

Result<Endpoint> decode_address(BytesView value) { return decode_masked(value, {}); }

Result<Endpoint> decode_xor_address(BytesView value, const TransactionId& transaction) {
  return decode_masked(value, mask_of(transaction));
}

Result<Endpoint> xor_address(const Message& message, Attribute type) {
  const auto value = message.find(type);
  if (!value) return fail(Errc::malformed, "an address attribute is missing");
  return decode_xor_address(*value, message.transaction());
}

void add_address(Writer& writer, Attribute type, const Endpoint& endpoint) noexcept {
  add_masked(writer, type, endpoint, {});
}

void add_xor_address(Writer& writer, Attribute type, const Endpoint& endpoint,
                     const TransactionId& transaction) noexcept {
  add_masked(writer, type, endpoint, mask_of(transaction));
}

Result<ErrorCode> decode_error(BytesView value) {
  ByteReader reader(value);
  DIG_CHECK(reader.skip(2));
  DIG_TRY(const std::uint8_t hundreds, reader.u8());
  DIG_TRY(const std::uint8_t rest, reader.u8());
  const unsigned class_digit = hundreds & 7U;
  if (class_digit < 3 || class_digit > 6 || rest > 99) return fail(Errc::malformed, "a STUN error code");
  return ErrorCode{static_cast<std::uint16_t>(class_digit * 100 + rest), as_text(reader.rest())};
}

void add_error(Writer& writer, std::uint16_t code, std::string_view reason) noexcept {
  const MutableBytes out = writer.reserve(Attribute::error_code, 4 + reason.size());
  if (out.empty()) return;
  out[0] = out[1] = std::byte{0};
  out[2] = static_cast<std::byte>(code / 100);
  out[3] = static_cast<std::byte>(code % 100);
  std::ranges::copy(as_bytes(reason), out.begin() + 4);
}

std::string_view reason_of(std::uint16_t code) noexcept {
  switch (code) {
    case 300:
      return "Try Alternate";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthenticated";
    case 403:
      return "Forbidden";
    case 420:
      return "Unknown Attribute";
    case 437:
      return "Allocation Mismatch";
    case 438:
      return "Stale Nonce";
    case 440:
      return "Address Family not Supported";
    case 441:
      return "Wrong Credentials";
    case 442:
      return "Unsupported Transport Protocol";
    case 443:
      return "Peer Address Family Mismatch";
    case 486:
      return "Allocation Quota Reached";
    case 500:
      return "Server Error";
    case 508:
      return "Insufficient Capacity";
    default:
      return "";
  }
}

Result<AddressErrorCode> decode_address_error(BytesView value) {
  if (value.empty()) return fail(Errc::truncated, "ADDRESS-ERROR-CODE");
  DIG_TRY(const AddressFamily family,
          decode_address_family(BytesView(value).first(std::min<std::size_t>(4, value.size()))));
  DIG_TRY(const ErrorCode error, decode_error(value));
  return AddressErrorCode{family, error};
}

void add_address_error(Writer& writer, AddressFamily family, std::uint16_t code) noexcept {
  writer.add_u32(Attribute::address_error_code, static_cast<std::uint32_t>(family) << 24U |
                                                    static_cast<std::uint32_t>(code / 100) << 8U | code % 100U);
}

Result<std::size_t> decode_unknown_attributes(BytesView value, std::span<std::uint16_t> out) {
  if (value.size() % 2 != 0) return fail(Errc::malformed, "UNKNOWN-ATTRIBUTES");
  ByteReader reader(value);
  std::size_t count = 0;
  while (!reader.empty() && count < out.size()) {
    DIG_TRY(out[count], reader.u16());
    ++count;
  }
  return count;
}

void add_unknown_attributes(Writer& writer, std::span<const std::uint16_t> types) noexcept {
  const MutableBytes out = writer.reserve(Attribute::unknown_attributes, 2 * types.size());
  for (std::size_t i = 0; 2 * i < out.size(); ++i) {
    out[2 * i] = static_cast<std::byte>(types[i] >> 8U);
    out[2 * i + 1] = static_cast<std::byte>(types[i]);
  }
}

Result<std::uint32_t> decode_u32(BytesView value) {
  ByteReader reader(value);
  DIG_TRY(const std::uint32_t number, reader.u32());
  DIG_CHECK(reader.expect_end());
  return number;
}

Result<std::uint64_t> decode_u64(BytesView value) {
  ByteReader reader(value);
  DIG_TRY(const std::uint64_t number, reader.u64());
  DIG_CHECK(reader.expect_end());
  return number;
}

Result<std::uint16_t> decode_channel_number(BytesView value) {
  DIG_TRY(const std::uint32_t raw, decode_u32(value));
  return static_cast<std::uint16_t>(raw >> 16U);
}

void add_channel_number(Writer& writer, std::uint16_t number) noexcept {
  writer.add_u32(Attribute::channel_number, static_cast<std::uint32_t>(number) << 16U);
}

Result<std::uint8_t> decode_requested_transport(BytesView value) { return first_of_four(value); }

void add_requested_transport(Writer& writer, std::uint8_t protocol) noexcept {
  add_first_of_four(writer, Attribute::requested_transport, protocol);
}

Result<AddressFamily> decode_address_family(BytesView value) {
  DIG_TRY(const std::uint8_t family, first_of_four(value));
  if (family == static_cast<std::uint8_t>(AddressFamily::ipv4)) return AddressFamily::ipv4;
  if (family == static_cast<std::uint8_t>(AddressFamily::ipv6)) return AddressFamily::ipv6;
  return fail(Errc::unsupported, "an address family");
}

void add_address_family(Writer& writer, Attribute type, AddressFamily family) noexcept {
  add_first_of_four(writer, type, static_cast<std::uint8_t>(family));
}

Result<bool> decode_even_port(BytesView value) {
  ByteReader reader(value);
  DIG_TRY(const std::uint8_t flags, reader.u8());
  DIG_CHECK(reader.expect_end());
  return (flags & 0x80U) != 0;
}

void add_even_port(Writer& writer, bool reserves_next) noexcept {
  const std::array value{reserves_next ? std::byte{0x80} : std::byte{0}};
  writer.add(Attribute::even_port, value);
}

Result<IcmpError> decode_icmp(BytesView value) {
  ByteReader reader(value);
  DIG_CHECK(reader.u16());  // reserved
  IcmpError error;
  DIG_TRY(error.type, reader.u8());
  DIG_TRY(error.code, reader.u8());
  DIG_TRY(error.data, reader.u32());
  DIG_CHECK(reader.expect_end());
  return error;
}

void add_icmp(Writer& writer, const IcmpError& error) noexcept {
  writer.add_u64(Attribute::icmp, static_cast<std::uint64_t>(error.type) << 40U |
                                      static_cast<std::uint64_t>(error.code) << 32U | error.data);
}

}  // namespace dig::stun
