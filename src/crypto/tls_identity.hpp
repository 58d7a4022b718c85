// SPDX-License-Identifier: Apache-2.0
// The certificate chain and private key with which one side of TLS or DTLS proves who it is.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "crypto/hash.hpp"
#include "crypto/x509.hpp"

namespace dig::crypto {

// Immutable: sessions in any threads may share one. The private key is wiped from memory with the last of them.
class TlsIdentity {
 public:
  static constexpr std::size_t max_chain = 10;

  // `certificates`: PEM text, the own certificate first, then its issuers. `private_key`: unencrypted PEM text; both
  // may be the same text. A certificate that has expired or is not yet valid is accepted: look at not_after().
  // certificate_unreadable.
  [[nodiscard]] static Result<std::shared_ptr<const TlsIdentity>> from_pem(std::string_view certificates,
                                                                           std::string_view private_key);

  // What else a certificate says: the content of an extension, which may depend on the certificate's key (DER
  // SubjectPublicKeyInfo).
  struct Extension {
    std::string oid;  // "1.3.6.1.4.1.…"
    std::function<Bytes(BytesView spki)> content;
  };

  // A fresh ECDSA P-256 key (from OpenSSL's generator) and a certificate signed by it, for the names and IP addresses
  // given; valid from an hour before `now`, because clocks differ. invalid_argument if a name is no host name.
  [[nodiscard]] static Result<std::shared_ptr<const TlsIdentity>> make_self_signed(
      const std::vector<std::string>& names, std::chrono::seconds validity, UnixTime now,
      const std::optional<Extension>& extension = std::nullopt);

  [[nodiscard]] const Bytes& leaf_der() const noexcept { return leaf_der_; }
  // SHA-256 of the DER form of the own certificate (RFC 8122 §5).
  [[nodiscard]] const Sha256Digest& fingerprint() const noexcept { return fingerprint_; }
  // For display.
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
  [[nodiscard]] UnixTime not_before() const { return valid_from(*leaf_); }
  [[nodiscard]] UnixTime not_after() const { return valid_until(*leaf_); }
  [[nodiscard]] bool is_valid_at(UnixTime now) const { return not_before() <= now && now <= not_after(); }
  // The own certificate alone, without the key.
  [[nodiscard]] std::string certificate_pem() const { return crypto::certificate_pem(*leaf_); }

  // Makes it the identity of every session of an OpenSSL context; for crypto/ itself. certificate_unreadable if the key
  // is too weak.
  [[nodiscard]] Result<void> install(ssl_ctx_st& context) const;

 private:
  TlsIdentity(std::vector<Certificate> chain, OpensslPtr<evp_pkey_st> key);

  Certificate leaf_;
  std::vector<Certificate> issuers_;
  OpensslPtr<evp_pkey_st> key_;
  Bytes leaf_der_;
  Sha256Digest fingerprint_;
  std::vector<std::string> names_;
};

}  // namespace dig::crypto
