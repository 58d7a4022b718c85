// SPDX-License-Identifier: Apache-2.0
// Nonces that need no memory: the time they were made and a MAC over it and the client's address. A nonce that somebody
// else was given is as worthless as an old one.
#pragma once

#include <array>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "crypto/secret.hpp"
#include "wire/stun_integrity.hpp"

namespace dig::turn {

class NonceMaker {
 public:
  static constexpr std::size_t size = stun::k_nonce_cookie_size + 22;
  using Nonce = std::array<std::byte, size>;

  NonceMaker(Rng& rng, Duration lifetime);

  [[nodiscard]] Nonce make(Instant now, const Endpoint& client) const;
  [[nodiscard]] bool is_valid(Instant now, const Endpoint& client, BytesView nonce) const;

 private:
  [[nodiscard]] Nonce make_for(std::uint32_t second, const Endpoint& client) const;

  crypto::Secret<32> key_;
  Duration lifetime_;
};

}  // namespace dig::turn
