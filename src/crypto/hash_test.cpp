// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.hpp"

#include <gtest/gtest.h>

#include "crypto/testing/hex.hpp"

namespace dig::crypto {
namespace {

using testing::from_hex;
using testing::to_hex;

TEST(Sha256, MatchesTheFips180Examples) {
  EXPECT_EQ(to_hex(sha256(BytesView{})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(to_hex(sha256(Bytes(1'000'000, std::byte{'a'}))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, SplitInputGivesTheSameDigest) {
  const auto whole = sha256(as_bytes("abc"));
  EXPECT_EQ(sha256({as_bytes("a"), BytesView{}, as_bytes("bc")}), whole);
  Sha256 hash;
  hash.update(as_bytes("ab"));
  hash.update(as_bytes("c"));
  EXPECT_EQ(hash.finish(), whole);
}

TEST(Sha256, StartsAnewAfterFinish) {
  Sha256 hash;
  hash.update(as_bytes("something else"));
  (void)hash.finish();
  hash.update(as_bytes("abc"));
  EXPECT_EQ(hash.finish(), sha256(as_bytes("abc")));
  EXPECT_EQ(hash.finish(), sha256(BytesView{}));
}

TEST(HmacSha256, MatchesRfc4231) {
  EXPECT_EQ(to_hex(hmac_sha256(Bytes(20, std::byte{0x0b}), as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(Bytes(131, std::byte{0xaa}),
                               as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Sha1, MatchesTheFips180Examples) {
  EXPECT_EQ(to_hex(sha1({})), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(to_hex(sha1({as_bytes("a"), BytesView{}, as_bytes("bc")})), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

Bytes range(int first, int end) {
  Bytes bytes;
  for (int i = first; i < end; ++i) bytes.push_back(static_cast<std::byte>(i));
  return bytes;
}

TEST(HkdfSha256, MatchesRfc5869) {
  Bytes out(42);
  hkdf_sha256(range(0, 13), Bytes(22, std::byte{0x0b}), range(0xf0, 0xfa), out);
  EXPECT_EQ(to_hex(out), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  hkdf_sha256({}, Bytes(22, std::byte{0x0b}), {}, out);
  EXPECT_EQ(to_hex(out), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  Bytes longer(82);
  hkdf_sha256(range(0x60, 0xb0), range(0, 0x50), range(0xb0, 0x100), longer);
  EXPECT_EQ(
      to_hex(longer),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09"
      "b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

TEST(HkdfSha256, GivesAtMost255Blocks) {
  Bytes out(255 * 32);
  EXPECT_NO_THROW(hkdf_sha256({}, {}, {}, out));
  out.push_back(std::byte{0});
  EXPECT_THROW(hkdf_sha256({}, {}, {}, out), std::length_error);
}

}  // namespace
}  // namespace dig::crypto
