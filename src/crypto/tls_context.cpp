// SPDX-License-Identifier: Apache-2.0
#include "crypto/tls_context.hpp"

#include <openssl/ssl.h>

#include <algorithm>

#include "crypto/tls_core.hpp"

namespace dig::crypto {
namespace {

// RFC 9325 §4.2: forward secrecy and authenticated encryption. TLS 1.3 has nothing else.
constexpr const char* k_ciphers_12 = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr const char* k_groups = "X25519:P-256:P-384";
constexpr int k_max_chain_depth = 8;

int select_alpn(SSL*, const unsigned char** selected, unsigned char* selected_size, const unsigned char* offered,
                unsigned int offered_size, void* context) {
  const BytesView ours = static_cast<const TlsContext*>(context)->alpn_wire();
  unsigned char* found = nullptr;
  const int outcome = SSL_select_next_proto(&found, selected_size, octets(ours), static_cast<unsigned int>(ours.size()),
                                            offered, offered_size);
  // Without overlap `found` is the client's first one, which we must not take (RFC 7301 §3.2).
  if (outcome != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *selected = found;
  return SSL_TLSEXT_ERR_OK;
}

// A session of a listener exists only because its cookie was right (DtlsListener); no other looks at cookies.
int accept_cookie(SSL*, const unsigned char*, unsigned int) { return 1; }

int verify_mode(const TlsConfig& config) {
  if (config.role == TlsRole::client) return SSL_VERIFY_PEER;
  if (config.client_certificate == ClientCertificate::none) return SSL_VERIFY_NONE;
  return config.client_certificate == ClientCertificate::required ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                                                                  : SSL_VERIFY_PEER;
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::create(TlsTransport transport, TlsConfig config) {
  if (config.role == TlsRole::server && !config.identity) {
    return fail(Errc::invalid_argument, "a TLS server needs a certificate");
  }
  if (config.handshake_timeout <= 0ns) return fail(Errc::invalid_argument, "the handshake timeout is not positive");
  std::shared_ptr<TlsContext> context(new TlsContext(transport, std::move(config)));
  DIG_CHECK(context->prepare_alpn());
  DIG_CHECK(context->prepare());
  return context;
}

Result<void> TlsContext::prepare_alpn() {
  for (const std::string& name : config_.alpn) {
    if (name.empty() || name.size() > 255) return fail(Errc::invalid_argument, "an ALPN name has 1 to 255 bytes");
    alpn_wire_.push_back(static_cast<std::byte>(name.size()));
    append(alpn_wire_, as_bytes(name));
  }
  if (alpn_wire_.size() > 0xffff) return fail(Errc::invalid_argument, "too many ALPN names");
  return {};
}

Result<void> TlsContext::prepare() {
  const bool is_stream = transport_ == TlsTransport::stream;
  const bool is_server = config_.role == TlsRole::server;
  native_.reset(SSL_CTX_new(is_stream ? TLS_method() : DTLS_method()));
  SSL_CTX* context = native_.get();
  require_openssl(context != nullptr);
  require_openssl(SSL_CTX_set_min_proto_version(context, is_stream ? TLS1_2_VERSION : DTLS1_2_VERSION) == 1);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  require_openssl(SSL_CTX_set_num_tickets(context, 0) == 1);
  require_openssl(SSL_CTX_set_cipher_list(context, k_ciphers_12) == 1);
  require_openssl(SSL_CTX_set1_groups_list(context, k_groups) == 1);
  SSL_CTX_set_max_cert_list(context, static_cast<long>(config_.max_peer_chain));
  SSL_CTX_set_verify(context, verify_mode(config_), nullptr);
  SSL_CTX_set_verify_depth(context, k_max_chain_depth);
  SSL_CTX_set_cert_verify_callback(context, &TlsCore::verify_peer, nullptr);
  SSL_CTX_set_info_callback(context, &TlsCore::note_alert);
  // A record is freed with the plaintext that was read from it: an idle stream then holds no buffers. A datagram
  // session keeps them, because it must not allocate for each packet.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                (is_stream ? SSL_MODE_RELEASE_BUFFERS : 0));
  if (config_.identity) DIG_CHECK(config_.identity->install(*context));
  if (!is_stream) SSL_CTX_set_cookie_verify_cb(context, &accept_cookie);
  if (is_server && !alpn_wire_.empty()) SSL_CTX_set_alpn_select_cb(context, &select_alpn, this);
  if (!is_server && !alpn_wire_.empty()) {  // 0 is success here
    require_openssl(
        SSL_CTX_set_alpn_protos(context, octets(alpn_wire_), static_cast<unsigned int>(alpn_wire_.size())) == 0);
  }
  return {};
}

}  // namespace dig::crypto
