// SPDX-License-Identifier: Apache-2.0
#include "base/base_encoding.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace dig {
namespace {

constexpr Base k_all_bases[] = {Base::base16, Base::base32,        Base::base36,    Base::base58,
                                Base::base64, Base::base64_padded, Base::base64url, Base::base64url_padded};

std::string decoded(Base base, std::string_view text) {
  const auto bytes = decode_base(base, text);
  return bytes ? std::string(as_text(*bytes)) : "error";
}

TEST(BaseEncoding, EncodesTheVectorsOfRfc4648) {
  const struct {
    std::string_view plain, base32, base64, base64_padded, base16;
  } cases[] = {{"", "", "", "", ""},
               {"f", "my", "Zg", "Zg==", "66"},
               {"fo", "mzxq", "Zm8", "Zm8=", "666f"},
               {"foo", "mzxw6", "Zm9v", "Zm9v", "666f6f"},
               {"foob", "mzxw6yq", "Zm9vYg", "Zm9vYg==", "666f6f62"},
               {"fooba", "mzxw6ytb", "Zm9vYmE", "Zm9vYmE=", "666f6f6261"},
               {"foobar", "mzxw6ytboi", "Zm9vYmFy", "Zm9vYmFy", "666f6f626172"}};
  for (const auto& test : cases) {
    const std::pair<Base, std::string_view> texts[] = {{Base::base32, test.base32},
                                                       {Base::base64, test.base64},
                                                       {Base::base64url, test.base64},
                                                       {Base::base64_padded, test.base64_padded},
                                                       {Base::base64url_padded, test.base64_padded},
                                                       {Base::base16, test.base16}};
    for (const auto& [base, text] : texts) {
      EXPECT_EQ(encode_base(base, as_bytes(test.plain)), text);
      EXPECT_EQ(decoded(base, text), test.plain);
    }
  }
}

TEST(BaseEncoding, EncodesKnownBase58AndBase36) {
  EXPECT_EQ(encode_base(Base::base58, as_bytes("Hello World!")), "2NEpo7TZRRrLZSi2U");
  EXPECT_EQ(encode_base(Base::base58, *from_hex("0000287fb4cd")), "11233QC4");
  EXPECT_EQ(encode_base(Base::base58, *from_hex("00000000")), "1111");
  EXPECT_EQ(encode_multibase(Base::base36, as_bytes("yes mani !")), "k2lcpzo5yikidynfl");
  EXPECT_EQ(encode_multibase(Base::base58, as_bytes("yes mani !")), "z7paNL19xttacUY");
  EXPECT_EQ(encode_multibase(Base::base32, as_bytes("yes mani !")), "bpfsxgidnmfxgsibb");
}

TEST(BaseEncoding, EveryBaseGivesBackWhatItTook) {
  SeededRng rng(11);
  for (const Base base : k_all_bases) {
    for (std::size_t size = 0; size < 80; ++size) {
      Bytes bytes(size);
      rng.fill(bytes);
      std::fill_n(bytes.begin(), static_cast<std::ptrdiff_t>(rng.below(size / 2 + 1)), std::byte{0});
      EXPECT_EQ(decode_base(base, encode_base(base, bytes)).value(), bytes);
      EXPECT_EQ(decode_multibase(encode_multibase(base, bytes)).value(), bytes);
    }
  }
}

TEST(BaseEncoding, AcceptsUpperCaseOnlyWhereTheBaseHasOneCase) {
  EXPECT_EQ(decoded(Base::base16, "666F6f"), "foo");
  EXPECT_EQ(decoded(Base::base32, "MZXW6"), "foo");
  EXPECT_EQ(decode_multibase("BMZXW6").value(), to_bytes("foo"));
  EXPECT_EQ(decode_multibase("F666F6F").value(), to_bytes("foo"));
  EXPECT_EQ(decode_multibase("K2LCPZO5YIKIDYNFL").value(), to_bytes("yes mani !"));
  EXPECT_NE(decoded(Base::base58, "2NEpo7TZRRrLZSi2u"), "Hello World!");
}

TEST(BaseEncoding, RefusesOddHex) {
  for (const char* text : {"6", "666", "6g", "0x66", " 66", "66 ", "6\xEF\xBC\x96"}) {
    EXPECT_EQ(decoded(Base::base16, text), "error") << text;
  }
}

TEST(BaseEncoding, RefusesStrayBitsAndImpossibleLengths) {
  EXPECT_EQ(decoded(Base::base32, "mz"), "error");  // "my" with a bit set after the byte
  EXPECT_EQ(decoded(Base::base32, "m"), "error");   // five bits are no byte
  EXPECT_EQ(decoded(Base::base32, "mzxw6yqaa"), "error");
  EXPECT_EQ(decoded(Base::base64, "Zh"), "error");
  EXPECT_EQ(decoded(Base::base64, "Z"), "error");
  EXPECT_EQ(decoded(Base::base64, "Zm9vY"), "error");
}

TEST(BaseEncoding, WantsPaddingExactlyWhereTheBaseHasIt) {
  for (const char* text : {"Zg", "Zg=", "Zg===", "Z===", "====", "=", "Zm9v====", "Zg==Zg==", "Z=g="}) {
    EXPECT_EQ(decoded(Base::base64_padded, text), "error") << text;
  }
  EXPECT_EQ(decoded(Base::base64, "Zg=="), "error");
  EXPECT_EQ(decoded(Base::base32, "my======"), "error");
}

TEST(BaseEncoding, KeepsTheTwoBase64AlphabetsApart) {
  const Bytes bytes = *from_hex("fbff");
  EXPECT_EQ(encode_base(Base::base64, bytes), "+/8");
  EXPECT_EQ(encode_base(Base::base64url, bytes), "-_8");
  EXPECT_EQ(decoded(Base::base64, "-_8"), "error");
  EXPECT_EQ(decoded(Base::base64url, "+/8"), "error");
}

TEST(BaseEncoding, RefusesForeignCharacters) {
  for (const char* text : {"0", "O", "I", "l", "2NEp o7", "2NEp\n", "-", "\xCE\x91"}) {
    EXPECT_EQ(decoded(Base::base58, text), "error") << text;
  }
  EXPECT_EQ(decoded(Base::base32, "mzxw1"), "error");
  EXPECT_EQ(decoded(Base::base36, "2lc_"), "error");
  EXPECT_EQ(decoded(Base::base58, std::string_view("2NE\0", 4)), "error");
}

TEST(BaseEncoding, BoundsTheQuadraticDecoders) {
  for (const Base base : {Base::base58, Base::base36}) {
    EXPECT_TRUE(decode_base(base, std::string(k_max_quadratic_text, 'z')));
    const auto longer = decode_base(base, std::string(k_max_quadratic_text + 1, 'z'));
    ASSERT_FALSE(longer);
    EXPECT_EQ(longer.error().code(), Errc::oversized);
  }
}

TEST(BaseEncoding, RefusesUnknownMultibases) {
  EXPECT_EQ(decode_multibase("").error().code(), Errc::malformed);
  EXPECT_EQ(decode_multibase("0101").error().code(), Errc::unsupported);
  EXPECT_EQ(decode_multibase("Zabc").error().code(), Errc::unsupported);
  EXPECT_TRUE(decode_multibase("f").value().empty());
}

}  // namespace
}  // namespace dig
