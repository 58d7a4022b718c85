// SPDX-License-Identifier: Apache-2.0
// Making and checking manifests: what ties a root hash and a size to a store id (design §7).
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "wire/hash256.hpp"
#include "wire/identity.hpp"
#include "wire/manifest.hpp"

namespace dig::store {

// Why a root hash is believed to be the store's.
enum class Trust : std::uint8_t {
  unpinned,      // nothing but the holder's word: accepted only when the user asks for it
  pinned,        // the URN named the root
  owner_signed,  // the owner's key, from which the store id derives, signed it (pinned or not)
};

struct CheckedManifest {
  Manifest manifest;
  Trust trust = Trust::unpinned;
};

// Errors: malformed; manifest_mismatch (another store, another root than `pinned`, an owner key that does not make
// the store id, an impossible size); bad_signature. A manifest with only one of owner key and signature is refused.
[[nodiscard]] Result<CheckedManifest> verify_manifest(const SignedManifest& signed_manifest, const StoreId& expected,
                                                      const std::optional<RootHash>& pinned);

// SHA-256(encoded owner key || salt).
[[nodiscard]] StoreId derive_store_id(const PublicKey& owner, BytesView salt);
// The salt of a store made here: derived from its first root, so that adding the same folder twice gives one store.
[[nodiscard]] Bytes salt_for_root(const RootHash& first_root);

[[nodiscard]] SignedManifest make_manifest(const Identity& owner, BytesView salt, const RootHash& root,
                                           std::uint64_t size, std::uint64_t sequence);
// For a store whose owner is not known here.
[[nodiscard]] SignedManifest make_unsigned_manifest(const StoreId& store_id, const RootHash& root, std::uint64_t size);

}  // namespace dig::store
