// SPDX-License-Identifier: Apache-2.0
// Integrity of STUN messages: MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489 §14.5-14.7), the
// keys they are made with (§9), USERHASH (§14.4) and the security features that a server announces in its nonce (§9.2).
//
// User names, realms and passwords are taken as they are: for ASCII the OpaqueString profile (RFC 8265 §4.2) changes
// nothing, anything else the caller prepares.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/hash.hpp"
#include "crypto/secret.hpp"
#include "wire/stun_message.hpp"

namespace dig::stun {

// RFC 8489 §18.5.
enum class PasswordAlgorithm : std::uint16_t { md5 = 1, sha256 = 2 };

// The key of long-term credentials: 16 bytes for MD5, 32 for SHA-256. Wiped when it goes.
class LongTermKey {
 public:
  LongTermKey() = default;
  LongTermKey(PasswordAlgorithm algorithm, std::string_view username, std::string_view realm,
              std::string_view password);
  [[nodiscard]] BytesView view() const noexcept { return key_.view().first(size_); }

 private:
  crypto::Secret<32> key_;
  std::uint8_t size_ = 0;  // an allocation has one of these
};

[[nodiscard]] crypto::Sha256Digest userhash(std::string_view username, std::string_view realm);

// Each appends its attribute; the fingerprint last. Keys of short-term credentials are the password's bytes.
void add_integrity(Writer& writer, BytesView key);
void add_integrity_sha256(Writer& writer, BytesView key);
void add_fingerprint(Writer& writer);

// In constant time. False also when the attribute is missing.
[[nodiscard]] bool has_valid_integrity(const Message& message, BytesView key);
[[nodiscard]] bool has_valid_integrity_sha256(const Message& message, BytesView key);
[[nodiscard]] bool has_valid_fingerprint(const Message& message);

// PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS (RFC 8489 §14.11-14.12): numbers with parameters, none of which are
// defined. Unknown numbers are kept: the list is echoed as it came.
[[nodiscard]] Result<std::vector<std::uint16_t>> decode_password_algorithms(BytesView value);
[[nodiscard]] Result<std::uint16_t> decode_password_algorithm(BytesView value);
void add_password_algorithms(Writer& writer, std::span<const PasswordAlgorithm> algorithms) noexcept;
void add_password_algorithm(Writer& writer, PasswordAlgorithm algorithm) noexcept;

// The nonce cookie: "obMatJos2" and 24 bits in base64, the least significant first in meaning (RFC 8489 §9.2, §18.1).
struct SecurityFeatures {
  bool password_algorithms = false;
  bool username_anonymity = false;
  friend bool operator==(const SecurityFeatures&, const SecurityFeatures&) = default;
};
inline constexpr std::size_t k_nonce_cookie_size = 13;
[[nodiscard]] std::string nonce_cookie(const SecurityFeatures& features);
// Nothing when the nonce has no cookie: an RFC 5389 server.
[[nodiscard]] std::optional<SecurityFeatures> features_of_nonce(BytesView nonce);

}  // namespace dig::stun
