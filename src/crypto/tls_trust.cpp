// SPDX-License-Identifier: Apache-2.0
#include "crypto/tls_trust.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "crypto/x509.hpp"

namespace dig::crypto {

Result<TlsTrust> TlsTrust::authorities(bool use_system, std::string_view more_pem) {
  constexpr std::size_t k_max_authorities = 1000;
  if (!use_system && more_pem.empty()) return fail(Errc::invalid_argument, "no authority is trusted");
  TlsTrust trust;
  trust.store_ = std::shared_ptr<x509_store_st>(X509_STORE_new(), OpensslDelete());
  require_openssl(trust.store_ != nullptr);
  // A system without any authority installed is no error here: then nobody is trusted, and each refusal says so.
  if (use_system && X509_STORE_set_default_paths(trust.store_.get()) != 1) ERR_clear_error();
  if (more_pem.empty()) return trust;
  DIG_TRY(const std::vector<Certificate> certificates, read_certificates(more_pem, k_max_authorities));
  for (const Certificate& certificate : certificates) {
    require_openssl(X509_STORE_add_cert(trust.store_.get(), certificate.get()) == 1);
  }
  return trust;
}

TlsTrust TlsTrust::fingerprint(const Sha256Digest& leaf) {
  return check([leaf](BytesView leaf_der) -> Result<void> {
    if (sha256(leaf_der) == leaf) return {};
    return fail(Errc::certificate_refused, "its fingerprint is not the expected one");
  });
}

TlsTrust TlsTrust::check(LeafCheck check) {
  TlsTrust trust;
  trust.check_ = std::move(check);
  return trust;
}

TlsTrust TlsTrust::or_check(LeafCheck check) const {
  TlsTrust trust = *this;
  trust.check_ = std::move(check);
  return trust;
}

}  // namespace dig::crypto
