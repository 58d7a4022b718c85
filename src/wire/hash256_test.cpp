// SPDX-License-Identifier: Apache-2.0
#include "wire/hash256.hpp"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace dig {
namespace {

TEST(Hash256, ReadsBackItsHex) {
  const std::string text = "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f";
  const auto hash = Hash256::from_hex(text);
  ASSERT_TRUE(hash);
  EXPECT_EQ(hash->to_hex(), text);
  EXPECT_EQ(hash->view()[1], std::byte{0x11});
  EXPECT_EQ(Hash256::from_hex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F").value(), *hash);
}

TEST(Hash256, RefusesOtherSizesAndCharacters) {
  for (std::size_t size = 0; size <= 130; ++size) {
    EXPECT_EQ(Hash256::from_hex(std::string(size, 'a')).has_value(), size == 64) << size;
  }
  for (std::size_t size = 0; size <= 65; ++size) {
    EXPECT_EQ(Hash256::from_bytes(Bytes(size)).has_value(), size == 32) << size;
  }
  EXPECT_FALSE(Hash256::from_hex(std::string(63, 'a') + "g"));
  EXPECT_FALSE(Hash256::from_hex("0x" + std::string(62, 'a')));
}

TEST(Hash256, ComparesAndHashesByValue) {
  const auto a = StoreId::from_hex(std::string(64, 'a')).value();
  const auto b = StoreId::from_hex(std::string(64, 'b')).value();
  EXPECT_LT(a, b);
  EXPECT_TRUE(StoreId().is_zero());
  EXPECT_FALSE(a.is_zero());
  const std::unordered_set<StoreId> set = {a, b, a};
  EXPECT_EQ(set.size(), 2U);
}

TEST(Hash256, KeepsItsKindsApart) {
  static_assert(!std::is_convertible_v<StoreId, RootHash>);
  static_assert(!std::is_convertible_v<Hash256, StoreId>);
  static_assert(sizeof(StoreId) == 32);
}

}  // namespace
}  // namespace dig
