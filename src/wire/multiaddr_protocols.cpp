// SPDX-License-Identifier: Apache-2.0
#include "wire/multiaddr_protocols.hpp"

#include <algorithm>
#include <array>

#include "base/base_encoding.hpp"
#include "base/byte_writer.hpp"
#include "base/decimal.hpp"
#include "wire/multihash.hpp"

namespace dig::multiaddr {
namespace {

constexpr std::size_t k_max_name = 253;  // RFC 1035 §2.3.4 as text
constexpr std::size_t k_max_label = 63;
constexpr std::size_t k_max_zone = 32;

// A peer may be named after everything but itself and a zone without an address.
constexpr unsigned k_before_peer = at_start | at_host | at_tcp | at_udp | at_quic_v1 | at_certhash | at_tls | at_sni |
                                   at_websocket | at_channel | at_circuit;

constexpr std::array k_protocols = {
    ProtocolInfo{Protocol::ip4, "ip4", ValueKind::ip4, at_start, at_host},
    ProtocolInfo{Protocol::ip6, "ip6", ValueKind::ip6, at_start | at_zone, at_host},
    ProtocolInfo{Protocol::ip6zone, "ip6zone", ValueKind::zone, at_start, at_zone},
    ProtocolInfo{Protocol::dns, "dns", ValueKind::host_name, at_start, at_host},
    ProtocolInfo{Protocol::dns4, "dns4", ValueKind::host_name, at_start, at_host},
    ProtocolInfo{Protocol::dns6, "dns6", ValueKind::host_name, at_start, at_host},
    ProtocolInfo{Protocol::dnsaddr, "dnsaddr", ValueKind::host_name, at_start, at_host},
    ProtocolInfo{Protocol::tcp, "tcp", ValueKind::port, at_host, at_tcp},
    ProtocolInfo{Protocol::udp, "udp", ValueKind::port, at_host, at_udp},
    ProtocolInfo{Protocol::utp, "utp", ValueKind::none, at_udp, at_channel},
    ProtocolInfo{Protocol::quic, "quic", ValueKind::none, at_udp, at_channel},
    ProtocolInfo{Protocol::quic_v1, "quic-v1", ValueKind::none, at_udp, at_quic_v1},
    ProtocolInfo{Protocol::webtransport, "webtransport", ValueKind::none, at_quic_v1, at_certhash},
    ProtocolInfo{Protocol::webrtc_direct, "webrtc-direct", ValueKind::none, at_udp, at_certhash},
    ProtocolInfo{Protocol::certhash, "certhash", ValueKind::certhash, at_certhash, at_certhash},
    ProtocolInfo{Protocol::tls, "tls", ValueKind::none, at_tcp, at_tls},
    ProtocolInfo{Protocol::sni, "sni", ValueKind::server_name, at_tls, at_sni},
    ProtocolInfo{Protocol::ws, "ws", ValueKind::none, at_tcp | at_tls | at_sni, at_websocket},
    ProtocolInfo{Protocol::wss, "wss", ValueKind::none, at_tcp, at_websocket},
    ProtocolInfo{Protocol::http, "http", ValueKind::none, at_tcp | at_tls | at_sni, at_channel},
    ProtocolInfo{Protocol::noise, "noise", ValueKind::none, at_tcp | at_websocket, at_channel},
    ProtocolInfo{Protocol::p2p, "p2p", ValueKind::peer, k_before_peer, at_peer},
    ProtocolInfo{Protocol::p2p_circuit, "p2p-circuit", ValueKind::none, at_peer, at_circuit},
    ProtocolInfo{Protocol::webrtc, "webrtc", ValueKind::none, at_circuit, at_channel},
};

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= k_max_label &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_'; });
}

// ASCII only: other scripts come as punycode, so that look-alike letters stay visible.
Result<void> check_name(std::string_view name, bool may_be_wildcard) {
  if (name.empty() || name.size() > k_max_name) return fail(Errc::malformed, "a name of an impossible length");
  if (may_be_wildcard && name.starts_with("*.")) name.remove_prefix(2);
  for (;;) {
    const std::size_t dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return fail(Errc::malformed, "not a DNS name");
    if (dot == std::string_view::npos) return {};
    name.remove_prefix(dot + 1);
  }
}

Result<void> check_zone(std::string_view zone) {
  const bool fits = !zone.empty() && zone.size() <= k_max_zone && std::all_of(zone.begin(), zone.end(), [](char c) {
    return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
  });
  if (!fits) return fail(Errc::malformed, "not the name or number of an interface");
  return {};
}

Result<void> check_certhash(BytesView value) {
  DIG_TRY(const Multihash hash, Multihash::decode(value));
  if (hash.code != k_multihash_sha2_256) return fail(Errc::malformed, "a certificate hash that is not SHA-256");
  return {};
}

Result<Bytes> parse_ip(std::string_view text, IpFamily family) {
  DIG_TRY(const IpAddress address, IpAddress::parse(text));
  if (address.family() != family) return fail(Errc::malformed, "an IP address of the other family");
  return to_bytes(address.bytes());
}

}  // namespace

const ProtocolInfo* find_protocol(std::uint64_t code) noexcept {
  const auto* found = std::find_if(k_protocols.begin(), k_protocols.end(), [&](const ProtocolInfo& info) {
    return static_cast<std::uint64_t>(info.protocol) == code;
  });
  return found == k_protocols.end() ? nullptr : found;
}

const ProtocolInfo* find_protocol(std::string_view name) noexcept {
  const auto* found =
      std::find_if(k_protocols.begin(), k_protocols.end(), [&](const ProtocolInfo& info) { return info.name == name; });
  return found == k_protocols.end() ? nullptr : found;
}

std::optional<std::size_t> fixed_size(ValueKind kind) noexcept {
  switch (kind) {
    case ValueKind::none:
      return 0;
    case ValueKind::port:
      return 2;
    case ValueKind::ip4:
      return 4;
    case ValueKind::ip6:
      return 16;
    default:
      return std::nullopt;
  }
}

Result<Bytes> parse_value(ValueKind kind, std::string_view text) {
  switch (kind) {
    case ValueKind::none:
      return Bytes();
    case ValueKind::ip4:
      return parse_ip(text, IpFamily::v4);
    case ValueKind::ip6:
      return parse_ip(text, IpFamily::v6);
    case ValueKind::port: {
      DIG_TRY(const std::uint64_t port, parse_decimal(text, 65535));
      Bytes out;
      ByteWriter(out).u16(static_cast<std::uint16_t>(port));
      return out;
    }
    case ValueKind::zone:
    case ValueKind::host_name:
    case ValueKind::server_name:
      DIG_CHECK(check_value(kind, as_bytes(text)));
      return to_bytes(text);
    case ValueKind::peer: {
      DIG_TRY(const PeerId peer, PeerId::parse(text));
      return to_bytes(peer.bytes());
    }
    case ValueKind::certhash: {
      Result<Bytes> hash = decode_multibase(text);
      if (!hash) return fail(Errc::malformed, hash.error().detail());  // `unsupported` is for protocols
      DIG_CHECK(check_certhash(*hash));
      return hash;
    }
  }
  return fail(Errc::internal);
}

Result<void> check_value(ValueKind kind, BytesView value) {
  switch (kind) {
    case ValueKind::zone:
      return check_zone(as_text(value));
    case ValueKind::host_name:
      return check_name(as_text(value), false);
    case ValueKind::server_name:
      return check_name(as_text(value), true);
    case ValueKind::certhash:
      return check_certhash(value);
    case ValueKind::peer:
      if (!PeerId::from_bytes(value)) return fail(Errc::malformed, "not a peer id");
      return {};
    default:
      return {};  // of a fixed size, and every value of that size is valid
  }
}

std::string print_value(ValueKind kind, BytesView value) {
  switch (kind) {
    case ValueKind::none:
      return {};
    case ValueKind::ip4:
    case ValueKind::ip6:
      return IpAddress::from_bytes(value).value_or(IpAddress()).to_string();
    case ValueKind::port:
      return std::to_string(std::to_integer<unsigned>(value[0]) << 8 | std::to_integer<unsigned>(value[1]));
    case ValueKind::zone:
    case ValueKind::host_name:
    case ValueKind::server_name:
      return std::string(as_text(value));
    case ValueKind::peer:
      return encode_base(Base::base58, value);
    case ValueKind::certhash:
      return encode_multibase(Base::base64url, value);
  }
  return {};
}

}  // namespace dig::multiaddr
