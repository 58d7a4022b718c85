// SPDX-License-Identifier: Apache-2.0
// IP addresses and endpoints as plain values; no sockets.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

enum class IpFamily : std::uint8_t { v4, v6 };

// An IPv4 or IPv6 address in network byte order. IPv4 uses the first four bytes, the rest stay zero.
class IpAddress {
 public:
  constexpr IpAddress() = default;  // 0.0.0.0
  [[nodiscard]] static constexpr IpAddress v4(std::array<std::uint8_t, 4> octets) {
    IpAddress address;
    for (std::size_t i = 0; i < 4; ++i) address.octets_[i] = octets[i];
    return address;
  }
  // `scope` is the interface index of a link-local address, 0 otherwise.
  [[nodiscard]] static constexpr IpAddress v6(const std::array<std::uint8_t, 16>& octets, std::uint32_t scope = 0) {
    IpAddress address;
    address.family_ = IpFamily::v6;
    address.octets_ = octets;
    address.scope_ = scope;
    return address;
  }
  // Strict: dotted decimal without leading zeros, or RFC 4291 text; no zone.
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);
  // 4 bytes or 16 bytes.
  [[nodiscard]] static Result<IpAddress> from_bytes(BytesView bytes);
  [[nodiscard]] static IpAddress loopback(IpFamily family);
  [[nodiscard]] static IpAddress any(IpFamily family);

  [[nodiscard]] constexpr IpFamily family() const noexcept { return family_; }
  [[nodiscard]] constexpr bool is_v4() const noexcept { return family_ == IpFamily::v4; }
  [[nodiscard]] constexpr std::uint32_t scope() const noexcept { return scope_; }
  // The 4 or 16 octets.
  [[nodiscard]] BytesView bytes() const noexcept {
    return std::as_bytes(std::span(octets_).first(is_v4() ? 4 : 16));
  }
  [[nodiscard]] constexpr const std::array<std::uint8_t, 16>& octets() const noexcept { return octets_; }
  [[nodiscard]] bool is_unspecified() const noexcept;
  // RFC 5952 text for IPv6.
  [[nodiscard]] std::string to_string() const;

  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  IpFamily family_ = IpFamily::v4;
  std::array<std::uint8_t, 16> octets_{};
  std::uint32_t scope_ = 0;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  // "192.0.2.1:4001" or "[2001:db8::1]:4001"
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

}  // namespace dig
