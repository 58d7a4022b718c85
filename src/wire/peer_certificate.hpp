// SPDX-License-Identifier: Apache-2.0
// X.509 certificates that name a peer (libp2p TLS spec): self-signed, with the peer's public key and its signature over
// the certificate's own key in an extension.
#pragma once

#include <memory>

#include "crypto/tls_identity.hpp"
#include "wire/identity.hpp"

namespace dig {

// A fresh key and its certificate, bound to this identity. It is valid from the year 2000 to the year 2100, whatever
// the clock says: neither end needs to know the time, and what it proves does not depend on it.
[[nodiscard]] std::shared_ptr<const crypto::TlsIdentity> make_peer_certificate(const Identity& identity);

// Whom a certificate names. `leaf`: DER. certificate_refused: it names nobody, or without his signature.
[[nodiscard]] Result<PeerId> peer_of_certificate(BytesView leaf);

// The content of the extension: SEQUENCE {publicKey OCTET STRING, signature OCTET STRING}. `spki`: the certificate's
// key, DER SubjectPublicKeyInfo.
[[nodiscard]] Bytes encode_signed_key(const Identity& identity, BytesView spki);
// malformed, bad_public_key, bad_signature.
[[nodiscard]] Result<PeerId> verify_signed_key(BytesView content, BytesView spki);

}  // namespace dig
