// SPDX-License-Identifier: Apache-2.0
#include "wire/multihash.hpp"

#include <gtest/gtest.h>

#include "base/base_encoding.hpp"

namespace dig {
namespace {

TEST(Multihash, RoundTrips) {
  const Bytes digest(32, std::byte{5});
  const Bytes encoded = Multihash{k_multihash_sha2_256, digest}.encode();
  EXPECT_EQ(to_hex(encoded), "1220" + to_hex(digest));
  const auto decoded = Multihash::decode(encoded);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->code, k_multihash_sha2_256);
  EXPECT_TRUE(equal(decoded->digest, digest));
  EXPECT_EQ(Multihash::decode(*from_hex("b22000")).value().code, 0x1032U);  // a code of two bytes, an empty digest
}

TEST(Multihash, RefusesEveryPrefixAndTrailingBytes) {
  Bytes encoded = Multihash{k_multihash_sha2_256, Bytes(32)}.encode();
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(Multihash::decode(BytesView(encoded).first(size))) << size;
  }
  encoded.push_back(std::byte{0});
  EXPECT_FALSE(Multihash::decode(encoded));
}

TEST(Multihash, BoundsTheDigest) {
  const Bytes largest(k_max_multihash_digest, std::byte{1});
  EXPECT_TRUE(Multihash::decode(Multihash{0x13, largest}.encode()));
  const Bytes larger(k_max_multihash_digest + 1, std::byte{1});
  EXPECT_EQ(Multihash::decode(Multihash{0x13, larger}.encode()).error().code(), Errc::oversized);
  EXPECT_EQ(Multihash::decode(*from_hex("12ffffffffffffffff7f")).error().code(), Errc::oversized);
}

TEST(Multihash, WantsAFullSha256) {
  EXPECT_FALSE(Multihash::decode(Multihash{k_multihash_sha2_256, Bytes(31)}.encode()));
  EXPECT_FALSE(Multihash::decode(Multihash{k_multihash_sha2_256, Bytes(33)}.encode()));
  EXPECT_FALSE(
      Multihash::decode(*from_hex("9200"
                                  "20" +
                                  std::string(64, '0'))))
      << "a code that is not minimal";
}

}  // namespace
}  // namespace dig
