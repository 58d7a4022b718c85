// SPDX-License-Identifier: Apache-2.0
#include "wire/peer_id.hpp"

#include <gtest/gtest.h>

#include <unordered_set>

#include "base/base_encoding.hpp"
#include "crypto/hash.hpp"

namespace dig {
namespace {

PublicKey some_key() { return PublicKey::ed25519(Bytes(32, std::byte{7})); }
PublicKey large_key() { return {KeyType::ecdsa, Bytes(91, std::byte{7})}; }

bool is_refused(std::string_view text) {
  const auto id = PeerId::parse(text);
  return !id && id.error().code() == Errc::bad_peer_id;
}

TEST(PeerId, InlinesEd25519Keys) {
  const PeerId id = PeerId::from_public_key(some_key());
  EXPECT_EQ(to_hex(id.bytes()), "002408011220" + to_hex(some_key().data));
  EXPECT_TRUE(id.to_string().starts_with("12D3KooW"));
  EXPECT_EQ(id.public_key().value(), some_key());
  EXPECT_FALSE(id.empty());
}

TEST(PeerId, InlinesSecp256k1KeysAndHashesLargerOnes) {
  const PublicKey secp{KeyType::secp256k1, Bytes(33, std::byte{2})};
  EXPECT_EQ(PeerId::from_public_key(secp).public_key().value(), secp);
  const PeerId hashed = PeerId::from_public_key(large_key());
  EXPECT_EQ(to_hex(hashed.bytes()), "1220" + to_hex(crypto::sha256(large_key().encode())));
  EXPECT_TRUE(hashed.to_string().starts_with("Qm"));
  EXPECT_FALSE(hashed.public_key());
}

TEST(PeerId, ReadsEveryTextualForm) {
  for (const PublicKey& key : {some_key(), large_key()}) {
    const PeerId id = PeerId::from_public_key(key);
    Bytes cid = {std::byte{0x01}, std::byte{0x72}};
    append(cid, id.bytes());
    EXPECT_EQ(PeerId::parse(id.to_string()).value(), id);
    EXPECT_EQ(PeerId::parse(id.to_cid()).value(), id);
    EXPECT_TRUE(id.to_cid().starts_with("baf"));
    EXPECT_EQ(PeerId::parse(encode_multibase(Base::base36, cid)).value(), id);
    EXPECT_EQ(PeerId::parse(encode_multibase(Base::base58, cid)).value(), id);
    EXPECT_EQ(PeerId::from_bytes(id.bytes()).value(), id);
  }
}

// From the peer-ids specification: the same id as a legacy base58 multihash and as a CIDv1.
TEST(PeerId, TranslatesTheExampleOfTheSpecification) {
  const auto id = PeerId::parse("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->to_cid(), "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe");
  EXPECT_EQ(PeerId::parse(id->to_cid()).value().to_string(), "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N");
  EXPECT_TRUE(PeerId::parse("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"));
}

TEST(PeerId, RefusesEveryPrefixAndTrailingBytes) {
  for (const PublicKey& key : {some_key(), large_key()}) {
    const PeerId id = PeerId::from_public_key(key);
    for (std::size_t size = 0; size < id.bytes().size(); ++size) {
      EXPECT_FALSE(PeerId::from_bytes(id.bytes().first(size))) << size;
    }
    Bytes longer = to_bytes(id.bytes());
    longer.push_back(std::byte{0});
    EXPECT_FALSE(PeerId::from_bytes(longer));
    const std::string text = id.to_string();
    for (std::size_t size = 0; size < text.size(); ++size) EXPECT_TRUE(is_refused(text.substr(0, size))) << size;
  }
}

TEST(PeerId, RefusesOtherMultihashes) {
  const auto refused = [](std::string_view hex) { return !PeerId::from_bytes(from_hex(hex).value()); };
  EXPECT_TRUE(refused("0000"));                          // an empty identity
  EXPECT_TRUE(refused("0020" + std::string(64, '7')));   // an identity that holds no key
  EXPECT_TRUE(refused("0041" + std::string(130, '7')));  // 65 bytes
  EXPECT_TRUE(refused("002b" + std::string(86, '7')));   // 43 bytes: should have been hashed
  EXPECT_TRUE(refused("1120" + std::string(64, '7')));   // SHA-1 code
  EXPECT_TRUE(refused("121f" + std::string(62, '7')));   // a short SHA-256
  EXPECT_TRUE(refused("1221" + std::string(66, '7')));
  EXPECT_TRUE(refused("12a000" + std::string(64, '7')));  // a length that is not minimal
  EXPECT_TRUE(refused("920020" + std::string(64, '7')));  // a code that is not minimal
  EXPECT_FALSE(refused("1220" + std::string(64, '7')));
}

TEST(PeerId, RefusesBadText) {
  const PeerId id = PeerId::from_public_key(some_key());
  for (const std::string& text :
       {std::string(), std::string(" "), id.to_string() + " ", " " + id.to_string(), id.to_string() + "1",
        std::string("0") + id.to_string(), std::string("Qm"), std::string("12D3KooW"),
        std::string("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5O"), std::string("b"), std::string("k"),
        std::string("z"), std::string("m"), std::string("bafz"), std::string(10000, '1'), id.to_cid() + "a",
        encode_multibase(Base::base64, id.bytes())}) {
    EXPECT_TRUE(is_refused(text)) << text.substr(0, 80);
  }
}

TEST(PeerId, RefusesCidsOfOtherThings) {
  const PeerId id = PeerId::from_public_key(large_key());
  const auto cid = [&](std::uint8_t version, std::uint8_t codec) {
    Bytes bytes = {std::byte{version}, std::byte{codec}};
    append(bytes, id.bytes());
    return encode_multibase(Base::base32, bytes);
  };
  EXPECT_FALSE(is_refused(cid(1, 0x72)));
  EXPECT_TRUE(is_refused(cid(1, 0x70)));  // dag-pb
  EXPECT_TRUE(is_refused(cid(1, 0x55)));  // raw
  EXPECT_TRUE(is_refused(cid(0, 0x72)));
  EXPECT_TRUE(is_refused(cid(2, 0x72)));
}

TEST(PeerId, ComparesAndHashesByValue) {
  const PeerId a = PeerId::from_public_key(some_key());
  const PeerId b = PeerId::from_public_key(large_key());
  EXPECT_NE(a, b);
  EXPECT_TRUE(PeerId().empty());
  EXPECT_FALSE(PeerId().public_key());
  const std::unordered_set<PeerId> set = {a, b, a, PeerId()};
  EXPECT_EQ(set.size(), 3U);
}

}  // namespace
}  // namespace dig
