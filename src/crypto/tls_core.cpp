// SPDX-License-Identifier: Apache-2.0
#include "crypto/tls_core.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <exception>

#include "base/endpoint.hpp"
#include "crypto/host_name.hpp"

namespace dig::crypto {
namespace {

int read_bio(BIO* bio, char* out, int size) {
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  auto* end = static_cast<BioEnd*>(BIO_get_data(bio));
  const std::size_t taken = end->take_ciphertext({reinterpret_cast<std::byte*>(out), static_cast<std::size_t>(size)});
  if (taken > 0) return static_cast<int>(taken);
  BIO_set_retry_read(bio);
  return -1;
}

int write_bio(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  auto* end = static_cast<BioEnd*>(BIO_get_data(bio));
  const std::size_t taken =
      end->put_ciphertext({reinterpret_cast<const std::byte*>(bytes), static_cast<std::size_t>(size)});
  if (taken > 0) return static_cast<int>(taken);
  BIO_set_retry_write(bio);
  return -1;
}

// Everything else has the answer 0: among it the overhead of a datagram, because our sizes are those of UDP payloads.
long control_bio(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int create_bio(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

BIO_METHOD* bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "dignet session");
    require_openssl(made != nullptr && BIO_meth_set_read(made, &read_bio) == 1 &&
                    BIO_meth_set_write(made, &write_bio) == 1 && BIO_meth_set_ctrl(made, &control_bio) == 1 &&
                    BIO_meth_set_create(made, &create_bio) == 1);
    return made;
  }();
  return method;
}

TlsCore* core_of(const SSL* session) { return static_cast<TlsCore*>(SSL_get_app_data(session)); }

// The codes of X.509 verification (x509_vfy.h) in ours.
Error explain_verification(int code, const X509* certificate, const std::string& server_name) {
  const auto subject = [&] { return certificate != nullptr ? subject_text(*certificate) : std::string("?"); };
  switch (code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: {
      std::string names;
      if (certificate != nullptr) {
        for (const std::string& name : certificate_names(*certificate)) names += " " + name;
      }
      return Error(Errc::certificate_name_mismatch,
                   "wanted " + server_name + ", the certificate is for" + (names.empty() ? " no name" : names));
    }
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Error(Errc::certificate_expired, subject() + " expired on " + valid_until_text(*certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Error(Errc::certificate_expired, subject() + " is valid from " + valid_from_text(*certificate));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return Error(Errc::certificate_self_signed, subject());
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return Error(Errc::certificate_untrusted,
                   subject() + ", issued by " + (certificate != nullptr ? issuer_text(*certificate) : "?"));
    default:
      return Error(Errc::certificate_refused, subject() + ": " + X509_verify_cert_error_string(code));
  }
}

}  // namespace

Result<std::unique_ptr<TlsCore>> TlsCore::create(std::shared_ptr<const TlsContext> context, TlsTransport transport,
                                                 TlsRole role, const TlsPeer& peer, UnixTime wall, BioEnd& end) {
  if (context->transport() != transport || context->config().role != role) {
    return fail(Errc::invalid_argument, "the TLS context is for another transport or role");
  }
  std::unique_ptr<TlsCore> core(new TlsCore(std::move(context)));
  DIG_CHECK(core->prepare(role, peer, wall, end));
  return core;
}

Result<void> TlsCore::prepare(TlsRole role, const TlsPeer& peer, UnixTime wall, BioEnd& end) {
  session_.reset(SSL_new(context_->native()));
  require_openssl(session_ != nullptr);
  SSL* session = session_.get();
  SSL_set_app_data(session, this);
  BIO* bio = BIO_new(bio_method());
  require_openssl(bio != nullptr);
  BIO_set_data(bio, &end);
  SSL_set_bio(session, bio, bio);  // takes the one reference for both directions
  trust_ = peer.trust ? peer.trust : config().trust;
  const bool verifies = role == TlsRole::client || config().client_certificate != ClientCertificate::none;
  if (verifies && !trust_) return fail(Errc::invalid_argument, "nothing says which certificates to trust");
  if (trust_ && trust_->needs_name()) require_openssl(SSL_set1_verify_cert_store(session, trust_->store()) == 1);
  X509_VERIFY_PARAM_set_time(SSL_get0_param(session), static_cast<time_t>(wall.seconds));
  if (role == TlsRole::server) {
    SSL_set_accept_state(session);
    return {};
  }
  SSL_set_connect_state(session);
  return expect_server(peer.server_name);
}

Result<void> TlsCore::expect_server(const std::string& name) {
  SSL* session = session_.get();
  server_name_ = name;
  if (name.empty()) {
    if (trust_->needs_name()) return fail(Errc::invalid_argument, "the name of the TLS server is missing");
    return {};
  }
  X509_VERIFY_PARAM* rules = SSL_get0_param(session);
  // RFC 9525 §2: names stand in subjectAltName only, and a wildcard is a whole label.
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (IpAddress::parse(name)) {  // RFC 6066 §3: an address is not sent as SNI
    require_openssl(X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) == 1);
    return {};
  }
  if (!is_host_name(name)) return fail(Errc::invalid_argument, "no host name: " + name);
  require_openssl(SSL_set_tlsext_host_name(session, name.c_str()) == 1);
  require_openssl(X509_VERIFY_PARAM_set1_host(rules, name.data(), name.size()) == 1);
  return {};
}

TlsCore::Outcome TlsCore::outcome_of(int returned) {
  switch (SSL_get_error(session_.get(), returned)) {
    case SSL_ERROR_NONE:
      return Outcome::done;
    case SSL_ERROR_WANT_READ:
      return Outcome::wants_input;
    case SSL_ERROR_WANT_WRITE:
      return Outcome::wants_output;
    case SSL_ERROR_ZERO_RETURN:
      return Outcome::ended;
    default:
      failure_ = explain_failure();
      ERR_clear_error();
      return Outcome::failed;
  }
}

TlsCore::Outcome TlsCore::handshake() {
  ERR_clear_error();
  return outcome_of(SSL_do_handshake(session_.get()));
}

TlsCore::Outcome TlsCore::read(MutableBytes out, std::size_t& size) {
  ERR_clear_error();
  return outcome_of(SSL_read_ex(session_.get(), out.data(), out.size(), &size));
}

TlsCore::Outcome TlsCore::peek() {
  ERR_clear_error();
  std::byte next{};
  std::size_t size = 0;
  return outcome_of(SSL_peek_ex(session_.get(), &next, 1, &size));
}

TlsCore::Outcome TlsCore::write(BytesView bytes, std::size_t& size) {
  ERR_clear_error();
  return outcome_of(SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &size));
}

void TlsCore::shut_down() {
  if (SSL_in_init(session_.get()) != 0) return;
  (void)SSL_shutdown(session_.get());
  ERR_clear_error();
}

Error TlsCore::explain_failure() const {
  if (refusal_) return *refusal_;
  if (alert_received_ == SSL_AD_NO_APPLICATION_PROTOCOL || alert_sent_ == SSL_AD_NO_APPLICATION_PROTOCOL) {
    return Error(Errc::protocol_not_supported, "no application protocol (ALPN) in common");
  }
  if (alert_received_) {
    return Error(Errc::tls_failed,
                 std::string("the other side gave up: ") + SSL_alert_desc_string_long(*alert_received_));
  }
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  const std::string detail = reason != nullptr ? reason : "no reason given";
  if (alert_sent_ == SSL_AD_BAD_RECORD_MAC) return Error(Errc::decrypt_failed, detail);
  return Error(Errc::tls_failed, detail);
}

Result<TlsEstablished> TlsCore::describe() const {
  const unsigned char* chosen = nullptr;
  unsigned int chosen_size = 0;
  SSL_get0_alpn_selected(session_.get(), &chosen, &chosen_size);
  const std::string alpn(reinterpret_cast<const char*>(chosen), chosen_size);
  // RFC 7301 §3.1: the server answers with one of the names that were offered; OpenSSL leaves the check to us.
  if (!alpn.empty() && std::ranges::find(config().alpn, alpn) == config().alpn.end()) {
    return fail(Errc::protocol_violation, "the server chose an ALPN name that was not offered");
  }
  return TlsEstablished{.alpn = alpn,
                        .peer_certificate = peer_certificate(),
                        .version = SSL_get_version(session_.get()),
                        .cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(session_.get()))};
}

Result<Bytes> TlsCore::export_keying_material(std::string_view label, std::optional<BytesView> context,
                                              std::size_t size) const {
  constexpr std::size_t k_max_size = 8160;  // RFC 5869 §2.3: 255 blocks of SHA-256, the least that TLS 1.3 can give
  constexpr std::size_t k_max_label = 249;  // RFC 8446 §7.1: with "tls13 " in front of it
  if (size > k_max_size || label.size() > k_max_label) return fail(Errc::invalid_argument, "keying material size");
  if (SSL_is_init_finished(session_.get()) != 1) return fail(Errc::connection_closed, "the handshake is not over");
  Bytes material(size);
  const BytesView given = context.value_or(BytesView());
  require_openssl(SSL_export_keying_material(session_.get(), writable_octets(material), size, label.data(),
                                             label.size(), octets(given), given.size(), context ? 1 : 0) == 1);
  return material;
}

Bytes TlsCore::peer_certificate() const {
  const X509* leaf = SSL_get0_peer_certificate(session_.get());
  return leaf != nullptr ? certificate_der(*leaf) : Bytes();
}

int TlsCore::verify_peer(x509_store_ctx_st* verification, void*) {
  const auto* session =
      static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  TlsCore& core = *core_of(session);
  try {
    if (core.judge(*verification)) return 1;
  } catch (const std::exception&) {  // out of memory, or a check that throws; neither may pass through OpenSSL's C code
    core.refusal_ = Error(Errc::certificate_refused);
  }
  if (X509_STORE_CTX_get_error(verification) == X509_V_OK) {
    X509_STORE_CTX_set_error(verification, X509_V_ERR_APPLICATION_VERIFICATION);
  }
  return 0;
}

bool TlsCore::judge(x509_store_ctx_st& verification) {
  if (trust_->needs_name()) {
    if (X509_verify_cert(&verification) == 1) return true;
    refusal_ = explain_verification(X509_STORE_CTX_get_error(&verification),
                                    X509_STORE_CTX_get_current_cert(&verification), server_name_);
    if (!trust_->has_check() || !trust_->check_leaf(certificate_der(*X509_STORE_CTX_get0_cert(&verification)))) {
      return false;  // what the authorities have against it says more
    }
    refusal_.reset();
    X509_STORE_CTX_set_error(&verification, X509_V_OK);
    return true;
  }
  const Result<void> checked = trust_->check_leaf(certificate_der(*X509_STORE_CTX_get0_cert(&verification)));
  if (checked) return true;
  refusal_ = checked.error();
  return false;
}

void TlsCore::note_alert(const ssl_st* session, int where, int value) {
  constexpr int k_fatal = SSL3_AL_FATAL;
  if ((where & SSL_CB_ALERT) == 0 || value >> 8 != k_fatal) return;
  TlsCore& core = *core_of(session);
  std::optional<int>& alert = (where & SSL_CB_READ) != 0 ? core.alert_received_ : core.alert_sent_;
  alert = value & 0xff;  // of value: the string function and RFC 8446 §6 number alerts alike
}

}  // namespace dig::crypto
