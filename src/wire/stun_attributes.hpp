// SPDX-License-Identifier: Apache-2.0
// The values of STUN and TURN attributes: addresses (RFC 8489 §14.1-14.2), errors (§14.8), and the small fixed forms of
// RFC 8656 §18. Each decoder wants exactly the size that its attribute has.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/endpoint.hpp"
#include "wire/stun_message.hpp"

namespace dig::stun {

// RFC 8489 §14.1; RFC 8656 §18.
enum class AddressFamily : std::uint8_t { ipv4 = 1, ipv6 = 2 };
[[nodiscard]] constexpr AddressFamily address_family(IpFamily family) noexcept {
  return family == IpFamily::v4 ? AddressFamily::ipv4 : AddressFamily::ipv6;
}

[[nodiscard]] Result<Endpoint> decode_address(BytesView value);
[[nodiscard]] Result<Endpoint> decode_xor_address(BytesView value, const TransactionId& transaction);
// The attribute, if it is there and well-formed.
[[nodiscard]] Result<Endpoint> xor_address(const Message& message, Attribute type);
void add_address(Writer& writer, Attribute type, const Endpoint& endpoint) noexcept;
void add_xor_address(Writer& writer, Attribute type, const Endpoint& endpoint,
                     const TransactionId& transaction) noexcept;

struct ErrorCode {
  std::uint16_t code = 0;   // 300 … 699
  std::string_view reason;  // as it came; not for a log
};
[[nodiscard]] Result<ErrorCode> decode_error(BytesView value);
void add_error(Writer& writer, std::uint16_t code, std::string_view reason = {}) noexcept;
// The phrase that RFC 8489 §14.8 or RFC 8656 §19 gives a code; empty for others.
[[nodiscard]] std::string_view reason_of(std::uint16_t code) noexcept;
// ADDRESS-ERROR-CODE (RFC 8656 §18.12).
struct AddressErrorCode {
  AddressFamily family = AddressFamily::ipv4;
  ErrorCode error;
};
[[nodiscard]] Result<AddressErrorCode> decode_address_error(BytesView value);
void add_address_error(Writer& writer, AddressFamily family, std::uint16_t code) noexcept;

// UNKNOWN-ATTRIBUTES: at most as many as fit in the span are kept.
[[nodiscard]] Result<std::size_t> decode_unknown_attributes(BytesView value, std::span<std::uint16_t> out);
void add_unknown_attributes(Writer& writer, std::span<const std::uint16_t> types) noexcept;

[[nodiscard]] Result<std::uint32_t> decode_u32(BytesView value);  // LIFETIME, PRIORITY, CHANGE-REQUEST
[[nodiscard]] Result<std::uint64_t> decode_u64(BytesView value);  // RESERVATION-TOKEN, ICE-CONTROLLING, ICE-CONTROLLED

// CHANNEL-NUMBER: the number, two reserved bytes.
[[nodiscard]] Result<std::uint16_t> decode_channel_number(BytesView value);
void add_channel_number(Writer& writer, std::uint16_t number) noexcept;
// REQUESTED-TRANSPORT: an IP protocol number, three reserved bytes.
inline constexpr std::uint8_t k_transport_udp = 17;
[[nodiscard]] Result<std::uint8_t> decode_requested_transport(BytesView value);
void add_requested_transport(Writer& writer, std::uint8_t protocol) noexcept;
// REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY. Families that are neither are `unsupported`.
[[nodiscard]] Result<AddressFamily> decode_address_family(BytesView value);
void add_address_family(Writer& writer, Attribute type, AddressFamily family) noexcept;
// EVEN-PORT: whether the next higher port is to be reserved (the R bit).
[[nodiscard]] Result<bool> decode_even_port(BytesView value);
void add_even_port(Writer& writer, bool reserves_next) noexcept;

// ICMP (RFC 8656 §18.13): what became of a datagram to a peer. `data` is the MTU of the next link where the type and
// code say "too big", else 0. Type and code take 8 bits each, as in the ICMP header (RFC 792): the figure there has the
// line between them one bit further left, which would leave no room for every type.
struct IcmpError {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t data = 0;
  friend bool operator==(const IcmpError&, const IcmpError&) = default;
};
[[nodiscard]] Result<IcmpError> decode_icmp(BytesView value);
void add_icmp(Writer& writer, const IcmpError& error) noexcept;

}  // namespace dig::stun
