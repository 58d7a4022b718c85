// SPDX-License-Identifier: Apache-2.0
// Signatures of peers whose identity is not Ed25519 (libp2p peer-ids spec). They are only verified, never made.
//
// Every function: bad_public_key if the key is not acceptable, bad_signature if the signature does not verify.
// Sizes and encoding are checked before OpenSSL sees a byte; the signed digest is SHA-256.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig::crypto {

// A compressed point of 33 bytes; the signature is DER.
[[nodiscard]] Result<void> secp256k1_verify(BytesView point, BytesView message, BytesView signature);

// NIST P-256 as DER SubjectPublicKeyInfo with the named curve and an uncompressed point (91 bytes); DER signature.
[[nodiscard]] Result<void> ecdsa_p256_verify(BytesView spki, BytesView message, BytesView signature);

// RSA of 2048 to 4096 bits as DER SubjectPublicKeyInfo; PKCS #1 v1.5 signature.
[[nodiscard]] Result<void> rsa_verify(BytesView spki, BytesView message, BytesView signature);

// Whether a key of that kind would be accepted, without a signature.
[[nodiscard]] Result<void> check_secp256k1_key(BytesView point);
[[nodiscard]] Result<void> check_ecdsa_p256_key(BytesView spki);
[[nodiscard]] Result<void> check_rsa_key(BytesView spki);

}  // namespace dig::crypto
