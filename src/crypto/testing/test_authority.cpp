// SPDX-License-Identifier: Apache-2.0
#include "crypto/testing/test_authority.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/endpoint.hpp"

namespace dig::crypto::testing {
namespace {

using Key = OpensslPtr<evp_pkey_st>;

Key make_key(bool is_rsa) { return Key(is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")); }

void add_extension(X509& certificate, int kind, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
  require_openssl(extension != nullptr);
  X509_add_ext(&certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// An extension that nobody knows and that is not critical: every verifier passes over it.
void add_padding(X509& certificate, std::size_t size) {
  ASN1_OBJECT* kind = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);
  ASN1_OCTET_STRING* content = ASN1_OCTET_STRING_new();
  const std::string filling(size, 'p');
  ASN1_OCTET_STRING_set(content, reinterpret_cast<const unsigned char*>(filling.data()), static_cast<int>(size));
  X509_EXTENSION* extension = X509_EXTENSION_create_by_OBJ(nullptr, kind, 0, content);
  X509_add_ext(&certificate, extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(content);
  ASN1_OBJECT_free(kind);
}

std::string text_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ",") + std::string(IpAddress::parse(name) ? "IP:" : "DNS:") + name;
  }
  return text;
}

std::string key_pem(evp_pkey_st& key) {
  const OpensslPtr<bio_st> output(BIO_new(BIO_s_mem()));
  require_openssl(PEM_write_bio_PrivateKey(output.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(output.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Certificate make_certificate(const std::string& name, evp_pkey_st& key, UnixTime not_before, UnixTime not_after) {
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  static long serial = 0;
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), not_before.seconds);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), not_after.seconds);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()), -1, 0);
  require_openssl(X509_set_pubkey(certificate.get(), &key) == 1);
  return certificate;
}

}  // namespace

struct TestAuthority::Signer {
  Key key;
  Certificate certificate;

  void sign(X509& subject) const {
    X509_set_issuer_name(&subject, X509_get_subject_name(certificate.get()));
    require_openssl(X509_sign(&subject, key.get(), EVP_sha256()) > 0);
  }
  static Signer make(const std::string& name, const Signer* issuer) {
    Signer signer{.key = make_key(false), .certificate = nullptr};
    const UnixTime begin{k_test_wall.seconds - 100'000'000};  // 2023 to 2036: also for tests with the real clock
    const UnixTime end{k_test_wall.seconds + 300'000'000};
    signer.certificate = make_certificate(name, *signer.key, begin, end);
    add_extension(*signer.certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(*signer.certificate, NID_key_usage, "critical,keyCertSign");
    (issuer != nullptr ? *issuer : signer).sign(*signer.certificate);
    return signer;
  }
};

std::shared_ptr<const TlsIdentity> TestCertificate::identity() const {
  return TlsIdentity::from_pem(certificates, private_key).value();
}

TestAuthority::TestAuthority(const std::string& name)
    : root_(std::make_unique<Signer>(Signer::make(name, nullptr))), root_pem_(certificate_pem(*root_->certificate)) {}
TestAuthority::~TestAuthority() = default;

TestCertificate TestAuthority::issue(const TestRequest& request) const {
  std::string issuers;
  Signer between;
  const Signer* signer = root_.get();
  for (int i = 0; i < request.intermediates; ++i) {
    between = Signer::make("intermediate " + std::to_string(i), signer);
    issuers.insert(0, certificate_pem(*between.certificate));
    signer = &between;
  }
  const Key key = make_key(request.is_rsa);
  const Certificate leaf = make_certificate("leaf", *key, request.not_before, request.not_after);
  if (!request.names.empty()) add_extension(*leaf, NID_subject_alt_name, text_of(request.names));
  if (request.padding > 0) add_padding(*leaf, request.padding);
  signer->sign(*leaf);
  return {.certificates = certificate_pem(*leaf) + issuers, .private_key = key_pem(*key)};
}

}  // namespace dig::crypto::testing
