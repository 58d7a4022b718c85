// SPDX-License-Identifier: Apache-2.0
// What peers and outsiders may try on a TLS session.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "crypto/testing/tls_pair.hpp"

namespace dig::crypto {
namespace {

using namespace testing;
using ::testing::HasSubstr;

TlsEnd make_server(const TlsConfig& config = server_config()) {
  return {TlsSession::accept(make_context(TlsTransport::stream, config), k_test_start, k_test_wall).value()};
}

// An OpenSSL client that does what ours never would.
class RawClient {
 public:
  explicit RawClient(int version) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    SSL_CTX_set_security_level(context_.get(), 0);
    session_.reset(SSL_new(context_.get()));
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(session_.get(), in_, out_);
    SSL_set_connect_state(session_.get());
  }
  SSL* operator*() { return session_.get(); }
  bool handshake() { return SSL_do_handshake(session_.get()) == 1; }
  // Moves bytes both ways until none are left.
  void exchange(TlsEnd& server) {
    Bytes wire(65'536);
    for (bool moved = true; moved;) {
      const int sent = BIO_read(out_, wire.data(), static_cast<int>(wire.size()));
      if (sent > 0) server.session.handle_bytes(k_test_start, BytesView(wire).first(static_cast<std::size_t>(sent)));
      server.act();
      const std::size_t got = server.session.poll_bytes(k_test_start, wire);
      if (got > 0) BIO_write(in_, wire.data(), static_cast<int>(got));
      if (SSL_in_init(session_.get()) != 0) (void)handshake();
      moved = sent > 0 || got > 0;
    }
  }

 private:
  OpensslPtr<ssl_ctx_st> context_;
  OpensslPtr<ssl_st> session_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
};

TEST(TlsHostile, OldVersionsAreRefused) {
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    TlsEnd server = make_server();
    RawClient client(version);
    (void)client.handshake();
    client.exchange(server);
    ASSERT_TRUE(server.closed.has_value());
    EXPECT_EQ(server.closed->error.code(), Errc::tls_failed);
    EXPECT_THAT(server.closed->error.detail(), HasSubstr("protocol"));
  }
}

TEST(TlsHostile, Version12Works) {
  TlsEnd server = make_server();
  RawClient client(TLS1_2_VERSION);
  (void)client.handshake();
  client.exchange(server);
  ASSERT_TRUE(server.established.has_value());
  EXPECT_EQ(server.established->version, "TLSv1.2");
  EXPECT_THAT(server.established->cipher, HasSubstr("TLS_ECDHE_ECDSA_WITH_AES"));
  EXPECT_THAT(server.established->cipher, HasSubstr("GCM"));
}

TEST(TlsHostile, CiphersWithoutForwardSecrecyOrAuthenticationAreRefused) {
  for (const char* ciphers : {"kRSA", "ECDHE+AES+SHA1", "ECDHE+AES+SHA256:!AESGCM", "NULL", "DHE+AESGCM"}) {
    TlsConfig config = server_config();
    config.identity = test_authority().issue({.is_rsa = true}).identity();
    TlsEnd server = make_server(config);
    RawClient client(TLS1_2_VERSION);
    ASSERT_EQ(SSL_set_cipher_list(*client, ciphers), 1) << ciphers;
    (void)client.handshake();
    client.exchange(server);
    EXPECT_FALSE(server.established) << ciphers;
    EXPECT_TRUE(server.closed) << ciphers;
  }
}

TEST(TlsHostile, RenegotiationIsRefusedAndTheSessionGoesOn) {
  TlsEnd server = make_server();
  RawClient client(TLS1_2_VERSION);
  (void)client.handshake();
  client.exchange(server);
  ASSERT_TRUE(server.established);
  server.established.reset();
  SSL_renegotiate(*client);
  (void)client.handshake();
  Bytes wire(65'536);
  const int sent = BIO_read(SSL_get_wbio(*client), wire.data(), static_cast<int>(wire.size()));
  ASSERT_GT(sent, 0);
  server.session.handle_bytes(k_test_start, BytesView(wire).first(static_cast<std::size_t>(sent)));
  server.act();
  EXPECT_FALSE(server.established) << "a second handshake";
  EXPECT_FALSE(server.closed);
  EXPECT_EQ(server.session.write(to_bytes("still here")).value(), 10u);
  client.exchange(server);  // the refusal makes OpenSSL's client give up
  ASSERT_TRUE(server.closed);
  EXPECT_THAT(server.closed->error.detail(), HasSubstr("the other side gave up"));
}

TEST(TlsHostile, KeyUpdatesThatAskForAnswersArePaidByTheirSender) {
  TlsEnd server = make_server();
  RawClient client(TLS1_3_VERSION);
  (void)client.handshake();
  client.exchange(server);
  ASSERT_TRUE(server.established);
  // Never reads what the server sends: its answers pile up until the server takes no more input.
  Bytes wire(65'536);
  BIO* out = SSL_get_wbio(*client);
  std::size_t updates = 0;
  while (server.session.wants_bytes() && updates < 20'000) {
    SSL_key_update(*client, SSL_KEY_UPDATE_REQUESTED);
    ASSERT_EQ(SSL_do_handshake(*client), 1);
    const int sent = BIO_read(out, wire.data(), static_cast<int>(wire.size()));
    server.session.handle_bytes(k_test_start, BytesView(wire).first(static_cast<std::size_t>(std::max(sent, 0))));
    ++updates;
  }
  EXPECT_FALSE(server.session.wants_bytes());
  EXPECT_LT(server.session.snapshot().output_waiting, 132'000u);
  EXPECT_LT(server.session.snapshot().input_waiting, 70'000u);
  for (std::size_t size = 1; size > 0;) size = server.session.poll_bytes(k_test_start, wire);
  EXPECT_TRUE(server.session.wants_bytes());
  server.act();
  EXPECT_FALSE(server.closed);
  EXPECT_EQ(server.session.write(to_bytes("still here")).value(), 10u);
}

TEST(TlsHostile, OtherProtocolsGetAnAnswerAndAReason) {
  TlsEnd http = make_server();
  http.session.handle_bytes(k_test_start, as_bytes("GET / HTTP/1.1\r\nHost: turn.example\r\n\r\n"));
  http.act();
  ASSERT_TRUE(http.closed);
  EXPECT_EQ(http.closed->error.code(), Errc::tls_failed);
  EXPECT_THAT(http.closed->error.detail(), HasSubstr("http request"));
  TlsEnd stun = make_server();
  Bytes binding(20);
  binding[1] = std::byte{1};
  stun.session.handle_bytes(k_test_start, binding);
  stun.act();
  ASSERT_TRUE(stun.closed);
  EXPECT_EQ(stun.closed->error.code(), Errc::tls_failed);
  EXPECT_FALSE(stun.session.wants_bytes());
  stun.session.handle_bytes(k_test_start, binding);
  stun.closed.reset();
  stun.act();
  EXPECT_FALSE(stun.closed) << "nothing follows the end";
}

TEST(TlsHostile, OversizedRecordsAreRefusedBeforeTheyArrive) {
  for (const std::string_view header :
       {std::string_view("\x16\x03\x01\xff\xff", 5), std::string_view("\x17\x03\x03\x48\x01", 5)}) {
    TlsEnd server = make_server();
    server.session.handle_bytes(k_test_start, as_bytes(header));
    server.session.handle_bytes(k_test_start, Bytes(100));
    server.act();
    ASSERT_TRUE(server.closed);
    EXPECT_EQ(server.closed->error.code(), Errc::tls_failed);
  }
  TlsPair pair;
  pair.run();
  pair.client.session.handle_bytes(k_test_start, as_bytes("\x17\x03\x03\x48\x01"));
  pair.client.act();
  ASSERT_TRUE(pair.client.closed);
  EXPECT_EQ(pair.client.closed->error.code(), Errc::tls_failed);
}

TEST(TlsHostile, AlteredBytesEndAnEstablishedSession) {
  SeededRng rng(1);
  for (int i = 0; i < 60; ++i) {
    TlsPair pair;
    pair.run();
    bool is_altered = false;
    pair.tamper = [&](bool to_server, Bytes& wire) {
      if (!to_server || std::exchange(is_altered, true)) return;
      wire[5 + rng.below(wire.size() - 5)] ^= static_cast<std::byte>(1u << rng.below(8));
    };
    pair.client.to_write = to_bytes("transfer 100 to Bob");
    pair.run();
    EXPECT_TRUE(pair.server.received.empty());
    ASSERT_TRUE(pair.server.closed);
    EXPECT_EQ(pair.server.closed->error.code(), Errc::decrypt_failed);
    ASSERT_TRUE(pair.client.closed);
    EXPECT_EQ(pair.client.closed->error.code(), Errc::tls_failed);
    EXPECT_THAT(pair.client.closed->error.detail(), HasSubstr("bad record mac"));
  }
}

TEST(TlsHostile, AlteredHandshakesNeverEstablishBothEnds) {
  SeededRng rng(2);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    TlsPair pair;
    const bool victim = rng.below(2) == 0;
    bool is_altered = false;
    pair.tamper = [&](bool to_server, Bytes& wire) {
      if (to_server != victim || std::exchange(is_altered, true)) return;
      wire[rng.below(wire.size())] ^= static_cast<std::byte>(1u << rng.below(8));
    };
    pair.client.to_write = to_bytes("data");
    pair.run();
    if (!(pair.client.closed || pair.server.closed)) {
      // The version of the first record's header is the one thing that is not authenticated (RFC 8446 §5.1); a length
      // that grew leaves its reader waiting for the rest, until the deadline.
      continue;
    }
    ++refused;
    EXPECT_FALSE(pair.client.established && pair.server.established && pair.client.closed && pair.server.closed &&
                 !pair.server.received.empty());
    EXPECT_TRUE(pair.server.received.empty() || !pair.server.closed);
  }
  EXPECT_GT(refused, 200);
}

TEST(TlsHostile, GarbageAtAnyMomentIsSafe) {
  SeededRng rng(3);
  for (int i = 0; i < 200; ++i) {
    TlsPair pair;
    std::size_t left = rng.below(6);
    pair.tamper = [&](bool, Bytes& wire) {
      if (left-- != 0) return;
      wire.resize(rng.below(2000));
      rng.fill(wire);
    };
    pair.client.to_write = to_bytes("data");
    pair.run();
    pair.client.session.handle_eof(pair.now);
    pair.server.session.handle_eof(pair.now);
    pair.client.act();
    pair.server.act();
    EXPECT_TRUE(pair.client.closed && pair.server.closed);
  }
}

TEST(TlsHostile, EndDuringTheHandshakeSaysSo) {
  TlsPair pair;
  pair.server.session.handle_eof(pair.now);
  pair.server.act();
  ASSERT_TRUE(pair.server.closed);
  EXPECT_EQ(pair.server.closed->error.code(), Errc::tls_truncated);
  EXPECT_EQ(pair.server.closed->error.detail(), "during the handshake");
}

}  // namespace
}  // namespace dig::crypto
