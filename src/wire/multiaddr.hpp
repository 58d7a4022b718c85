// SPDX-License-Identifier: Apache-2.0
// Multiaddr: how to reach a peer, as a chain of protocols, for example /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW….
//
// A Multiaddr is valid by construction: each value fits its protocol and each protocol may follow the one before it.
// So text and bytes correspond one to one (only case in base32 peer ids and IPv6 spelling is normalised), and equality
// of bytes is equality of addresses.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "wire/peer_id.hpp"

namespace dig {

// Codes of the multicodec table.
enum class Protocol : std::uint16_t {
  ip4 = 4,
  tcp = 6,
  ip6 = 41,
  ip6zone = 42,
  dns = 53,
  dns4 = 54,
  dns6 = 55,
  dnsaddr = 56,
  udp = 273,
  webrtc_direct = 280,
  webrtc = 281,
  p2p_circuit = 290,
  utp = 302,
  p2p = 421,
  tls = 448,
  sni = 449,
  noise = 454,
  quic = 460,
  quic_v1 = 461,
  webtransport = 465,
  certhash = 466,
  ws = 477,
  wss = 478,
  http = 480,
};

// "tcp", "quic-v1" …
[[nodiscard]] std::string_view protocol_name(Protocol protocol) noexcept;

class Multiaddr {
 public:
  static constexpr std::size_t max_components = 16;
  static constexpr std::size_t max_size = 1024;       // bytes
  static constexpr std::size_t max_text_size = 2048;  // characters

  struct Component {
    Protocol protocol;
    BytesView value;                              // into the Multiaddr; without its length prefix
    [[nodiscard]] std::string to_string() const;  // "4001"; empty for protocols without a value
  };
  // A DNS name with a TCP port and nothing after them but a peer id.
  struct DnsTcp {
    Protocol protocol;  // dns, dns4 or dns6
    std::string host;
    std::uint16_t port = 0;
    friend bool operator==(const DnsTcp&, const DnsTcp&) = default;
  };
  // What carries the bytes of libp2p over TCP.
  enum class Carrier : std::uint8_t { plain, websocket, secure_websocket };
  struct StreamTarget {
    std::variant<Endpoint, DnsTcp> remote;
    Carrier carrier = Carrier::plain;
    std::string tls_name{};   // secure_websocket: the name or IP address that the certificate must show
    std::string http_host{};  // either WebSocket: for the Host of its request
    friend bool operator==(const StreamTarget&, const StreamTarget&) = default;
  };

  Multiaddr() = default;  // empty: no address
  // bad_multiaddr, or `unsupported` for protocols not listed above (among them unix and memory, on purpose).
  [[nodiscard]] static Result<Multiaddr> parse(std::string_view text);
  // As peers send it; unknown protocols are `unsupported`: skip the address, not the message.
  [[nodiscard]] static Result<Multiaddr> from_bytes(BytesView bytes);
  // The scope of a link-local address becomes a numeric ip6zone.
  [[nodiscard]] static Multiaddr tcp(const Endpoint& endpoint, Carrier carrier = Carrier::plain);

  [[nodiscard]] bool empty() const noexcept { return binary_.empty(); }
  [[nodiscard]] BytesView bytes() const noexcept { return as_bytes(binary_); }
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] std::vector<Component> components() const;
  [[nodiscard]] bool has(Protocol protocol) const;

  // The peer the address leads to: its last /p2p, unless that names the relay before a /p2p-circuit.
  [[nodiscard]] std::optional<PeerId> peer_id() const;
  // For [address]/p2p/<relay>/p2p-circuit with nothing after but /p2p.
  struct Relay;
  [[nodiscard]] std::optional<Relay> relay() const;
  [[nodiscard]] Multiaddr without_peer_id() const;
  // Replaces the peer id, if there is one. Fails when the address would grow beyond its limits.
  [[nodiscard]] Result<Multiaddr> with_peer_id(const PeerId& peer) const;

  // How to dial the address over TCP: with nothing after the port, or /ws, /wss, /tls/ws, /tls/sni/…/ws (/wss is
  // another spelling of /tls/ws), and /p2p. address_not_dialable for all else. A zone must be the index of an
  // interface, and a link-local address needs one.
  [[nodiscard]] Result<StreamTarget> stream_target() const;
  // The same for /ip4|ip6/…/tcp/… with nothing after but /p2p.
  [[nodiscard]] Result<Endpoint> tcp_endpoint() const;
  // For /dns|dns4|dns6/…/tcp/… with nothing after but /p2p.
  [[nodiscard]] std::optional<DnsTcp> dns_tcp() const;
  // The IP address or DNS name at the start as text, and the first TCP or UDP port.
  [[nodiscard]] std::string host() const;
  [[nodiscard]] std::optional<std::uint16_t> port() const;

  friend bool operator==(const Multiaddr&, const Multiaddr&) = default;
  friend auto operator<=>(const Multiaddr&, const Multiaddr&) = default;

 private:
  explicit Multiaddr(std::string binary) : binary_(std::move(binary)) {}

  std::string binary_;  // a string for its small-buffer and comparison operators
};

struct Multiaddr::Relay {
  PeerId peer;
  Multiaddr address;  // where it can be dialled, with its peer id, which may be all there is
};

}  // namespace dig

template <>
struct std::hash<dig::Multiaddr> {
  std::size_t operator()(const dig::Multiaddr& address) const noexcept {
    return std::hash<std::string_view>{}(dig::as_text(address.bytes()));
  }
};
