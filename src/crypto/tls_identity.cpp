// SPDX-License-Identifier: Apache-2.0
#include "crypto/tls_identity.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/endpoint.hpp"
#include "crypto/host_name.hpp"

namespace dig::crypto {
namespace {

constexpr std::size_t k_max_key_text = 1 << 20;
constexpr std::chrono::seconds k_clock_difference{3600};
constexpr int k_serial_bits = 127;  // RFC 5280 §4.1.2.2: positive, at most 20 octets; unpredictable

struct X509Delete {
  void operator()(BIGNUM* number) const noexcept { BN_free(number); }
  void operator()(GENERAL_NAME* name) const noexcept { GENERAL_NAME_free(name); }
  void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
  void operator()(ASN1_OBJECT* oid) const noexcept { ASN1_OBJECT_free(oid); }
  void operator()(ASN1_OCTET_STRING* content) const noexcept { ASN1_OCTET_STRING_free(content); }
  void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
  void operator()(STACK_OF(X509) * certificates) const noexcept { sk_X509_free(certificates); }  // borrowed elements
};
template <class T>
using Owned = std::unique_ptr<T, X509Delete>;

// OpenSSL would ask for the passphrase on the terminal.
int refuse_passphrase(char*, int, int, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

Result<OpensslPtr<evp_pkey_st>> read_private_key(std::string_view pem) {
  if (pem.size() > k_max_key_text) return fail(Errc::certificate_unreadable, "the private key text is too long");
  const OpensslPtr<bio_st> input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  require_openssl(input != nullptr);
  bool is_encrypted = false;
  OpensslPtr<evp_pkey_st> key(PEM_read_bio_PrivateKey(input.get(), nullptr, &refuse_passphrase, &is_encrypted));
  ERR_clear_error();
  if (is_encrypted)
    return fail(Errc::certificate_unreadable, "the private key is encrypted: store it without passphrase");
  if (!key) return fail(Errc::certificate_unreadable, "the PEM text holds no private key that can be read");
  return key;
}

Owned<GENERAL_NAME> to_general_name(const std::string& name) {
  Owned<GENERAL_NAME> general(GENERAL_NAME_new());
  const auto address = IpAddress::parse(name);
  ASN1_STRING* value = address ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
  require_openssl(general != nullptr && value != nullptr);
  GENERAL_NAME_set0_value(general.get(), address ? GEN_IPADD : GEN_DNS, value);
  const BytesView content = address ? address->bytes() : as_bytes(name);
  require_openssl(ASN1_STRING_set(value, content.data(), static_cast<int>(content.size())) == 1);
  return general;
}

void add_names(X509& certificate, const std::vector<std::string>& names) {
  const Owned<GENERAL_NAMES> list(GENERAL_NAMES_new());
  require_openssl(list != nullptr);
  for (const std::string& name : names) {
    Owned<GENERAL_NAME> general = to_general_name(name);
    require_openssl(sk_GENERAL_NAME_push(list.get(), general.get()) > 0);
    (void)general.release();
  }
  require_openssl(X509_add1_ext_i2d(&certificate, NID_subject_alt_name, list.get(), 0, X509V3_ADD_DEFAULT) == 1);
}

void add_constant_extension(X509& certificate, int kind, const char* value) {
  const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, nullptr, kind, value));
  require_openssl(extension != nullptr && X509_add_ext(&certificate, extension.get(), -1) == 1);
}

void add_extension(X509& certificate, const TlsIdentity::Extension& wanted) {
  const Owned<ASN1_OBJECT> oid(OBJ_txt2obj(wanted.oid.c_str(), 1));
  const Owned<ASN1_OCTET_STRING> content(ASN1_OCTET_STRING_new());
  require_openssl(oid != nullptr && content != nullptr);
  const Bytes bytes = wanted.content(public_key_der(certificate));
  require_openssl(ASN1_OCTET_STRING_set(content.get(), octets(bytes), static_cast<int>(bytes.size())) == 1);
  const Owned<X509_EXTENSION> extension(X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), 0, content.get()));
  require_openssl(extension != nullptr && X509_add_ext(&certificate, extension.get(), -1) == 1);
}

void set_random_serial(X509& certificate) {
  const Owned<BIGNUM> serial(BN_new());
  require_openssl(serial != nullptr && BN_rand(serial.get(), k_serial_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1);
  require_openssl(BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(&certificate)) != nullptr);
}

}  // namespace

TlsIdentity::TlsIdentity(std::vector<Certificate> chain, OpensslPtr<evp_pkey_st> key)
    : leaf_(std::move(chain.front())),
      issuers_(std::make_move_iterator(chain.begin() + 1), std::make_move_iterator(chain.end())),
      key_(std::move(key)),
      leaf_der_(certificate_der(*leaf_)),
      fingerprint_(sha256(leaf_der_)),
      names_(certificate_names(*leaf_)) {}

Result<std::shared_ptr<const TlsIdentity>> TlsIdentity::from_pem(std::string_view certificates,
                                                                 std::string_view private_key) {
  DIG_TRY(std::vector<Certificate> chain, read_certificates(certificates, max_chain));
  DIG_TRY(OpensslPtr<evp_pkey_st> key, read_private_key(private_key));
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(Errc::certificate_unreadable,
                "the private key does not belong to the first certificate, " + subject_text(*chain.front()));
  }
  return std::shared_ptr<const TlsIdentity>(new TlsIdentity(std::move(chain), std::move(key)));
}

Result<std::shared_ptr<const TlsIdentity>> TlsIdentity::make_self_signed(const std::vector<std::string>& names,
                                                                         std::chrono::seconds validity, UnixTime now,
                                                                         const std::optional<Extension>& extension) {
  if (names.empty()) return fail(Errc::invalid_argument, "a certificate needs a name");
  for (const std::string& name : names) {
    if (!IpAddress::parse(name) && !is_host_name(name)) return fail(Errc::invalid_argument, "no host name: " + name);
  }
  OpensslPtr<evp_pkey_st> key(EVP_EC_gen("P-256"));
  Certificate certificate(X509_new());
  require_openssl(key != nullptr && certificate != nullptr);
  require_openssl(X509_set_version(certificate.get(), X509_VERSION_3) == 1);
  set_random_serial(*certificate);
  const auto set_time = [](ASN1_TIME* field, std::int64_t seconds) {
    require_openssl(ASN1_TIME_set(field, seconds) != nullptr);
  };
  set_time(X509_getm_notBefore(certificate.get()), now.seconds - k_clock_difference.count());
  set_time(X509_getm_notAfter(certificate.get()), now.seconds + validity.count());
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  constexpr std::size_t k_max_common_name = 64;  // RFC 5280 appendix A.1, ub-common-name
  const std::string common_name = names.front().substr(0, k_max_common_name);
  require_openssl(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                             reinterpret_cast<const unsigned char*>(common_name.data()),
                                             static_cast<int>(common_name.size()), -1, 0) == 1);
  require_openssl(X509_set_issuer_name(certificate.get(), subject) == 1);
  require_openssl(X509_set_pubkey(certificate.get(), key.get()) == 1);
  add_names(*certificate, names);
  add_constant_extension(*certificate, NID_basic_constraints, "critical,CA:FALSE");
  add_constant_extension(*certificate, NID_key_usage, "critical,digitalSignature");
  add_constant_extension(*certificate, NID_ext_key_usage, "serverAuth,clientAuth");
  if (extension) add_extension(*certificate, *extension);
  require_openssl(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
  std::vector<Certificate> chain;
  chain.push_back(std::move(certificate));
  return std::shared_ptr<const TlsIdentity>(new TlsIdentity(std::move(chain), std::move(key)));
}

Result<void> TlsIdentity::install(ssl_ctx_st& context) const {
  const Owned<STACK_OF(X509)> issuers(sk_X509_new_null());
  require_openssl(issuers != nullptr);
  for (const Certificate& issuer : issuers_) require_openssl(sk_X509_push(issuers.get(), issuer.get()) > 0);
  if (SSL_CTX_use_cert_and_key(&context, leaf_.get(), key_.get(), issuers.get(), 1) == 1) return {};
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return fail(Errc::certificate_unreadable, reason != nullptr ? reason : "it does not fit TLS");
}

}  // namespace dig::crypto
