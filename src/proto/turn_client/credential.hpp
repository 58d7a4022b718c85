// SPDX-License-Identifier: Apache-2.0
// The client's half of the long-term credential mechanism (RFC 8489 §9.2): takes the challenges of a server (401, 438),
// signs requests and verifies responses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "wire/stun_integrity.hpp"
#include "wire/stun_message.hpp"

namespace dig::turn {

struct Credentials {
  // As OpaqueString (RFC 8265) leaves them; for ASCII that is as they are.
  std::string username;
  std::string password;
};

// RFC 8489 §14.3: fewer than 509 bytes.
inline constexpr std::size_t k_max_username = 508;
// RFC 8489 §14.9, §14.10: fewer than 128 characters, which are up to 763 bytes.
inline constexpr std::size_t k_max_challenge_characters = 127;
inline constexpr std::size_t k_max_challenge_bytes = 763;

class LongTermCredential {
 public:
  explicit LongTermCredential(Credentials credentials, bool requires_sha256)
      : credentials_(std::move(credentials)), requires_sha256_(requires_sha256) {}
  ~LongTermCredential();
  LongTermCredential(const LongTermCredential&) = delete;
  LongTermCredential& operator=(const LongTermCredential&) = delete;

  // An error response 401 or 438. An error leaves everything as it was.
  [[nodiscard]] Result<void> accept(const stun::Message& challenge);
  // Grows with every key. RFC 8489 §9.2.5: who was refused with 401 may try again only if the realm, or what the key is
  // made with, is another than that of the request that was refused.
  [[nodiscard]] std::uint64_t key_version() const noexcept { return key_version_; }
  [[nodiscard]] bool has_challenge() const noexcept { return !nonce_.empty(); }

  // Appends the attributes that authenticate a request; the last of them is its integrity.
  void sign(stun::Writer& writer) const;
  // In constant time. The response must carry the integrity attribute that the request had: the other one would be a
  // way down (RFC 8489 §9.2.5).
  [[nodiscard]] bool verify(const stun::Message& response) const;

  [[nodiscard]] stun::PasswordAlgorithm algorithm() const noexcept { return algorithm_; }
  [[nodiscard]] bool uses_sha256_integrity() const noexcept { return !algorithms_.empty(); }
  [[nodiscard]] bool uses_userhash() const noexcept { return uses_userhash_; }
  [[nodiscard]] std::uint64_t nonce_changes() const noexcept { return nonce_changes_; }

 private:
  struct Offer {
    stun::PasswordAlgorithm algorithm = stun::PasswordAlgorithm::md5;
    BytesView algorithms;  // PASSWORD-ALGORITHMS as it came; empty for a server of RFC 5389
    bool anonymity = false;
  };
  [[nodiscard]] Result<Offer> offer_of(const stun::Message& challenge, BytesView nonce) const;

  Credentials credentials_;
  bool requires_sha256_;
  std::string realm_;
  Bytes nonce_;
  Bytes algorithms_;  // echoed as it came: the server compares, and so sees a list that was altered (RFC 8489 §9.2.4)
  stun::PasswordAlgorithm algorithm_ = stun::PasswordAlgorithm::md5;
  bool uses_userhash_ = false;
  stun::LongTermKey key_;
  std::uint64_t key_version_ = 0;
  std::uint64_t nonce_changes_ = 0;
};

}  // namespace dig::turn
