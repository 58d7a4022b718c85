// SPDX-License-Identifier: Apache-2.0
#include "store/manifest_check.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "store/merkle.hpp"

namespace dig::store {
namespace {

struct ManifestCheck : testing::Test {
  SeededRng rng{1};
  Identity owner = Identity::generate(rng);
  Identity other = Identity::generate(rng);
  RootHash root{rng.array<32>()};
  RootHash second_root{rng.array<32>()};
  Bytes salt = salt_for_root(root);
  StoreId store_id = derive_store_id(owner.public_key(), salt);
  SignedManifest good = make_manifest(owner, salt, root, 1000, 7);

  static Errc code(const Result<CheckedManifest>& result) { return result ? Errc::internal : result.error().code(); }
  SignedManifest changed(void (*change)(Manifest&)) {
    Manifest manifest = *Manifest::decode(good.manifest);
    change(manifest);
    return {manifest.encode(), good.signature};
  }
};

TEST_F(ManifestCheck, AnOwnersManifestIsAccepted) {
  const auto checked = verify_manifest(good, store_id, std::nullopt);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->trust, Trust::owner_signed);
  EXPECT_EQ(checked->manifest.root, root);
  EXPECT_EQ(checked->manifest.size, 1000U);
  EXPECT_EQ(checked->manifest.sequence, 7U);
  EXPECT_TRUE(verify_manifest(good, store_id, root));
}

TEST_F(ManifestCheck, AManifestOfAnotherStoreOrRootIsRefused) {
  EXPECT_EQ(code(verify_manifest(good, StoreId{rng.array<32>()}, std::nullopt)), Errc::manifest_mismatch);
  EXPECT_EQ(code(verify_manifest(good, store_id, second_root)), Errc::manifest_mismatch);
}

TEST_F(ManifestCheck, AChangedManifestDoesNotVerify) {
  EXPECT_EQ(code(verify_manifest(changed([](Manifest& m) { m.size = 1001; }), store_id, {})), Errc::bad_signature);
  EXPECT_EQ(code(verify_manifest(changed([](Manifest& m) { m.sequence = 8; }), store_id, {})), Errc::bad_signature);
  EXPECT_EQ(code(verify_manifest(changed([](Manifest& m) { m.root.bytes[0] ^= std::byte{1}; }), store_id, {})),
            Errc::bad_signature);
  EXPECT_EQ(code(verify_manifest(changed([](Manifest& m) { m.salt[0] ^= std::byte{1}; }), store_id, {})),
            Errc::manifest_mismatch);
}

TEST_F(ManifestCheck, EveryFlippedBitOfTheSignatureIsNoticed) {
  for (std::size_t i = 0; i < good.signature.size(); ++i) {
    SignedManifest bad = good;
    bad.signature[i] ^= std::byte{0x10};
    EXPECT_EQ(code(verify_manifest(bad, store_id, {})), Errc::bad_signature);
  }
}

TEST_F(ManifestCheck, AnotherKeyCannotSignForTheStore) {
  const SignedManifest foreign = make_manifest(other, salt, root, 1000, 9);
  EXPECT_EQ(code(verify_manifest(foreign, store_id, root)), Errc::manifest_mismatch);
  Manifest forged = *Manifest::decode(foreign.manifest);
  forged.store_id = store_id;
  EXPECT_EQ(code(verify_manifest({forged.encode(), foreign.signature}, store_id, root)), Errc::manifest_mismatch);
}

TEST_F(ManifestCheck, OwnerKeyAndSignatureBelongTogether) {
  EXPECT_EQ(code(verify_manifest({good.manifest, {}}, store_id, root)), Errc::manifest_mismatch);
  SignedManifest unsigned_one = make_unsigned_manifest(store_id, root, 1000);
  unsigned_one.signature = good.signature;
  EXPECT_EQ(code(verify_manifest(unsigned_one, store_id, root)), Errc::manifest_mismatch);
}

TEST_F(ManifestCheck, WithoutAnOwnerOnlyAPinnedRootIsTrusted) {
  const SignedManifest unsigned_one = make_unsigned_manifest(store_id, root, 1000);
  EXPECT_EQ(verify_manifest(unsigned_one, store_id, root)->trust, Trust::pinned);
  EXPECT_EQ(verify_manifest(unsigned_one, store_id, std::nullopt)->trust, Trust::unpinned);
  EXPECT_EQ(code(verify_manifest(unsigned_one, store_id, second_root)), Errc::manifest_mismatch);
}

TEST_F(ManifestCheck, ImpossibleSizesAreRefused) {
  EXPECT_TRUE(verify_manifest(make_unsigned_manifest(store_id, root, k_max_store_size), store_id, root));
  EXPECT_EQ(code(verify_manifest(make_unsigned_manifest(store_id, root, k_max_store_size + 1), store_id, root)),
            Errc::manifest_mismatch);
}

TEST_F(ManifestCheck, GarbageIsMalformed) {
  EXPECT_FALSE(verify_manifest({}, store_id, root));
  for (std::size_t size = 0; size < good.manifest.size(); ++size) {
    SignedManifest cut = good;
    cut.manifest.resize(size);
    EXPECT_FALSE(verify_manifest(cut, store_id, root));
  }
}

TEST_F(ManifestCheck, TheSaltFollowsFromTheRoot) {
  EXPECT_EQ(salt_for_root(root), salt_for_root(root));
  EXPECT_NE(salt_for_root(root), salt_for_root(second_root));
  EXPECT_NE(derive_store_id(owner.public_key(), salt), derive_store_id(other.public_key(), salt));
}

}  // namespace
}  // namespace dig::store
