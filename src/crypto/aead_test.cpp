// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.hpp"
#include "crypto/testing/hex.hpp"

namespace dig::crypto {
namespace {

using namespace std::string_view_literals;

using testing::from_hex;
using testing::to_hex;

// RFC 8439 appendix A.5; its nonce begins with four zero bytes as Noise's do.
constexpr std::string_view k_key = "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0";
constexpr std::string_view k_additional = "f33388860000000000004e91";
constexpr std::uint64_t k_nonce = 0x0807060504030201;
constexpr std::string_view k_plaintext =
    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or obsoleted "
    "by other documents at any time. It is inappropriate to use Internet-Drafts as reference material or to cite them "
    "other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
constexpr std::string_view k_ciphertext =
    "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4"
    "f0"
    "3b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b350638360690"
    "7b"
    "6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718c"
    "bc"
    "546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d3610"
    "94"
    "fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38";

Aead make_aead(std::string_view key = k_key) {
  Secret<32> secret;
  std::ranges::copy(from_hex(key), secret.mutable_view().begin());
  return Aead(secret);
}

Bytes seal(Aead& aead, BytesView plaintext, std::uint64_t nonce, BytesView additional = {}) {
  Bytes buffer = to_bytes(plaintext);
  buffer.resize(plaintext.size() + Aead::tag_size);
  aead.seal_in_place(buffer, plaintext.size(), nonce, additional);
  return buffer;
}

TEST(Aead, MatchesRfc8439) {
  Aead aead = make_aead();
  EXPECT_EQ(to_hex(seal(aead, as_bytes(k_plaintext), k_nonce, from_hex(k_additional))), k_ciphertext);
  const Bytes ciphertext = from_hex(k_ciphertext);
  Bytes out(ciphertext.size() - Aead::tag_size);
  const auto size = aead.open(ciphertext, out, k_nonce, from_hex(k_additional));
  ASSERT_TRUE(size.has_value());
  EXPECT_EQ(*size, k_plaintext.size());
  EXPECT_EQ(as_text(out), k_plaintext);
}

TEST(Aead, OpensInPlace) {
  Aead aead = make_aead();
  Bytes buffer = seal(aead, as_bytes("plaintext"), 5);
  const auto size = aead.open(buffer, buffer, 5, {});
  ASSERT_TRUE(size.has_value());
  EXPECT_EQ(as_text(BytesView(buffer).first(*size)), "plaintext");
}

TEST(Aead, EveryFlippedByteIsRefusedAndLeavesNoPlaintext) {
  Aead aead = make_aead();
  Bytes sealed = seal(aead, as_bytes("some plaintext"), 1, as_bytes("additional"));
  for (auto& byte : sealed) {
    byte ^= std::byte{1};
    Bytes out(sealed.size(), std::byte{0});
    const auto opened = aead.open(sealed, out, 1, as_bytes("additional"));
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code(), Errc::decrypt_failed);
    EXPECT_EQ(out, Bytes(sealed.size(), std::byte{0}));
    byte ^= std::byte{1};
  }
  Bytes out(sealed.size());
  EXPECT_FALSE(aead.open(sealed, out, 2, as_bytes("additional")).has_value()) << "another nonce";
  EXPECT_FALSE(aead.open(sealed, out, 1, as_bytes("additiona1")).has_value()) << "other additional data";
  EXPECT_FALSE(aead.open(sealed, out, 1, {}).has_value()) << "no additional data";
  Aead other = make_aead("0000000000000000000000000000000000000000000000000000000000000001");
  EXPECT_FALSE(other.open(sealed, out, 1, as_bytes("additional")).has_value()) << "another key";
  EXPECT_TRUE(aead.open(sealed, out, 1, as_bytes("additional")).has_value());
}

TEST(Aead, EveryBitOfTheTagCounts) {
  Aead aead = make_aead();
  const Bytes sealed = seal(aead, as_bytes("some plaintext"), 1);
  Bytes out(sealed.size());
  for (std::size_t bit = 0; bit < Aead::tag_size * 8; ++bit) {
    Bytes changed = sealed;
    changed[changed.size() - 1 - bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    EXPECT_EQ(aead.open(changed, out, 1, {}).error().code(), Errc::decrypt_failed) << bit;
  }
  for (const std::byte fill : {std::byte{0}, std::byte{0xff}}) {
    Bytes changed = sealed;
    std::fill(changed.end() - Aead::tag_size, changed.end(), fill);
    EXPECT_EQ(aead.open(changed, out, 1, {}).error().code(), Errc::decrypt_failed);
  }
}

TEST(Aead, WhatWasSealedElsewhereIsRefused) {
  Aead aead = make_aead();
  const Bytes plaintext(128, std::byte{1});
  const Bytes sealed = seal(aead, plaintext, 1, as_bytes("ab"));
  Bytes out(sealed.size());
  const auto is_refused = [&](BytesView ciphertext, std::uint64_t nonce, std::string_view additional) {
    const auto opened = aead.open(ciphertext, out, nonce, as_bytes(additional));
    return !opened && opened.error().code() == Errc::decrypt_failed;
  };
  for (const std::uint64_t nonce : {0x0ull, 0x100ull, 0x1'0000'0001ull, 0x8000'0000'0000'0001ull, ~0ull}) {
    EXPECT_TRUE(is_refused(sealed, nonce, "ab")) << nonce;
  }
  for (const std::string_view additional : {""sv, "a"sv, "ba"sv, "abc"sv, "ab\0"sv}) {
    EXPECT_TRUE(is_refused(sealed, 1, additional)) << additional;
  }
  Bytes shifted = to_bytes("b");  // the boundary between additional data and ciphertext, moved
  append(shifted, sealed);
  EXPECT_TRUE(is_refused(shifted, 1, "a"));
  Bytes exchanged = sealed;  // two blocks of the key stream
  std::swap_ranges(exchanged.begin(), exchanged.begin() + 64, exchanged.begin() + 64);
  EXPECT_TRUE(is_refused(exchanged, 1, "ab"));
  Bytes tag_of_another = sealed;
  const Bytes another = seal(aead, plaintext, 2, as_bytes("ab"));
  std::copy(another.end() - Aead::tag_size, another.end(), tag_of_another.end() - Aead::tag_size);
  EXPECT_TRUE(is_refused(tag_of_another, 1, "ab"));
  Bytes longer = sealed;
  longer.push_back(std::byte{0});
  EXPECT_TRUE(is_refused(longer, 1, "ab"));
  EXPECT_TRUE(aead.open(sealed, out, 1, as_bytes("ab")));
}

TEST(Aead, TheLargestNonceIsANonceLikeAnyOther) {
  Aead aead = make_aead();
  const Bytes sealed = seal(aead, as_bytes("last"), ~std::uint64_t{0});
  Bytes out(sealed.size());
  EXPECT_TRUE(aead.open(sealed, out, ~std::uint64_t{0}, {}));
  EXPECT_FALSE(aead.open(sealed, out, 0, {}));
}

TEST(Aead, EveryPrefixIsRefused) {
  Aead aead = make_aead();
  const Bytes sealed = seal(aead, as_bytes("some plaintext"), 1);
  Bytes out(sealed.size());
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(aead.open(BytesView(sealed).first(size), out, 1, {}).error().code(), Errc::decrypt_failed) << size;
  }
}

TEST(Aead, EverySizeUpToAFrameComesBack) {
  Aead aead = make_aead();
  SeededRng rng(1);
  std::uint64_t nonce = 0;
  for (const std::size_t size :
       {0uz, 1uz, 15uz, 16uz, 17uz, 63uz, 64uz, 65uz, 255uz, 256uz, 257uz, 1280uz, 16384uz, 65519uz, 65536uz}) {
    Bytes plaintext(size);
    rng.fill(plaintext);
    const Bytes sealed = seal(aead, plaintext, nonce);
    Bytes out(size);
    const auto opened = aead.open(sealed, out, nonce++, {});
    ASSERT_TRUE(opened.has_value()) << size;
    EXPECT_EQ(*opened, size);
    EXPECT_EQ(out, plaintext);
  }
}

TEST(Aead, TooSmallABufferIsAnError) {
  Aead aead = make_aead();
  const Bytes sealed = seal(aead, as_bytes("plaintext"), 1);
  Bytes small(8);
  EXPECT_EQ(aead.open(sealed, small, 1, {}).error().code(), Errc::oversized);
  Bytes buffer(15);
  EXPECT_THROW(aead.seal_in_place(buffer, 0, 0, {}), std::length_error);
  buffer.resize(24);
  EXPECT_THROW(aead.seal_in_place(buffer, 9, 0, {}), std::length_error);
}

}  // namespace
}  // namespace dig::crypto
