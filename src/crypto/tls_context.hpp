// SPDX-License-Identifier: Apache-2.0
// What the sessions of one TLS or DTLS endpoint have in common: identity, trust and policy. Making a context parses,
// loads and checks; making a session from it is cheap.
//
// To renew a certificate, make a new context and give it to new sessions: each session keeps its own context alive.
// Contexts are immutable and may be shared by sessions in any threads.
//
// Policy: TLS 1.2 and 1.3, DTLS 1.2; ECDHE with AES-GCM or ChaCha20-Poly1305 only (RFC 9325 §4.2); no renegotiation, no
// compression, no session resumption.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "crypto/tls_identity.hpp"
#include "crypto/tls_trust.hpp"

namespace dig::crypto {

enum class TlsTransport : std::uint8_t { stream, datagram };  // TLS, DTLS
enum class TlsRole : std::uint8_t { client, server };
enum class ClientCertificate : std::uint8_t { none, optional, required };

struct TlsConfig {
  TlsRole role = TlsRole::client;
  std::shared_ptr<const TlsIdentity> identity{};  // servers need one; clients show it when asked
  // Of clients, and of servers that ask for a certificate; a session may bring its own instead.
  std::optional<TlsTrust> trust{};
  ClientCertificate client_certificate = ClientCertificate::none;  // of servers
  // RFC 7301, the preferred one first. A server picks its own first one that the client offers, and refuses a client
  // that offers only others; a client that offers none is fine. Empty: ALPN is not used.
  std::vector<std::string> alpn{};
  Duration handshake_timeout = 10s;
  std::size_t max_peer_chain = 32 * 1024;  // bytes of the peer's certificates; an honest chain has a few thousand
};

// Whom a session is with.
struct TlsPeer {
  // Of a client: the server's host name (sent as SNI, RFC 6066 §3) or IP address, which its certificate must show
  // (RFC 9525). Needed when authorities are trusted.
  std::string server_name{};
  std::optional<TlsTrust> trust{};  // instead of the context's
};

// Always the first event.
struct TlsEstablished {
  std::string alpn;        // empty: none was agreed on
  Bytes peer_certificate;  // DER; empty: the peer showed none
  std::string version;     // "TLSv1.3", "DTLSv1.2"
  std::string cipher;      // "TLS_AES_128_GCM_SHA256"
};

// Always the last event.
struct TlsClosed {
  Error error;            // connection_closed after a clean end
  bool is_clean = false;  // one side said that it is done; else data of the peer may be missing
};

class TlsContext {
 public:
  // invalid_argument, certificate_unreadable.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> create(TlsTransport transport, TlsConfig config);

  [[nodiscard]] TlsTransport transport() const noexcept { return transport_; }
  [[nodiscard]] const TlsConfig& config() const noexcept { return config_; }
  // For crypto/ itself.
  [[nodiscard]] ssl_ctx_st* native() const noexcept { return native_.get(); }
  [[nodiscard]] BytesView alpn_wire() const noexcept { return alpn_wire_; }

 private:
  TlsContext(TlsTransport transport, TlsConfig config) : transport_(transport), config_(std::move(config)) {}
  Result<void> prepare();
  Result<void> prepare_alpn();

  TlsTransport transport_;
  TlsConfig config_;
  Bytes alpn_wire_;  // RFC 7301 §3.1: each name behind its length
  OpensslPtr<ssl_ctx_st> native_;
};

}  // namespace dig::crypto
