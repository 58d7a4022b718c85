// SPDX-License-Identifier: Apache-2.0
// Whose certificate is believed: one that an authority issued for the right name, one with a known fingerprint (WebRTC,
// RFC 8122 §5), or one that a check of the owner accepts (libp2p: the certificate carries the peer's key).
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/hash.hpp"
#include "crypto/openssl_ptr.hpp"

namespace dig::crypto {

// An immutable value, cheap to copy: copies share what was loaded.
class TlsTrust {
 public:
  // Given the DER form of the peer's certificate; an error refuses it. TLS proves that the peer holds the certificate's
  // key; nothing else of it has been checked. Must not throw.
  using LeafCheck = std::function<Result<void>(BytesView leaf_der)>;

  // The system's authorities (OpenSSL's default paths), further ones as PEM text, or both. A server's name is always
  // checked too. certificate_unreadable if the text holds no certificate; invalid_argument without any authority.
  [[nodiscard]] static Result<TlsTrust> authorities(bool use_system, std::string_view more_pem = {});
  // Exactly this certificate, whatever its names and dates.
  [[nodiscard]] static TlsTrust fingerprint(const Sha256Digest& leaf);
  [[nodiscard]] static TlsTrust check(LeafCheck check);

  // Of authorities: what they do not vouch for is believed all the same if `check` accepts it.
  [[nodiscard]] TlsTrust or_check(LeafCheck check) const;

  [[nodiscard]] bool needs_name() const noexcept { return store_ != nullptr; }
  // For crypto/ itself: the store of the authorities, null for the other kinds; and what these check.
  [[nodiscard]] x509_store_st* store() const noexcept { return store_.get(); }
  [[nodiscard]] bool has_check() const noexcept { return static_cast<bool>(check_); }
  [[nodiscard]] Result<void> check_leaf(BytesView leaf_der) const { return check_(leaf_der); }

 private:
  TlsTrust() = default;

  std::shared_ptr<x509_store_st> store_;
  LeafCheck check_;
};

}  // namespace dig::crypto
