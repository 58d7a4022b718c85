// SPDX-License-Identifier: Apache-2.0
#include "wire/manifest.hpp"

#include <gtest/gtest.h>

#include "manifest.pb.h"
#include "wire/protobuf.hpp"

namespace dig {
namespace {

Manifest owned_manifest() {
  Manifest manifest;
  manifest.store_id.bytes.fill(std::byte{1});
  manifest.root.bytes.fill(std::byte{2});
  manifest.size = 123456789;
  manifest.sequence = 7;
  manifest.owner_key = PublicKey::ed25519(Bytes(32, std::byte{3}));
  manifest.salt = Bytes(Manifest::max_salt, std::byte{4});
  return manifest;
}

pb::Manifest owned_message() { return parse_protobuf<pb::Manifest>(owned_manifest().encode(), 4096).value(); }

Errc error_of(const pb::Manifest& message) {
  const auto manifest = Manifest::decode(serialise_protobuf(message));
  EXPECT_FALSE(manifest);
  return manifest ? Errc::internal : manifest.error().code();
}

TEST(Manifest, RoundTripsWithAndWithoutOwner) {
  EXPECT_EQ(Manifest::decode(owned_manifest().encode()).value(), owned_manifest());
  Manifest ownerless;
  ownerless.root.bytes.fill(std::byte{9});
  EXPECT_EQ(Manifest::decode(ownerless.encode()).value(), ownerless);
}

TEST(Manifest, EncodesTheSameBytesEachTime) { EXPECT_EQ(owned_manifest().encode(), owned_manifest().encode()); }

TEST(Manifest, RefusesHashesOfOtherSizes) {
  for (std::size_t size = 0; size <= 66; ++size) {
    if (size == 32) continue;
    pb::Manifest message = owned_message();
    message.set_store_id(std::string(size, 'x'));
    EXPECT_EQ(error_of(message), Errc::malformed);
    message = owned_message();
    message.set_root(std::string(size, 'x'));
    EXPECT_EQ(error_of(message), Errc::malformed);
  }
}

TEST(Manifest, RefusesMissingFields) {
  pb::Manifest message = owned_message();
  message.clear_store_id();
  EXPECT_EQ(error_of(message), Errc::malformed);
  message = owned_message();
  message.clear_root();
  EXPECT_EQ(error_of(message), Errc::malformed);
  message = owned_message();
  message.clear_size();
  EXPECT_EQ(error_of(message), Errc::malformed);
  EXPECT_EQ(Manifest::decode({}).error().code(), Errc::malformed);
}

TEST(Manifest, BoundsTheSizeOfTheStore) {
  pb::Manifest message = owned_message();
  message.set_size(k_max_archive_size);
  EXPECT_TRUE(Manifest::decode(serialise_protobuf(message)));
  message.set_size(k_max_archive_size + 1);
  EXPECT_EQ(error_of(message), Errc::malformed);
  message.set_size(~0ULL);
  EXPECT_EQ(error_of(message), Errc::malformed);
}

TEST(Manifest, RefusesLongSalts) {
  pb::Manifest message = owned_message();
  message.set_salt(std::string(Manifest::max_salt + 1, 's'));
  EXPECT_EQ(error_of(message), Errc::oversized);
}

TEST(Manifest, RefusesOwnersWithOtherKeys) {
  pb::Manifest message = owned_message();
  message.set_owner_key("");
  EXPECT_EQ(error_of(message), Errc::bad_public_key);
  message.set_owner_key(to_field(PublicKey{KeyType::secp256k1, Bytes(33, std::byte{2})}.encode()));
  EXPECT_EQ(error_of(message), Errc::bad_public_key);
  message.set_owner_key(to_field(PublicKey::ed25519(Bytes(32)).encode()) + "x");
  EXPECT_EQ(error_of(message), Errc::bad_public_key);
}

TEST(Manifest, RefusesMessagesAboveTheCapAndEveryCutOne) {
  Bytes encoded = owned_manifest().encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    const auto cut = Manifest::decode(BytesView(encoded).first(size));
    if (cut) {
      EXPECT_NE(*cut, owned_manifest());
    }
  }
  encoded.resize(Manifest::max_encoded_size + 1);
  EXPECT_EQ(Manifest::decode(encoded).error().code(), Errc::oversized);
}

TEST(SignedManifest, KeepsTheSignedBytesAsTheyCame) {
  Bytes manifest = owned_manifest().encode();
  manifest.insert(manifest.end(), {std::byte{0x98}, std::byte{0x06}, std::byte{0x01}});  // an unknown field, 99
  const SignedManifest original{manifest, Bytes(64, std::byte{5})};
  const auto decoded = SignedManifest::decode(original.encode());
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, original);
}

TEST(SignedManifest, TakesASignatureOf64BytesOrNone) {
  for (std::size_t size = 0; size <= 129; ++size) {
    const SignedManifest message{owned_manifest().encode(), Bytes(size, std::byte{5})};
    EXPECT_EQ(SignedManifest::decode(message.encode()).has_value(), size == 0 || size == 64) << size;
  }
}

TEST(SignedManifest, RefusesAnInnerManifestThatIsNone) {
  EXPECT_FALSE(SignedManifest::decode({}));
  EXPECT_FALSE(SignedManifest::decode(SignedManifest{to_bytes("no manifest"), {}}.encode()));
  EXPECT_EQ(SignedManifest::decode(Bytes(SignedManifest::max_encoded_size + 1)).error().code(), Errc::oversized);
}

}  // namespace
}  // namespace dig
