// SPDX-License-Identifier: Apache-2.0
#include "wire/manifest.hpp"

#include "manifest.pb.h"
#include "wire/protobuf.hpp"

namespace dig {

Result<Manifest> Manifest::decode(BytesView bytes) {
  DIG_TRY(const pb::Manifest message, parse_protobuf<pb::Manifest>(bytes, max_encoded_size));
  Manifest manifest;
  DIG_TRY(manifest.store_id, StoreId::from_bytes(as_bytes(message.store_id())));
  DIG_TRY(manifest.root, RootHash::from_bytes(as_bytes(message.root())));
  if (!message.has_size() || message.size() > k_max_archive_size)
    return fail(Errc::malformed, "an impossible store size");
  manifest.size = message.size();
  manifest.sequence = message.sequence();
  if (message.has_owner_key()) {
    DIG_TRY(PublicKey key, PublicKey::decode(as_bytes(message.owner_key())));
    if (key.type != KeyType::ed25519) return fail(Errc::bad_public_key, "the owner of a store has an Ed25519 key");
    manifest.owner_key = std::move(key);
  }
  if (message.salt().size() > max_salt) return fail(Errc::oversized, "the salt of a store is too long");
  manifest.salt = to_bytes(message.salt());
  return manifest;
}

Bytes Manifest::encode() const {
  pb::Manifest message;
  message.set_store_id(to_field(store_id.bytes));
  message.set_root(to_field(root.bytes));
  message.set_size(size);
  message.set_sequence(sequence);
  if (owner_key) message.set_owner_key(to_field(owner_key->encode()));
  if (!salt.empty()) message.set_salt(to_field(salt));
  return serialise_protobuf(message);
}

Result<SignedManifest> SignedManifest::decode(BytesView bytes) {
  DIG_TRY(const pb::SignedManifest message, parse_protobuf<pb::SignedManifest>(bytes, max_encoded_size));
  SignedManifest result{to_bytes(message.manifest()), to_bytes(message.signature())};
  DIG_CHECK(Manifest::decode(result.manifest));
  if (!result.signature.empty() && result.signature.size() != signature_size) {
    return fail(Errc::malformed, "a signature of another size");
  }
  return result;
}

Bytes SignedManifest::encode() const {
  pb::SignedManifest message;
  message.set_manifest(to_field(manifest));
  if (!signature.empty()) message.set_signature(to_field(signature));
  return serialise_protobuf(message);
}

}  // namespace dig
