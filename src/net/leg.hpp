// SPDX-License-Identifier: Apache-2.0
// The way of a client to one server: UDP, TCP, TLS over TCP or DTLS over UDP; TCP through an HTTP proxy if there is
// one. Looks the name up, connects, proves the server's certificate, and moves plaintext between the server and one
// owner, which holds the protocol machine.
//
// One wake-up of the loop: handle_… calls; then poll_bytes() until it returns 0 or the socket is full; then settle(),
// in which the owner drains its events. In every callback but poll_bytes() the owner may call flush() and close(); it
// must not destroy the leg there, only later from a task of the loop.
//
// A UDP leg ends when the system reports that nobody listens at the server's port (ICMP): the kernel takes such reports
// only for the five-tuple, and a relay that died must be known at once. Other reports are passing trouble.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "crypto/tls_context.hpp"
#include "net/http_proxy.hpp"
#include "net/loop.hpp"
#include "net/resolver.hpp"
#include "wire/stun_uri.hpp"

namespace dig::net {

struct LegTarget {
  StunTransport transport = StunTransport::udp;
  std::string host;  // a name, or an IP address without brackets; what a certificate must show
  std::uint16_t port = 0;
  // Connects here instead of looking `host` up (Try Alternate, tickets that pin a server).
  std::optional<IpAddress> address{};
};

struct LegOptions {
  std::shared_ptr<const crypto::TlsContext> tls{};  // of a client, for TLS or for DTLS; the others need none
  std::optional<HttpProxy> proxy{};                 // of TCP and TLS
  std::optional<Error> proxy_error{};               // why the proxy that is wanted cannot be used: the leg ends with it
  std::optional<IpFamily> family{};                 // of the server's address; empty: both
  Duration open_timeout = 10s;
};

struct LegOpened {
  Endpoint local;
  Endpoint remote;      // of the proxy, if one is used
  std::string tls{};    // "TLSv1.3"; empty without TLS
  Duration elapsed{0};  // since the leg was made
};

class LegOwner {
 public:
  virtual ~LegOwner() = default;
  // At most once, before any bytes.
  virtual void handle_open(Instant now, const LegOpened& opened) = 0;
  // One datagram, or some bytes of the stream.
  virtual void handle_bytes(Instant now, BytesView bytes) = 0;
  // The last callback, unless the owner has called close(). connection_closed when the server ended it in order.
  virtual void handle_closed(Instant now, const Error& error) = 0;
  // Writes one datagram, or some bytes of the stream; 0: nothing to send now. Not before handle_open().
  [[nodiscard]] virtual std::size_t poll_bytes(Instant now, MutableBytes out) = 0;
  // The end of a wake-up that called anything above.
  virtual void settle(Instant now) = 0;
};

class Leg {
 public:
  virtual ~Leg() = default;
  // To be called when the owner has something to send and no callback runs.
  virtual void flush() = 0;
  // Sends what poll_bytes() gives at once, says good-bye, and calls back no more.
  virtual void close() = 0;
};

// Errors come by handle_closed(), never from inside this call.
[[nodiscard]] std::unique_ptr<Leg> open_leg(Loop& loop, Resolver& resolver, LegTarget target, LegOptions options,
                                            LegOwner& owner);

// A client's side of TLS or DTLS towards servers that an authority has certified, with these ALPN names.
// certificate_unreadable.
[[nodiscard]] Result<std::shared_ptr<const crypto::TlsContext>> make_client_tls(crypto::TlsTransport transport,
                                                                                crypto::TlsTrust trust,
                                                                                std::vector<std::string> alpn);

}  // namespace dig::net
