// SPDX-License-Identifier: Apache-2.0
#include "wire/identity.hpp"

#include <gtest/gtest.h>

#include "crypto/hash.hpp"
#include "crypto/testing/hex.hpp"
#include "crypto/testing/key_vectors.hpp"

namespace dig {
namespace {

using namespace crypto::testing;

// The test vectors of the libp2p peer-ids specification.
constexpr std::string_view k_private_key_file =
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3c"
    "acf6010f0e42d474fce27e";

struct Vector {
  KeyType type;
  std::string_view key, protobuf_prefix, peer_id, signature;
};
constexpr Vector k_vectors[] = {
    {KeyType::ed25519, k_ed_pub, "08011220", "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq", k_ed_sig},
    {KeyType::secp256k1, k_secp_point, "08021221", "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY", k_secp_sig},
    {KeyType::ecdsa, k_ecdsa_spki, "0803125b", "QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgDk", k_ecdsa_sig},
    {KeyType::rsa, k_rsa_spki, "080012a604", "QmaeANgBs1DTSxWSrPPtobgQuxW8XTfsS4ydbK4rCHzqxG", k_rsa_sig},
};

Bytes signed_message() {
  Bytes message = to_bytes(k_signed_text);
  for (int i = 0; i < 32; ++i) message.push_back(static_cast<std::byte>(i));
  return message;
}

TEST(PublicKeyVectors, AllFourKeyTypesHaveThePublishedFormAndPeerId) {
  for (const Vector& vector : k_vectors) {
    const PublicKey key{vector.type, from_hex(vector.key)};
    const std::string encoded = std::string(vector.protobuf_prefix) + std::string(vector.key);
    EXPECT_EQ(to_hex(key.encode()), encoded);
    EXPECT_EQ(PublicKey::decode(from_hex(encoded)).value(), key);
    EXPECT_EQ(PeerId::from_public_key(key).to_string(), vector.peer_id);
  }
}

TEST(VerifySignature, AllFourKeyTypesVerify) {
  Bytes message = signed_message();
  for (const Vector& vector : k_vectors) {
    const PublicKey key{vector.type, from_hex(vector.key)};
    EXPECT_TRUE(check_public_key(key).has_value()) << vector.peer_id;
    EXPECT_TRUE(verify_signature(key, message, from_hex(vector.signature)).has_value()) << vector.peer_id;
  }
  message[0] ^= std::byte{1};
  for (const Vector& vector : k_vectors) {
    const auto verified = verify_signature({vector.type, from_hex(vector.key)}, message, from_hex(vector.signature));
    EXPECT_EQ(verified.error().code(), Errc::bad_signature) << vector.peer_id;
  }
}

TEST(VerifySignature, AKeyOfAnotherTypeIsRefused) {
  for (const Vector& vector : k_vectors) {
    for (const KeyType type : {KeyType::rsa, KeyType::ed25519, KeyType::secp256k1, KeyType::ecdsa}) {
      if (type == vector.type) continue;
      const PublicKey key{type, from_hex(vector.key)};
      EXPECT_EQ(verify_signature(key, {}, {}).error().code(), Errc::bad_public_key);
      EXPECT_EQ(check_public_key(key).error().code(), Errc::bad_public_key);
    }
  }
  EXPECT_EQ(check_public_key({static_cast<KeyType>(99), {}}).error().code(), Errc::bad_public_key);
  EXPECT_EQ(verify_signature({static_cast<KeyType>(99), {}}, {}, {}).error().code(), Errc::bad_public_key);
}

TEST(Identity, FollowsFromTheSeed) {
  const auto identity = Identity::from_seed(from_hex(k_ed_seed));
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(to_hex(identity->public_key().data), k_ed_pub);
  EXPECT_EQ(identity->peer_id().to_string(), "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq");
  EXPECT_EQ(to_hex(identity->sign(signed_message())), k_ed_sig);
  EXPECT_EQ(Identity::from_seed(Bytes(31)).error().code(), Errc::invalid_argument);
}

TEST(CryptoIpv6, IsFd00AndBytes2To15OfTheDigestOfTheKey) {
  const Identity identity = Identity::from_seed(from_hex(k_ed_seed)).value();
  const auto digest = crypto::sha256(from_hex(k_ed_pub));
  const IpAddress address = identity.crypto_ipv6();
  EXPECT_EQ(address, crypto_ipv6(identity.public_key()));
  EXPECT_EQ(to_hex(address.bytes()), "fd00" + to_hex(BytesView(digest).subspan(2, 14)));
  EXPECT_EQ(to_hex(address.bytes()), "fd00e4d91af5f19ca75ecd49f5596d95");
}

TEST(IdentityFile, HasTheFormOfOtherLibp2pPrograms) {
  const auto identity = decode_identity_file(from_hex(k_private_key_file));
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(to_hex(identity->public_key().data), k_ed_pub);
  EXPECT_EQ(to_hex(encode_identity_file(*identity).view()), k_private_key_file);
}

TEST(IdentityFile, EveryOtherSizeIsRefused) {
  Bytes content = from_hex(k_private_key_file);
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_EQ(decode_identity_file(BytesView(content).first(size)).error().code(), Errc::identity_malformed) << size;
  }
  content.push_back(std::byte{'\n'});
  EXPECT_EQ(decode_identity_file(content).error().code(), Errc::identity_malformed);
}

TEST(IdentityFile, EveryFlippedByteIsRefused) {
  Bytes content = from_hex(k_private_key_file);
  for (auto& byte : content) {
    byte ^= std::byte{1};
    EXPECT_EQ(decode_identity_file(content).error().code(), Errc::identity_malformed);
    byte ^= std::byte{1};
  }
}

}  // namespace
}  // namespace dig
