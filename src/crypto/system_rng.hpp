// SPDX-License-Identifier: Apache-2.0
// The random generator of the product: OpenSSL's, seeded and reseeded (also after fork) from the system.
#pragma once

#include "base/rng.hpp"

namespace dig::crypto {

// Any number of objects may be used from any threads.
class SystemRng final : public Rng {
 public:
  // Throws std::runtime_error if the system gives no randomness; there is no weaker substitute.
  void fill(MutableBytes out) override;
};

}  // namespace dig::crypto
