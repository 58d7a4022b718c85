// SPDX-License-Identifier: Apache-2.0
// Whom TLS believes: each kind of wrong certificate has its own error, on both sides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing/tls_pair.hpp"

namespace dig::crypto {
namespace {

using namespace testing;
using ::testing::HasSubstr;

TlsConfig server_with(const TestRequest& request) {
  return {.role = TlsRole::server, .identity = test_authority().issue(request).identity()};
}

// The handshake with a server that has this certificate, as the client `name` expects it: what the client says.
void expect_refused(const TlsConfig& server, const TlsConfig& client, const std::string& name, Errc code,
                    const std::string& detail) {
  TlsPair pair(client, server, name);
  pair.client.to_write = to_bytes("a secret");
  pair.run();
  ASSERT_TRUE(pair.client.closed.has_value()) << name;
  EXPECT_FALSE(pair.client.established) << name;
  EXPECT_FALSE(pair.client.closed->is_clean);
  EXPECT_EQ(pair.client.closed->error.code(), code) << pair.client.closed->error.message();
  EXPECT_THAT(pair.client.closed->error.detail(), HasSubstr(detail));
  EXPECT_TRUE(pair.server.received.empty());
  ASSERT_TRUE(pair.server.closed.has_value()) << "the client sends an alert";
  EXPECT_EQ(pair.server.closed->error.code(), Errc::tls_failed);
  EXPECT_THAT(pair.server.closed->error.detail(), HasSubstr("the other side gave up"));
}
void expect_accepted(const TlsConfig& server, const TlsConfig& client, const std::string& name) {
  TlsPair pair(client, server, name);
  pair.run();
  ASSERT_FALSE(pair.client.closed) << name << ": " << pair.client.closed->error.message();
  EXPECT_TRUE(pair.client.established && pair.server.established) << name;
}

TEST(TlsVerification, NamesMustMatch) {
  const TlsConfig server = server_with({.names = {"turn.example", "*.sub.example"}});
  expect_accepted(server, client_config(), "turn.example");
  expect_accepted(server, client_config(), "TURN.example");
  expect_accepted(server, client_config(), "one.sub.example");
  for (const char* wrong : {"other.example", "sub.example", "one.two.sub.example", "turn.example.org", "example"}) {
    expect_refused(server, client_config(), wrong, Errc::certificate_name_mismatch,
                   std::string("wanted ") + wrong + ", the certificate is for turn.example *.sub.example");
  }
  expect_refused(server, client_config(), "192.0.2.7", Errc::certificate_name_mismatch, "wanted 192.0.2.7");
}

TEST(TlsVerification, AddressesMustMatchAsAddresses) {
  const TlsConfig server = server_with({.names = {"192.0.2.7", "2001:db8::7"}});
  expect_accepted(server, client_config(), "192.0.2.7");
  expect_accepted(server, client_config(), "2001:db8::7");
  expect_accepted(server, client_config(), "2001:0DB8:0:0::7");
  expect_refused(server, client_config(), "192.0.2.8", Errc::certificate_name_mismatch, "192.0.2.7 2001:db8::7");
  expect_refused(server, client_config(), "turn.example", Errc::certificate_name_mismatch, "");
}

TEST(TlsVerification, CommonNameIsNoName) {
  expect_refused(server_with({.names = {}}), client_config(), "leaf", Errc::certificate_name_mismatch, "no name");
}

TEST(TlsVerification, UnknownAuthorityIsRefused) {
  const TestAuthority stranger("a stranger");
  const TlsConfig server{.role = TlsRole::server, .identity = stranger.issue().identity()};
  expect_refused(server, client_config(), "turn.example", Errc::certificate_untrusted, "a stranger");
  const std::string both = test_authority().root_pem() + stranger.root_pem();
  expect_accepted(server, {.trust = TlsTrust::authorities(false, both).value()}, "turn.example");
  expect_refused(server, {.trust = TlsTrust::authorities(true).value()}, "turn.example", Errc::certificate_untrusted,
                 "");
}

TEST(TlsVerification, DatesMustFit) {
  expect_refused(server_with({.not_after = UnixTime{k_test_wall.seconds - 1}}), client_config(), "turn.example",
                 Errc::certificate_expired, "expired on 2027-01-15 07:59:59Z");
  expect_refused(server_with({.not_before = UnixTime{k_test_wall.seconds + 1}}), client_config(), "turn.example",
                 Errc::certificate_expired, "valid from 2027-01-15 08:00:01Z");
}

TEST(TlsVerification, SelfSignedIsRefusedUnlessItIsTrusted) {
  const auto identity = TlsIdentity::make_self_signed({"turn.example"}, 24h, k_test_wall).value();
  const TlsConfig server{.role = TlsRole::server, .identity = identity};
  expect_refused(server, client_config(), "turn.example", Errc::certificate_self_signed, "turn.example");
  expect_accepted(server, {.trust = TlsTrust::authorities(false, identity->certificate_pem()).value()}, "turn.example");
}

TEST(TlsVerification, ChainsAndKindsOfKeys) {
  expect_accepted(server_with({.intermediates = 3}), client_config(), "turn.example");
  expect_accepted(server_with({.is_rsa = true}), client_config(), "turn.example");
  TestCertificate without_issuers = test_authority().issue({.intermediates = 1});
  const std::string end = "-----END CERTIFICATE-----\n";
  without_issuers.certificates.resize(without_issuers.certificates.find(end) + end.size());
  expect_refused({.role = TlsRole::server, .identity = without_issuers.identity()}, client_config(), "turn.example",
                 Errc::certificate_untrusted, "intermediate 0");
}

TEST(TlsVerification, ChainThatIsTooLongIsRefused) {
  TlsPair pair(client_config(), server_with({.padding = 60'000}));
  pair.run();
  ASSERT_TRUE(pair.client.closed);
  EXPECT_EQ(pair.client.closed->error.code(), Errc::tls_failed);
  TlsConfig patient = client_config();
  patient.max_peer_chain = 100'000;
  expect_accepted(server_with({.padding = 60'000}), patient, "turn.example");
}

TEST(TlsVerification, FingerprintIsAllThatCountsWhereItIsKnown) {
  const auto identity = TlsIdentity::make_self_signed({"whoever"}, 1h, UnixTime{1000}).value();
  const TlsConfig server{.role = TlsRole::server, .identity = identity};
  expect_accepted(server, {.trust = TlsTrust::fingerprint(identity->fingerprint())}, "");
  Sha256Digest other = identity->fingerprint();
  other[31] ^= std::byte{1};
  expect_refused(server, {.trust = TlsTrust::fingerprint(other)}, "", Errc::certificate_refused, "fingerprint");
}

TEST(TlsVerification, CheckOfTheOwnerSeesTheLeafAndDecides) {
  Bytes seen;
  const auto check = [&](BytesView der) -> Result<void> {
    seen = to_bytes(der);
    return {};
  };
  expect_accepted(server_config(), {.trust = TlsTrust::check(check)}, "");
  EXPECT_EQ(seen, test_identity()->leaf_der());
  const auto refuse = [](BytesView) -> Result<void> { return fail(Errc::peer_id_mismatch, "somebody else"); };
  expect_refused(server_config(), {.trust = TlsTrust::check(refuse)}, "", Errc::peer_id_mismatch, "somebody else");
}

TEST(TlsVerification, SessionMayBringItsOwnTrust) {
  const auto context = make_context(TlsTransport::stream, client_config());
  TlsPair pair(client_config(), {.role = TlsRole::server, .identity = TestAuthority("a stranger").issue().identity()});
  const TlsPeer peer{.server_name = "turn.example", .trust = TlsTrust::check([](BytesView) { return Result<void>(); })};
  pair.client.session = TlsSession::connect(context, peer, k_test_start, k_test_wall).value();
  pair.run();
  EXPECT_TRUE(pair.client.established);
}

TEST(TlsVerification, ServerMayAskForTheClientsCertificate) {
  TlsConfig client = client_config();
  client.identity = test_authority().issue({.names = {"a client"}}).identity();
  TlsConfig server = server_config();
  server.trust = test_trust();
  for (const auto kind : {ClientCertificate::optional, ClientCertificate::required}) {
    server.client_certificate = kind;
    TlsPair pair(client, server);
    pair.run();
    ASSERT_TRUE(pair.server.established);
    EXPECT_EQ(pair.server.established->peer_certificate, client.identity->leaf_der());
    TlsPair without(client_config(), server);
    without.run();
    EXPECT_EQ(without.server.established.has_value(), kind == ClientCertificate::optional);
    if (kind == ClientCertificate::required) {
      ASSERT_TRUE(without.server.closed && without.client.closed);
      EXPECT_EQ(without.server.closed->error.code(), Errc::tls_failed);
      EXPECT_EQ(without.client.closed->error.code(), Errc::tls_failed);
    }
    TlsConfig stranger = client_config();
    stranger.identity = TestAuthority("a stranger").issue().identity();
    TlsPair refused(stranger, server);
    refused.run();
    ASSERT_TRUE(refused.server.closed) << "a wrong certificate is worse than none";
    EXPECT_EQ(refused.server.closed->error.code(), Errc::certificate_untrusted);
  }
}

}  // namespace
}  // namespace dig::crypto
