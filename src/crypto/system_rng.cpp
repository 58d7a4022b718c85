// SPDX-License-Identifier: Apache-2.0
#include "crypto/system_rng.hpp"

#include <openssl/rand.h>

#include <algorithm>

#include "crypto/openssl_ptr.hpp"

namespace dig::crypto {

void SystemRng::fill(MutableBytes out) {
  constexpr std::size_t k_max_request = 1 << 16;  // RAND_bytes counts in int
  while (!out.empty()) {
    const std::size_t size = std::min(out.size(), k_max_request);
    require_openssl(RAND_bytes(writable_octets(out), static_cast<int>(size)) == 1);
    out = out.subspan(size);
  }
}

}  // namespace dig::crypto
