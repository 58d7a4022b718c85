// SPDX-License-Identifier: Apache-2.0
// What crypto/ reads from X.509 certificates (RFC 5280), as plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "crypto/openssl_ptr.hpp"

namespace dig::crypto {

using Certificate = OpensslPtr<x509_st>;

// Every certificate of the PEM text, in order; text between them is ignored. certificate_unreadable if there is none,
// one is damaged, or there are more than `limit`.
[[nodiscard]] Result<std::vector<Certificate>> read_certificates(std::string_view pem, std::size_t limit);

[[nodiscard]] Bytes certificate_der(const x509_st& certificate);
[[nodiscard]] std::string certificate_pem(x509_st& certificate);
// The certificate's key as DER SubjectPublicKeyInfo.
[[nodiscard]] Bytes public_key_der(x509_st& certificate);
[[nodiscard]] UnixTime valid_from(const x509_st& certificate);
[[nodiscard]] UnixTime valid_until(const x509_st& certificate);
// "2026-01-31 12:00:00Z"
[[nodiscard]] std::string valid_from_text(const x509_st& certificate);
[[nodiscard]] std::string valid_until_text(const x509_st& certificate);

// What a self-signed certificate says of its own key.
struct BoundKey {
  Bytes spki;       // DER SubjectPublicKeyInfo
  Bytes extension;  // the content of the one that was asked for
};
// `der` is one certificate and nothing behind it, signed with its own key, and has the extension once. `oid`:
// "1.3.6.1.4.1.…". Its names and dates are not looked at. certificate_refused.
[[nodiscard]] Result<BoundKey> read_bound_key(BytesView der, const std::string& oid);

// The host names and IP addresses for which the certificate stands (subjectAltName), at most 64 of them, made fit for
// display.
[[nodiscard]] std::vector<std::string> certificate_names(const x509_st& certificate);
// For messages: who the certificate is, and who issued it. Bounded; not yet made fit for a terminal (Error does that).
[[nodiscard]] std::string subject_text(const x509_st& certificate);
[[nodiscard]] std::string issuer_text(const x509_st& certificate);

}  // namespace dig::crypto
