// SPDX-License-Identifier: Apache-2.0
#include "wire/public_key.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"

namespace dig {
namespace {

Bytes hex(std::string_view text) { return from_hex(text).value(); }

bool is_refused(const Bytes& encoded) {
  const auto key = PublicKey::decode(encoded);
  return !key && key.error().code() == Errc::bad_public_key;
}

TEST(PublicKey, EncodesTypeThenData) {
  const PublicKey key = PublicKey::ed25519(Bytes(32, std::byte{7}));
  const Bytes encoded = key.encode();
  EXPECT_EQ(to_hex(encoded), "08011220" + to_hex(Bytes(32, std::byte{7})));
  EXPECT_EQ(PublicKey::decode(encoded).value(), key);
}

TEST(PublicKey, AcceptsEachTypeAtTheSizesItMayHave) {
  const struct {
    KeyType type;
    std::size_t smallest, largest;
  } cases[] = {
      {KeyType::rsa, 1, 1024}, {KeyType::ed25519, 32, 32}, {KeyType::secp256k1, 33, 33}, {KeyType::ecdsa, 1, 256}};
  for (const auto& [type, smallest, largest] : cases) {
    for (std::size_t size = 0; size <= 1026; ++size) {
      const PublicKey key{type, Bytes(size, std::byte{3})};
      const auto decoded = PublicKey::decode(key.encode());
      ASSERT_EQ(decoded.has_value(), size >= smallest && size <= largest) << static_cast<int>(type) << ' ' << size;
      if (decoded) {
        EXPECT_EQ(*decoded, key);
      }
    }
  }
}

TEST(PublicKey, RefusesEveryPrefixAndTrailingBytes) {
  Bytes encoded = PublicKey::ed25519(Bytes(32, std::byte{7})).encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_TRUE(is_refused(Bytes(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(size)))) << size;
  }
  encoded.push_back(std::byte{0});
  EXPECT_TRUE(is_refused(encoded));
}

TEST(PublicKey, RefusesEverythingThatIsNotTheCanonicalEncoding) {
  const std::string data(64, '7');
  EXPECT_FALSE(is_refused(hex("08011220" + data)));
  EXPECT_TRUE(is_refused(hex("1220" + data + "0801")));  // the other order
  EXPECT_TRUE(is_refused(hex("0881001220" + data)));     // a varint that is not minimal
  EXPECT_TRUE(is_refused(hex("080112a000" + data)));
  EXPECT_TRUE(is_refused(hex("080108011220" + data)));       // a field twice
  EXPECT_TRUE(is_refused(hex("08011220" + data + "1801")));  // an unknown field
  EXPECT_TRUE(is_refused(hex("1220" + data)));               // no type
  EXPECT_TRUE(is_refused(hex("0801")));                      // no data
  EXPECT_TRUE(is_refused(hex("08041220" + data)));           // unknown types
  EXPECT_TRUE(is_refused(hex("08631220" + data)));
  EXPECT_TRUE(is_refused(hex("08ffffffffffffffff7f1220" + data)));
}

TEST(PublicKey, RefusesLyingLengths) {
  const std::string data(64, '7');
  EXPECT_TRUE(is_refused(hex("0801121f" + data)));
  EXPECT_TRUE(is_refused(hex("08011221" + data)));
  EXPECT_TRUE(is_refused(hex("080012ffffffffffffffff7f" + data)));
  EXPECT_TRUE(is_refused(hex("0800128108" + data)));  // 1025 announced
}

}  // namespace
}  // namespace dig
