// SPDX-License-Identifier: Apache-2.0
#include "crypto/secret.hpp"

#include <openssl/crypto.h>

namespace dig::crypto {

void wipe(MutableBytes bytes) noexcept { OPENSSL_cleanse(bytes.data(), bytes.size()); }

bool secure_equal(BytesView a, BytesView b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace dig::crypto
