// SPDX-License-Identifier: Apache-2.0
// Manifests: nothing is called owner-signed unless it is, byte for byte, what the owner signs for the same fields.
#include <cstdlib>

#include "base/rng.hpp"
#include "store/manifest_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dig;
  using namespace dig::store;
  static const Identity owner = [] {
    SeededRng rng(1);
    return Identity::generate(rng);
  }();
  static const RootHash root{SeededRng(2).array<32>()};
  static const StoreId store_id = derive_store_id(owner.public_key(), salt_for_root(root));

  const auto signed_manifest = SignedManifest::decode(std::as_bytes(std::span(data, size)));
  if (!signed_manifest) return 0;
  const auto checked = verify_manifest(*signed_manifest, store_id, std::nullopt);
  if (checked && checked->trust == Trust::owner_signed) {
    const Manifest& m = checked->manifest;
    if (*signed_manifest != make_manifest(owner, m.salt, m.root, m.size, m.sequence)) std::abort();
  }
  if (checked && checked->trust == Trust::pinned) std::abort();
  const auto manifest = Manifest::decode(signed_manifest->manifest);
  if (manifest) (void)verify_manifest(*signed_manifest, manifest->store_id, manifest->root);
  return 0;
}
