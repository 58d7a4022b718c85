// SPDX-License-Identifier: Apache-2.0
// The URIs of STUN and TURN servers (RFC 7064, RFC 7065): stun:host, turns:host:443?transport=tcp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace dig {

enum class StunTransport : std::uint8_t { udp, tcp, tls, dtls };
[[nodiscard]] std::string_view to_text(StunTransport transport) noexcept;

struct StunUri {
  bool is_turn = false;
  StunTransport transport = StunTransport::udp;
  std::string host;  // a name in lower case, an IPv4 address, or an IPv6 address without brackets
  std::uint16_t port = 3478;

  // Strict: no user part, path or fragment; `transport` only in turn: and turns:, udp or tcp only.
  [[nodiscard]] static Result<StunUri> parse(std::string_view text);
  // The shortest form that parses to this.
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const StunUri&, const StunUri&) = default;
};

}  // namespace dig
