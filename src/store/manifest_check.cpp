// SPDX-License-Identifier: Apache-2.0
#include "store/manifest_check.hpp"

#include "crypto/hash.hpp"
#include "store/merkle.hpp"

namespace dig::store {
namespace {

constexpr std::string_view k_signature_domain = "dignet-store-manifest:";
constexpr std::string_view k_salt_domain = "dignet-store-salt:";

Bytes signed_bytes(BytesView manifest) {
  Bytes bytes = to_bytes(k_signature_domain);
  append(bytes, manifest);
  return bytes;
}

Result<void> check_owner(const Manifest& manifest, BytesView encoded, BytesView signature) {
  if (derive_store_id(*manifest.owner_key, manifest.salt) != manifest.store_id) {
    return fail(Errc::manifest_mismatch, "the owner's key does not make the store id");
  }
  return verify_signature(*manifest.owner_key, signed_bytes(encoded), signature);
}

}  // namespace

Result<CheckedManifest> verify_manifest(const SignedManifest& signed_manifest, const StoreId& expected,
                                        const std::optional<RootHash>& pinned) {
  DIG_TRY(const Manifest manifest, Manifest::decode(signed_manifest.manifest));
  if (manifest.store_id != expected) return fail(Errc::manifest_mismatch, "it is of another store");
  if (pinned && manifest.root != *pinned) return fail(Errc::manifest_mismatch, "it has another root hash");
  if (manifest.size > k_max_store_size) return fail(Errc::manifest_mismatch, "it claims more than 4 TiB");
  if (manifest.owner_key.has_value() == signed_manifest.signature.empty()) {
    return fail(Errc::manifest_mismatch, "an owner key and a signature belong together");
  }
  if (manifest.owner_key) {
    DIG_CHECK(check_owner(manifest, signed_manifest.manifest, signed_manifest.signature));
    return CheckedManifest{manifest, Trust::owner_signed};
  }
  return CheckedManifest{manifest, pinned ? Trust::pinned : Trust::unpinned};
}

StoreId derive_store_id(const PublicKey& owner, BytesView salt) {
  Bytes input = owner.encode();
  append(input, salt);
  return StoreId{crypto::sha256(input)};
}

Bytes salt_for_root(const RootHash& first_root) {
  Bytes input = to_bytes(k_salt_domain);
  append(input, first_root.bytes);
  return to_bytes(crypto::sha256(input));
}

SignedManifest make_manifest(const Identity& owner, BytesView salt, const RootHash& root, std::uint64_t size,
                             std::uint64_t sequence) {
  const Manifest manifest{.store_id = derive_store_id(owner.public_key(), salt),
                          .root = root,
                          .size = size,
                          .sequence = sequence,
                          .owner_key = owner.public_key(),
                          .salt = to_bytes(salt)};
  SignedManifest out{.manifest = manifest.encode(), .signature = {}};
  out.signature = to_bytes(owner.sign(signed_bytes(out.manifest)));
  return out;
}

SignedManifest make_unsigned_manifest(const StoreId& store_id, const RootHash& root, std::uint64_t size) {
  const Manifest manifest{
      .store_id = store_id, .root = root, .size = size, .sequence = 0, .owner_key = std::nullopt, .salt = {}};
  return {.manifest = manifest.encode(), .signature = {}};
}

}  // namespace dig::store
