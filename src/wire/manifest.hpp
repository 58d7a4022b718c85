// SPDX-License-Identifier: Apache-2.0
// What one version of a store is: its id, root hash and size, and for stores with an owner the owner's key and
// signature. Only the codec is here; who signed what for whom is checked in store/manifest.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/hash256.hpp"
#include "wire/public_key.hpp"

namespace dig {

// Far above any store and far below where arithmetic on offsets could overflow.
inline constexpr std::uint64_t k_max_archive_size = std::uint64_t{1} << 50;

struct Manifest {
  static constexpr std::size_t max_encoded_size = 512;
  static constexpr std::size_t max_salt = 64;

  StoreId store_id;
  RootHash root;
  std::uint64_t size = 0;              // archive bytes, at most k_max_archive_size
  std::uint64_t sequence = 0;          // rises with each version the owner signs
  std::optional<PublicKey> owner_key;  // Ed25519; absent when no owner is known
  Bytes salt;                          // store_id = SHA-256(owner key || salt)

  [[nodiscard]] static Result<Manifest> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// The manifest stays in the encoded form it was signed in: decoding and encoding again might change bytes.
struct SignedManifest {
  static constexpr std::size_t max_encoded_size = 1024;
  static constexpr std::size_t signature_size = 64;  // Ed25519

  Bytes manifest;
  Bytes signature;  // empty when the store has no owner

  // The inner manifest must decode too.
  [[nodiscard]] static Result<SignedManifest> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const SignedManifest&, const SignedManifest&) = default;
};

}  // namespace dig
