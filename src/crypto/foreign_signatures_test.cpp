// SPDX-License-Identifier: Apache-2.0
// Signatures that come near to a valid one, made with keys of this test: ECDSA values at their bounds and in other
// encodings, RSA paddings and digests that are not the one that PKCS #1 v1.5 prescribes.
#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <memory>

#include "crypto/foreign_keys.hpp"
#include "crypto/hash.hpp"
#include "crypto/openssl_ptr.hpp"
#include "crypto/testing/hex.hpp"

namespace dig::crypto {
namespace {

using testing::from_hex;

struct OwnedDelete {
  void operator()(BIGNUM* number) const noexcept { BN_free(number); }
  void operator()(BN_CTX* context) const noexcept { BN_CTX_free(context); }
  void operator()(ECDSA_SIG* signature) const noexcept { ECDSA_SIG_free(signature); }
  void operator()(EC_GROUP* group) const noexcept { EC_GROUP_free(group); }
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
};
template <class T>
using Owned = std::unique_ptr<T, OwnedDelete>;
using Number = Owned<BIGNUM>;

const Bytes k_message = to_bytes("message");

Bytes spki_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  EXPECT_GT(size, 0);
  Bytes bytes = to_bytes(std::as_bytes(std::span(der, static_cast<std::size_t>(size))));
  OPENSSL_free(der);
  return bytes;
}

Bytes sign(EVP_PKEY* key, const EVP_MD* hash, BytesView message) {
  const OpensslPtr<evp_md_ctx_st> context(EVP_MD_CTX_new());
  std::size_t size = 0;
  EXPECT_EQ(EVP_DigestSignInit(context.get(), nullptr, hash, nullptr, key), 1);
  EXPECT_EQ(EVP_DigestSign(context.get(), nullptr, &size, octets(message), message.size()), 1);
  Bytes signature(size);
  EXPECT_EQ(EVP_DigestSign(context.get(), writable_octets(signature), &size, octets(message), message.size()), 1);
  signature.resize(size);
  return signature;
}

// --- ECDSA -------------------------------------------------------------------------------------------------------

using VerifyFunction = Result<void> (*)(BytesView, BytesView, BytesView);

// DER, written by hand so that it can also be wrong.
Bytes element(std::uint8_t tag, BytesView content) {
  Bytes out{std::byte{tag}, static_cast<std::byte>(content.size())};
  append(out, content);
  return out;
}
Bytes integer(BytesView content) { return element(0x02, content); }
Bytes sequence(std::initializer_list<Bytes> elements) {
  Bytes content;
  for (const Bytes& one : elements) append(content, one);
  return element(0x30, content);
}
// What an INTEGER holds for a number that is not negative.
Bytes content_of(const BIGNUM* number) {
  Bytes content(static_cast<std::size_t>(BN_num_bytes(number)) + 1);
  EXPECT_EQ(BN_bn2binpad(number, writable_octets(content), static_cast<int>(content.size())),
            static_cast<int>(content.size()));
  const bool needs_zero = content.size() == 1 || (content[1] & std::byte{0x80}) != std::byte{0};
  if (!needs_zero) content.erase(content.begin());
  return content;
}

struct Curve {
  const char* name;
  int id;
  VerifyFunction verify;
};

class EcdsaForged : public ::testing::TestWithParam<Curve> {
 protected:
  void SetUp() override {
    const Bytes der = sign(key_.get(), EVP_sha256(), k_message);
    const unsigned char* place = octets(der);
    const Owned<ECDSA_SIG> parsed(d2i_ECDSA_SIG(nullptr, &place, static_cast<long>(der.size())));
    ASSERT_TRUE(parsed);
    r_.reset(BN_dup(ECDSA_SIG_get0_r(parsed.get())));
    s_.reset(BN_dup(ECDSA_SIG_get0_s(parsed.get())));
    order_.reset(BN_dup(EC_GROUP_get0_order(group_.get())));
    ASSERT_TRUE(verify(der));
    ASSERT_EQ(der, with(r_.get(), s_.get()));
  }
  // The public key as the function under test takes it.
  [[nodiscard]] static Bytes public_key(EVP_PKEY* key) {
    Bytes spki = spki_of(key);
    if (GetParam().id != NID_secp256k1) return spki;
    Bytes compressed(33);
    const std::size_t x = spki.size() - 64;
    compressed[0] = std::byte{2} | (spki.back() & std::byte{1});
    std::copy_n(spki.begin() + static_cast<std::ptrdiff_t>(x), 32, compressed.begin() + 1);
    return compressed;
  }
  [[nodiscard]] Result<void> verify(BytesView signature) const {
    return GetParam().verify(public_key_, k_message, signature);
  }
  [[nodiscard]] bool is_refused(BytesView signature) const {
    const auto verified = verify(signature);
    return !verified && verified.error().code() == Errc::bad_signature;
  }
  [[nodiscard]] static Bytes with(const BIGNUM* r, const BIGNUM* s) {
    return sequence({integer(content_of(r)), integer(content_of(s))});
  }
  [[nodiscard]] Number plus_order(const Number& number) const {
    Number sum(BN_new());
    EXPECT_EQ(BN_add(sum.get(), number.get(), order_.get()), 1);
    return sum;
  }
  [[nodiscard]] Number order_minus(const Number& number) const {
    Number difference(BN_new());
    EXPECT_EQ(BN_sub(difference.get(), order_.get(), number.get()), 1);
    return difference;
  }

  OpensslPtr<evp_pkey_st> key_{EVP_EC_gen(GetParam().name)};
  Bytes public_key_ = public_key(key_.get());
  Owned<EC_GROUP> group_{EC_GROUP_new_by_curve_name(GetParam().id)};
  Number order_, r_, s_;
};

INSTANTIATE_TEST_SUITE_P(Curves, EcdsaForged,
                         ::testing::Values(Curve{"P-256", NID_X9_62_prime256v1, ecdsa_p256_verify},
                                           Curve{"secp256k1", NID_secp256k1, secp256k1_verify}),
                         [](const auto& item) { return std::string(item.param.id == NID_secp256k1 ? "K1" : "R1"); });

// Nothing here relies on a message having one signature only.
TEST_P(EcdsaForged, BothRootsVerify) { EXPECT_TRUE(verify(with(r_.get(), order_minus(s_).get()))); }

TEST_P(EcdsaForged, NumbersOutOfTheirBoundsAreRefused) {
  const Number zero(BN_new());
  const Number one(BN_new());
  ASSERT_EQ(BN_one(one.get()), 1);
  for (const BIGNUM* bound : {zero.get(), order_.get()}) {
    EXPECT_TRUE(is_refused(with(bound, s_.get())));
    EXPECT_TRUE(is_refused(with(r_.get(), bound)));
    EXPECT_TRUE(is_refused(with(bound, bound)));
    EXPECT_TRUE(is_refused(with(bound, one.get())));
    EXPECT_TRUE(is_refused(with(one.get(), bound)));
  }
  EXPECT_TRUE(is_refused(with(plus_order(r_).get(), s_.get())));
  EXPECT_TRUE(is_refused(with(r_.get(), plus_order(s_).get())));
  EXPECT_TRUE(is_refused(with(order_minus(r_).get(), s_.get())));
  EXPECT_TRUE(is_refused(with(s_.get(), r_.get())));
  EXPECT_TRUE(is_refused(with(one.get(), one.get())));
}

TEST_P(EcdsaForged, NegativeNumbersAreRefused) {
  const auto negative = [](const Number& number) {  // in two's complement
    Number complement(BN_new());
    EXPECT_EQ(BN_set_bit(complement.get(), 33 * 8), 1);
    EXPECT_EQ(BN_sub(complement.get(), complement.get(), number.get()), 1);
    Bytes content(33);
    EXPECT_EQ(BN_bn2binpad(complement.get(), writable_octets(content), 33), 33);
    return integer(content);
  };
  EXPECT_TRUE(is_refused(sequence({negative(r_), integer(content_of(s_.get()))})));
  EXPECT_TRUE(is_refused(sequence({integer(content_of(r_.get())), negative(s_)})));
  EXPECT_TRUE(is_refused(sequence({negative(r_), negative(s_)})));
}

TEST_P(EcdsaForged, OtherEncodingsOfAValidSignatureAreRefused) {
  const Bytes r = integer(content_of(r_.get()));
  const Bytes s = integer(content_of(s_.get()));
  const auto padded = [](const Number& number) {
    Bytes content = content_of(number.get());
    content.insert(content.begin(), std::byte{0});
    return integer(content);
  };
  EXPECT_TRUE(is_refused(sequence({padded(r_), s})));
  EXPECT_TRUE(is_refused(sequence({r, padded(s_)})));
  Bytes both = r;
  append(both, s);
  Bytes long_form{std::byte{0x30}, std::byte{0x81}, static_cast<std::byte>(both.size())};
  append(long_form, both);
  EXPECT_TRUE(is_refused(long_form));
  Bytes endless{std::byte{0x30}, std::byte{0x80}};
  append(endless, both);
  endless.resize(endless.size() + 2);
  EXPECT_TRUE(is_refused(endless));
  EXPECT_TRUE(is_refused(element(0x31, both)));
  EXPECT_TRUE(is_refused(both));
  Bytes raw(64);
  ASSERT_EQ(BN_bn2binpad(r_.get(), writable_octets(raw), 32), 32);
  ASSERT_EQ(BN_bn2binpad(s_.get(), writable_octets(MutableBytes(raw).subspan(32)), 32), 32);
  EXPECT_TRUE(is_refused(raw));
}

TEST_P(EcdsaForged, MissingFurtherAndTrailingElementsAreRefused) {
  const Bytes r = integer(content_of(r_.get()));
  const Bytes s = integer(content_of(s_.get()));
  EXPECT_TRUE(is_refused(sequence({})));
  EXPECT_TRUE(is_refused(sequence({r})));
  EXPECT_TRUE(is_refused(sequence({r, integer({})})));
  EXPECT_TRUE(is_refused(sequence({integer({}), s})));
  EXPECT_TRUE(is_refused(sequence({r, s, integer(Bytes(1))})));
  EXPECT_TRUE(is_refused(sequence({r, s, Bytes{std::byte{5}, std::byte{0}}})));
  EXPECT_TRUE(is_refused(sequence({element(0x04, content_of(r_.get())), s})));
  Bytes trailing = sequence({r, s});
  append(trailing, Bytes{std::byte{5}, std::byte{0}});
  EXPECT_TRUE(is_refused(trailing));
  Bytes repeated = sequence({r, s});
  append(repeated, sequence({r, s}));
  EXPECT_TRUE(is_refused(repeated));
}

TEST_P(EcdsaForged, AnotherHashOrKeyIsRefused) {
  for (const EVP_MD* hash : {EVP_sha1(), EVP_sha224(), EVP_sha384(), EVP_sha512(), EVP_sha3_256()}) {
    EXPECT_TRUE(is_refused(sign(key_.get(), hash, k_message))) << EVP_MD_get0_name(hash);
  }
  EXPECT_TRUE(is_refused(sign(key_.get(), EVP_sha256(), sha256(k_message)))) << "the hash of the hash";
  const OpensslPtr<evp_pkey_st> other(EVP_EC_gen(GetParam().name));
  EXPECT_TRUE(is_refused(sign(other.get(), EVP_sha256(), k_message)));
}

// --- RSA ---------------------------------------------------------------------------------------------------------

class RsaForged : public ::testing::Test {
 protected:
  static constexpr std::size_t k_size = 256;

  // Making a key takes a while.
  static EVP_PKEY* key() {
    static const OpensslPtr<evp_pkey_st> made(EVP_RSA_gen(k_size * 8));
    return made.get();
  }
  [[nodiscard]] static bool is_refused(BytesView signature) {
    const auto verified = rsa_verify(spki_of(key()), k_message, signature);
    return !verified && verified.error().code() == Errc::bad_signature;
  }
  [[nodiscard]] static Bytes with_padding(int padding, const EVP_MD* hash, BytesView input) {
    const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key(), nullptr));
    EXPECT_EQ(EVP_PKEY_sign_init(context.get()), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(context.get(), padding), 1);
    if (hash != nullptr) {
      EXPECT_EQ(EVP_PKEY_CTX_set_signature_md(context.get(), hash), 1);
    }
    Bytes signature(k_size);
    std::size_t size = signature.size();
    EXPECT_EQ(EVP_PKEY_sign(context.get(), writable_octets(signature), &size, octets(input), input.size()), 1);
    signature.resize(size);
    return signature;
  }
  // The private operation alone, on a block that the test made.
  [[nodiscard]] static Bytes signature_of(BytesView block) { return with_padding(RSA_NO_PADDING, nullptr, block); }

  // EMSA-PKCS1-v1_5 (RFC 8017 §9.2): 00 01 ff…ff 00 DigestInfo.
  [[nodiscard]] static Bytes block(BytesView digest_info, std::uint8_t type = 1, std::byte fill = std::byte{0xff}) {
    Bytes out{std::byte{0}, std::byte{type}};
    out.resize(k_size - digest_info.size() - 1, fill);
    out.push_back(std::byte{0});
    append(out, digest_info);
    return out;
  }
  // What PKCS #1 writes before a SHA-256 digest: SEQUENCE {SEQUENCE {id-sha256, NULL}, OCTET STRING}.
  [[nodiscard]] static Bytes digest_info(std::string_view header = "3031300d060960864801650304020105000420") {
    Bytes info = from_hex(header);
    append(info, sha256(k_message));
    return info;
  }
};

TEST_F(RsaForged, TheBlockOfThisTestVerifies) {
  EXPECT_TRUE(rsa_verify(spki_of(key()), k_message, signature_of(block(digest_info()))));
}

TEST_F(RsaForged, OtherDigestInfosAreRefused) {
  for (const auto header : {
           "302f300b06096086480165030402010420",          // without the NULL
           "3033300f0609608648016503040201050200000420",  // with a NULL that has content
           "308131300d060960864801650304020105000420",    // a length in long form
           "303230810d060960864801650304020105000420",
           "3031300d060960864801650304020205000420",  // id-sha384
           "3031300d060960864801650304020305000420",  // id-sha512
           "3031300d060960864801650304020105000320",  // not an OCTET STRING
           "",
       }) {
    EXPECT_TRUE(is_refused(signature_of(block(digest_info(header))))) << header;
  }
}

TEST_F(RsaForged, OtherPaddingsAreRefused) {
  const Bytes info = digest_info();
  EXPECT_TRUE(is_refused(signature_of(block(info, 0, std::byte{0}))));
  EXPECT_TRUE(is_refused(signature_of(block(info, 2))));
  EXPECT_TRUE(is_refused(signature_of(block(info, 1, std::byte{0xfe}))));
  for (const std::size_t place : {0uz, 2uz, 9uz, 100uz, k_size - info.size() - 2}) {
    Bytes changed = block(info);
    changed[place] ^= std::byte{1};
    EXPECT_TRUE(is_refused(signature_of(changed))) << place;
  }
  Bytes no_separator = block(info);
  no_separator[k_size - info.size() - 1] = std::byte{0xff};
  EXPECT_TRUE(is_refused(signature_of(no_separator)));
}

// A verifier that reads the padding and the digest but not what stands behind them can be fooled without the key where
// the exponent is small.
TEST_F(RsaForged, BytesBehindTheDigestAreRefused) {
  for (const std::size_t padding : {8uz, 100uz}) {
    Bytes forged{std::byte{0}, std::byte{1}};
    forged.resize(2 + padding, std::byte{0xff});
    forged.push_back(std::byte{0});
    append(forged, digest_info());
    forged.resize(k_size);
    EXPECT_TRUE(is_refused(signature_of(forged))) << padding;
  }
  Bytes longer = digest_info();
  longer.push_back(std::byte{0});
  EXPECT_TRUE(is_refused(signature_of(block(longer))));
  Bytes shorter = digest_info();
  shorter.pop_back();
  EXPECT_TRUE(is_refused(signature_of(block(shorter))));
}

TEST_F(RsaForged, OtherSchemesAndHashesAreRefused) {
  EXPECT_TRUE(is_refused(with_padding(RSA_PKCS1_PSS_PADDING, EVP_sha256(), sha256(k_message))));
  for (const EVP_MD* hash : {EVP_sha1(), EVP_sha224(), EVP_sha384(), EVP_sha512()}) {
    EXPECT_TRUE(is_refused(sign(key(), hash, k_message))) << EVP_MD_get0_name(hash);
  }
  EXPECT_TRUE(is_refused(with_padding(RSA_PKCS1_PADDING, nullptr, sha256(k_message)))) << "a digest without its name";
}

TEST_F(RsaForged, NumbersOutOfTheirBoundsAreRefused) {
  BIGNUM* fetched = nullptr;
  ASSERT_EQ(EVP_PKEY_get_bn_param(key(), "n", &fetched), 1);
  const Number modulus(fetched);
  const auto bytes_of = [](const BIGNUM* number) {
    Bytes bytes(k_size);
    EXPECT_EQ(BN_bn2binpad(number, writable_octets(bytes), static_cast<int>(k_size)), static_cast<int>(k_size));
    return bytes;
  };
  EXPECT_TRUE(is_refused(Bytes(k_size)));
  EXPECT_TRUE(is_refused(Bytes(k_size, std::byte{0xff})));
  EXPECT_TRUE(is_refused(bytes_of(modulus.get())));
  const Number less(BN_dup(modulus.get()));
  ASSERT_EQ(BN_sub_word(less.get(), 1), 1);
  EXPECT_TRUE(is_refused(bytes_of(less.get())));
}

// The same number modulo n, where it still has the size of a signature.
TEST_F(RsaForged, ASignaturePlusTheModulusIsRefused) {
  BIGNUM* fetched = nullptr;
  ASSERT_EQ(EVP_PKEY_get_bn_param(key(), "n", &fetched), 1);
  const Number modulus(fetched);
  std::size_t tried = 0;
  for (unsigned i = 0; i < 200 && tried == 0; ++i) {
    const Bytes message(1, static_cast<std::byte>(i));
    const Bytes signature = sign(key(), EVP_sha256(), message);
    const Number sum(BN_bin2bn(octets(signature), static_cast<int>(k_size), nullptr));
    ASSERT_EQ(BN_add(sum.get(), sum.get(), modulus.get()), 1);
    Bytes bytes(k_size);
    if (BN_bn2binpad(sum.get(), writable_octets(bytes), static_cast<int>(k_size)) < 0) continue;
    ++tried;
    ASSERT_TRUE(rsa_verify(spki_of(key()), message, signature));
    EXPECT_FALSE(rsa_verify(spki_of(key()), message, bytes));
  }
  EXPECT_EQ(tried, 1u) << "no sum was small enough";
}

}  // namespace
}  // namespace dig::crypto
