// SPDX-License-Identifier: Apache-2.0
// The table behind Multiaddr: for each protocol its name, the form of its value, and what it may follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/multiaddr.hpp"

namespace dig::multiaddr {

enum class ValueKind : std::uint8_t { none, ip4, ip6, port, zone, host_name, server_name, peer, certhash };

// How far an address has come after a component; a set of these says what a protocol may follow.
enum Stage : std::uint16_t {
  at_start = 1 << 0,
  at_zone = 1 << 1,
  at_host = 1 << 2,
  at_tcp = 1 << 3,
  at_udp = 1 << 4,
  at_quic_v1 = 1 << 5,
  at_certhash = 1 << 6,  // where certificate hashes may follow
  at_tls = 1 << 7,
  at_sni = 1 << 8,
  at_websocket = 1 << 9,
  at_channel = 1 << 10,  // nothing but a peer may follow
  at_peer = 1 << 11,
  at_circuit = 1 << 12,
};

struct ProtocolInfo {
  Protocol protocol;
  std::string_view name;
  ValueKind kind;
  unsigned after;  // a set of stages
  Stage becomes;
};

// Null when unknown.
[[nodiscard]] const ProtocolInfo* find_protocol(std::uint64_t code) noexcept;
[[nodiscard]] const ProtocolInfo* find_protocol(std::string_view name) noexcept;

// The size of values that have no length prefix; nothing for those that have one.
[[nodiscard]] std::optional<std::size_t> fixed_size(ValueKind kind) noexcept;

// One value between its text and its bytes, without length prefix. What parse_value makes passes check_value.
[[nodiscard]] Result<Bytes> parse_value(ValueKind kind, std::string_view text);
[[nodiscard]] Result<void> check_value(ValueKind kind, BytesView value);
[[nodiscard]] std::string print_value(ValueKind kind, BytesView value);

}  // namespace dig::multiaddr
