// SPDX-License-Identifier: Apache-2.0
#include "crypto/openssl_ptr.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <stdexcept>
#include <string>

namespace dig::crypto {

void OpensslDelete::operator()(evp_md_ctx_st* context) const noexcept { EVP_MD_CTX_free(context); }
void OpensslDelete::operator()(evp_cipher_ctx_st* context) const noexcept { EVP_CIPHER_CTX_free(context); }
void OpensslDelete::operator()(evp_pkey_st* key) const noexcept { EVP_PKEY_free(key); }
void OpensslDelete::operator()(bio_st* bio) const noexcept { BIO_free(bio); }
void OpensslDelete::operator()(ssl_ctx_st* context) const noexcept { SSL_CTX_free(context); }
void OpensslDelete::operator()(ssl_st* session) const noexcept { SSL_free(session); }
void OpensslDelete::operator()(x509_st* certificate) const noexcept { X509_free(certificate); }
void OpensslDelete::operator()(x509_store_st* store) const noexcept { X509_STORE_free(store); }

void require_openssl(bool succeeded) {
  if (succeeded) [[likely]]
    return;
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  throw std::runtime_error(std::string("OpenSSL: ") + text.data());
}

}  // namespace dig::crypto
