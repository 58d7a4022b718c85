// SPDX-License-Identifier: Apache-2.0
#include "crypto/tls_identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/host_name.hpp"
#include "crypto/testing/test_authority.hpp"
#include "crypto/tls_trust.hpp"

namespace dig::crypto {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::k_test_wall;
using testing::TestAuthority;
using testing::TestCertificate;

// A key that belongs to nothing, encrypted with a passphrase (PKCS #8, made for this test).
constexpr std::string_view k_encrypted_key =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhHulUTumsuAwICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEHAmlBEL7Fbk2Dm1ibo68sAEgZDB\n"
    "pGVlbsGL4qGOF18As5Na2HoD4VIvn3oRNBKfLr4gYJX/d95N5GiAm/o38E6wpeca\n"
    "lg+bLWxEcaoVAZtxWBrGmL9wfa1Rwy93CLwzv01SIIWszInGUZagn969H8UzKmt8\n"
    "JlgBowsdd8+QdwGbzK/NX7zHWw0b1WfZDuidcNbEfj748AduVq40ALwkB4L3gXg=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

TEST(TlsIdentity, ReadsAChainAndItsKey) {
  const TestAuthority authority("root");
  const TestCertificate issued =
      authority.issue({.names = {"turn.example", "192.0.2.7", "2001:db8::7"}, .intermediates = 2});
  const auto identity = TlsIdentity::from_pem(issued.certificates, issued.private_key);
  ASSERT_TRUE(identity.has_value()) << identity.error().message();
  EXPECT_THAT((*identity)->names(), ElementsAre("turn.example", "192.0.2.7", "2001:db8::7"));
  EXPECT_EQ((*identity)->not_before(), UnixTime{k_test_wall.seconds - 1000});
  EXPECT_EQ((*identity)->not_after(), UnixTime{k_test_wall.seconds + 1'000'000});
  EXPECT_EQ((*identity)->fingerprint(), sha256((*identity)->leaf_der()));
}

TEST(TlsIdentity, KeyAndCertificatesMayStandInOneText) {
  const TestCertificate issued = TestAuthority("root").issue();
  const std::string both = "a comment\n" + issued.private_key + issued.certificates;
  EXPECT_TRUE(TlsIdentity::from_pem(both, both).has_value());
}

TEST(TlsIdentity, ExpiredIsVisibleButNoError) {
  const TestCertificate issued = TestAuthority("root").issue({.not_after = UnixTime{k_test_wall.seconds - 1}});
  const auto identity = issued.identity();
  EXPECT_FALSE(identity->is_valid_at(k_test_wall));
  EXPECT_TRUE(identity->is_valid_at(UnixTime{k_test_wall.seconds - 1}));
  EXPECT_FALSE(identity->is_valid_at(UnixTime{k_test_wall.seconds - 1001})) << "not yet valid";
}

TEST(TlsIdentity, SaysWhatIsWrongWithTheText) {
  const TestAuthority authority("root");
  const TestCertificate issued = authority.issue();
  const auto expect_refused = [](std::string_view certificates, std::string_view key, const char* reason) {
    const auto identity = TlsIdentity::from_pem(certificates, key);
    ASSERT_FALSE(identity.has_value()) << reason;
    EXPECT_EQ(identity.error().code(), Errc::certificate_unreadable);
    EXPECT_THAT(identity.error().detail(), HasSubstr(reason));
  };
  expect_refused("", issued.private_key, "holds no certificate");
  expect_refused(issued.private_key, issued.private_key, "holds no certificate");
  expect_refused(issued.certificates.substr(0, issued.certificates.size() / 2), issued.private_key, "damaged");
  expect_refused(issued.certificates, issued.certificates, "holds no private key");
  expect_refused(issued.certificates, "", "holds no private key");
  expect_refused(issued.certificates, authority.issue().private_key, "does not belong to the first certificate");
  expect_refused(issued.certificates, k_encrypted_key, "encrypted");
  std::string many;
  for (int i = 0; i < 11; ++i) many += issued.certificates;
  expect_refused(many, issued.private_key, "too many");
  expect_refused(std::string(5'000'000, 'x'), issued.private_key, "too long");
  expect_refused(issued.certificates, std::string(5'000'000, 'x'), "too long");
}

TEST(TlsIdentity, FlippedBitsOfThePemTextAreSafe) {
  const TestCertificate issued = TestAuthority("root").issue();
  for (std::size_t i = 0; i < issued.certificates.size() * 8; i += 7) {
    std::string flipped = issued.certificates;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    (void)TlsIdentity::from_pem(flipped, issued.private_key);
  }
}

TEST(TlsIdentity, SelfSignedHasTheNamesAndTheTimeAskedFor) {
  const auto made =
      TlsIdentity::make_self_signed({"turn.example", "192.0.2.7", "2001:db8::7"}, std::chrono::hours(24), k_test_wall);
  ASSERT_TRUE(made.has_value());
  const TlsIdentity& identity = **made;
  EXPECT_THAT(identity.names(), ElementsAre("turn.example", "192.0.2.7", "2001:db8::7"));
  EXPECT_EQ(identity.not_before(), UnixTime{k_test_wall.seconds - 3600});
  EXPECT_EQ(identity.not_after(), UnixTime{k_test_wall.seconds + 86'400});
  EXPECT_NE(identity.fingerprint(), (*TlsIdentity::make_self_signed({"turn.example"}, 1h, k_test_wall))->fingerprint());
  EXPECT_TRUE(TlsTrust::authorities(false, identity.certificate_pem()).has_value());
  const std::string longest = std::string(63, 'a') + "." + std::string(63, 'b') + ".example";
  EXPECT_TRUE(TlsIdentity::make_self_signed({longest}, 1h, k_test_wall).has_value());
}

TEST(TlsIdentity, SelfSignedRefusesWhatIsNoHostName) {
  for (const char* name : {"", "a b", "a,DNS:evil.example", "-a.example", "a-.example", "a..b", ".", "a/b", "[::1]"}) {
    const auto made = TlsIdentity::make_self_signed({name}, 1h, k_test_wall);
    ASSERT_FALSE(made.has_value()) << name;
    EXPECT_EQ(made.error().code(), Errc::invalid_argument);
  }
  EXPECT_EQ(TlsIdentity::make_self_signed({}, 1h, k_test_wall).error().code(), Errc::invalid_argument);
}

TEST(TlsTrust, NeedsAnAuthorityThatCanBeRead) {
  EXPECT_EQ(TlsTrust::authorities(false).error().code(), Errc::invalid_argument);
  EXPECT_EQ(TlsTrust::authorities(true, "text").error().code(), Errc::certificate_unreadable);
  EXPECT_TRUE(TlsTrust::authorities(true).has_value());
}

TEST(HostName, HasLabelsOfBoundedSize) {
  EXPECT_TRUE(is_host_name("a"));
  EXPECT_TRUE(is_host_name("xn--bcher-kva.example"));
  EXPECT_TRUE(is_host_name("_service.a-b.example"));
  EXPECT_TRUE(is_host_name(std::string(63, 'a')));
  EXPECT_FALSE(is_host_name(std::string(64, 'a')));
  EXPECT_FALSE(is_host_name("example."));
  std::string longest(253, 'a');
  for (std::size_t i = 60; i < longest.size(); i += 60) longest[i] = '.';
  EXPECT_TRUE(is_host_name(longest));
  EXPECT_FALSE(is_host_name(longest + "a"));
}

}  // namespace
}  // namespace dig::crypto
