// SPDX-License-Identifier: Apache-2.0
// SHA-256, HMAC and HKDF. Cheap for small inputs: a Merkle tree hashes 65 bytes at a time, a STUN server checks a MAC a
// packet. SHA-1 and MD5 are here only because STUN (RFC 8489 §9.2.2, §14.5) and the handshake of WebSocket (RFC 6455
// §4.2.2) have no way without them.
#pragma once

#include <array>
#include <initializer_list>

#include "base/bytes.hpp"
#include "crypto/openssl_ptr.hpp"

namespace dig::crypto {

using Sha256Digest = std::array<std::byte, 32>;

// The digest of the concatenation of the parts.
[[nodiscard]] Sha256Digest sha256(std::initializer_list<BytesView> parts);
[[nodiscard]] Sha256Digest sha256(BytesView input);

class Sha256 {
 public:
  Sha256();
  void update(BytesView input);
  // Also starts anew: the object can be used for the next input without another allocation.
  [[nodiscard]] Sha256Digest finish();

 private:
  OpensslPtr<evp_md_ctx_st> context_;
};

[[nodiscard]] Sha256Digest hmac_sha256(BytesView key, BytesView input);
// Of the concatenation of the parts.
[[nodiscard]] Sha256Digest hmac_sha256(BytesView key, std::initializer_list<BytesView> parts);

using Sha1Digest = std::array<std::byte, 20>;
[[nodiscard]] Sha1Digest sha1(std::initializer_list<BytesView> parts);
[[nodiscard]] Sha1Digest hmac_sha1(BytesView key, std::initializer_list<BytesView> parts);

using Md5Digest = std::array<std::byte, 16>;
[[nodiscard]] Md5Digest md5(std::initializer_list<BytesView> parts);

// RFC 5869, out.size() <= 255 * 32. With an empty `info` and 64 bytes of output this is Noise's HKDF with two outputs
// (Noise §4.3: the chaining key is the salt).
void hkdf_sha256(BytesView salt, BytesView input, BytesView info, MutableBytes out);

}  // namespace dig::crypto
