// SPDX-License-Identifier: Apache-2.0
#include "crypto/openssl_ptr.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <array>
#include <stdexcept>
#include <string>

namespace dig::crypto {

void OpensslDelete::operator()(evp_md_ctx_st* context) const noexcept { EVP_MD_CTX_free(context); }
void OpensslDelete::operator()(evp_cipher_ctx_st* context) const noexcept { EVP_CIPHER_CTX_free(context); }
void OpensslDelete::operator()(evp_pkey_st* key) const noexcept { EVP_PKEY_free(key); }

void require_openssl(bool succeeded) {
  if (succeeded) [[likely]]
    return;
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  throw std::runtime_error(std::string("OpenSSL: ") + text.data());
}

}  // namespace dig::crypto
