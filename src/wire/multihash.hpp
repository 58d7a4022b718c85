// SPDX-License-Identifier: Apache-2.0
// A digest that says which function made it: uvarint code, uvarint length, digest (multihash specification).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig {

// Codes of the multicodec table.
inline constexpr std::uint64_t k_multihash_identity = 0x00;
inline constexpr std::uint64_t k_multihash_sha2_256 = 0x12;
inline constexpr std::size_t k_max_multihash_digest = 128;

// The digest is a view into the bytes it was decoded from.
struct Multihash {
  std::uint64_t code = 0;
  BytesView digest;

  // Exactly one multihash. The length is checked against k_max_multihash_digest, and for SHA-256 against 32.
  [[nodiscard]] static Result<Multihash> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
};

}  // namespace dig
