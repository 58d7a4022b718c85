// SPDX-License-Identifier: Apache-2.0
// Manifests: nothing is called owner-signed unless it is, byte for byte, what the owner of the fuzzer's key signed.
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
  static const SignedManifest good = make_manifest(owner, salt_for_root(root), root, 1000, 3);
  static const StoreId store_id = derive_store_id(owner.public_key(), salt_for_root(root));

  const auto signed_manifest = SignedManifest::decode(std::as_bytes(std::span(data, size)));
  if (!signed_manifest) return 0;
  const auto checked = verify_manifest(*signed_manifest, store_id, std::nullopt);
  if (checked && checked->trust == Trust::owner_signed && *signed_manifest != good) std::abort();
  if (checked && checked->trust == Trust::pinned) std::abort();
  const auto manifest = Manifest::decode(signed_manifest->manifest);
  if (manifest) (void)verify_manifest(*signed_manifest, manifest->store_id, manifest->root);
  return 0;
}
