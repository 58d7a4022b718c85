// SPDX-License-Identifier: Apache-2.0
#include "crypto/tls_session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing/hex.hpp"
#include "crypto/testing/tls_pair.hpp"

namespace dig::crypto {
namespace {

using namespace testing;
using ::testing::HasSubstr;

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
  SeededRng rng(seed);
  Bytes bytes(size);
  rng.fill(bytes);
  return bytes;
}

void expect_echo(TlsPair& pair) {
  pair.client.to_write = to_bytes("a question");
  pair.server.to_write = to_bytes("an answer");
  pair.run();
  ASSERT_TRUE(pair.client.established && pair.server.established);
  EXPECT_EQ(as_text(pair.server.received), "a question");
  EXPECT_EQ(as_text(pair.client.received), "an answer");
  EXPECT_FALSE(pair.client.closed || pair.server.closed);
}

TEST(TlsSession, HandshakeAndDataAtEverySegmentation) {
  SeededRng rng(1);
  for (const std::size_t piece : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{5}, std::size_t{100}}) {
    TlsPair pair;
    pair.piece = piece;
    expect_echo(pair);
  }
  for (int i = 0; i < 20; ++i) {
    TlsPair pair;
    pair.piece = 700;
    pair.rng = &rng;
    expect_echo(pair);
  }
}

TEST(TlsSession, EstablishedSaysWhatWasAgreedOn) {
  TlsPair pair;
  pair.run();
  ASSERT_TRUE(pair.client.established && pair.server.established);
  EXPECT_EQ(pair.client.established->version, "TLSv1.3");
  EXPECT_THAT(pair.client.established->cipher, HasSubstr("TLS_"));
  EXPECT_EQ(pair.client.established->alpn, "");
  EXPECT_EQ(pair.client.established->peer_certificate, test_identity()->leaf_der());
  EXPECT_TRUE(pair.server.established->peer_certificate.empty());
  EXPECT_EQ(pair.client.session.peer_certificate(), test_identity()->leaf_der());
  EXPECT_EQ(pair.client.session.next_timeout(), std::nullopt);
  EXPECT_EQ(pair.server.session.next_timeout(), std::nullopt);
}

struct AlpnCase {
  std::vector<std::string> client;
  std::vector<std::string> server;
  std::optional<std::string> chosen;  // nothing: the handshake fails
};

TEST(TlsSession, ServerPicksItsOwnFirstAlpnNameThatTheClientOffers) {
  const AlpnCase cases[] = {
      {{"h2", "http/1.1"}, {"http/1.1", "h2"}, "http/1.1"},
      {{"http/1.1"}, {"h2", "http/1.1"}, "http/1.1"},
      {{"stun.turn"}, {"stun.turn"}, "stun.turn"},
      {{}, {"h2"}, ""},
      {{"h2"}, {}, ""},
      {{"h2", "stun.turn"}, {"http/1.1"}, std::nullopt},
  };
  for (const AlpnCase& example : cases) {
    TlsConfig client = client_config();
    client.alpn = example.client;
    TlsConfig server = server_config();
    server.alpn = example.server;
    TlsPair pair(client, server);
    pair.run();
    if (example.chosen) {
      ASSERT_TRUE(pair.client.established && pair.server.established);
      EXPECT_EQ(pair.client.established->alpn, *example.chosen);
      EXPECT_EQ(pair.server.established->alpn, *example.chosen);
    } else {
      ASSERT_TRUE(pair.client.closed && pair.server.closed);
      EXPECT_EQ(pair.client.closed->error.code(), Errc::protocol_not_supported);
      EXPECT_EQ(pair.server.closed->error.code(), Errc::protocol_not_supported);
    }
  }
}

TEST(TlsSession, MegabytesEachWayWithBackpressure) {
  SeededRng rng(2);
  TlsPair pair;
  pair.piece = 40'000;
  pair.rng = &rng;
  pair.client.to_write = random_bytes(5 << 20, 3);
  pair.server.to_write = random_bytes(5 << 20, 4);
  pair.run();
  EXPECT_EQ(pair.server.received, pair.client.to_write);
  EXPECT_EQ(pair.client.received, pair.server.to_write);
  EXPECT_GE(pair.client.writable, 3);
  const TlsLimits limits;
  EXPECT_LE(pair.most_waiting, limits.max_input + 40'000);
  EXPECT_LE(pair.most_waiting, limits.max_output + 17'000);
}

TEST(TlsSession, ReaderThatStopsStopsItsWriter) {
  TlsPair pair;
  pair.server.reads = false;
  pair.client.to_write = random_bytes(5 << 20, 3);
  pair.run();
  EXPECT_LT(pair.client.written, 400'000u);
  EXPECT_FALSE(pair.server.session.wants_bytes());
  EXPECT_EQ(pair.server.readable, 1) << "edge-triggered";
  pair.server.reads = true;
  pair.run();
  EXPECT_EQ(pair.server.received, pair.client.to_write);
}

TEST(TlsSession, InputThatWasNotWantedEndsTheSession) {
  TlsPair pair;
  pair.run();
  pair.server.reads = false;
  pair.client.to_write = random_bytes(1 << 20, 3);
  Bytes wire(65'536);
  while (!pair.server.closed && pair.client.written < pair.client.to_write.size()) {
    pair.client.act();
    pair.server.session.handle_bytes(pair.now, BytesView(wire).first(pair.client.session.poll_bytes(pair.now, wire)));
    pair.server.act();
  }
  ASSERT_TRUE(pair.server.closed);
  EXPECT_EQ(pair.server.closed->error.code(), Errc::limit_reached);
}

TEST(TlsSession, CloseIsCleanAfterEverythingWritten) {
  TlsPair pair;
  pair.piece = 1000;
  pair.client.to_write = random_bytes(200'000, 5);
  pair.client.closes_when_written = true;
  pair.run();
  EXPECT_EQ(pair.server.received, pair.client.to_write);
  EXPECT_TRUE(pair.server.is_end);
  for (const TlsEnd* end : {&pair.client, &pair.server}) {
    ASSERT_TRUE(end->closed.has_value());
    EXPECT_TRUE(end->closed->is_clean);
    EXPECT_EQ(end->closed->error.code(), Errc::connection_closed);
  }
  EXPECT_EQ(pair.client.session.write(to_bytes("more")).error().code(), Errc::connection_closed);
  EXPECT_EQ(pair.server.session.write(to_bytes("more")).error().code(), Errc::connection_closed);
  Bytes buffer(10);
  EXPECT_EQ(pair.client.session.read(buffer).error().code(), Errc::connection_closed);
  EXPECT_TRUE(pair.server.session.read(buffer)->is_end);
  pair.server.session.handle_eof(pair.now);
  pair.server.closed.reset();
  pair.server.act();
  EXPECT_FALSE(pair.server.closed) << "TlsClosed comes once";
}

TEST(TlsSession, NothingIsSaidAfterTheEndThoughOutputStillLeaves) {
  TlsPair pair;
  pair.run();
  const auto taken = pair.client.session.write(random_bytes(1 << 20, 6));
  ASSERT_TRUE(taken && *taken < 1 << 20);
  pair.client.session.close();
  pair.client.take_events();
  ASSERT_TRUE(pair.client.closed);
  pair.run();
  EXPECT_EQ(pair.client.writable, 0);
  EXPECT_EQ(pair.server.received.size(), *taken);
  EXPECT_TRUE(pair.server.is_end);
}

TEST(TlsSession, EndOfTheTransportWithoutCloseNotifyIsATruncation) {
  TlsPair pair;
  pair.server.reads = false;
  pair.client.to_write = to_bytes("only half of it");
  pair.run();
  pair.server.session.handle_eof(pair.now);
  pair.server.take_events();
  EXPECT_FALSE(pair.server.closed) << "there is still something to read";
  EXPECT_FALSE(pair.server.session.wants_bytes());
  pair.server.reads = true;
  pair.server.act();
  EXPECT_EQ(as_text(pair.server.received), "only half of it");
  EXPECT_FALSE(pair.server.is_end);
  ASSERT_TRUE(pair.server.closed && pair.server.read_error);
  EXPECT_FALSE(pair.server.closed->is_clean);
  EXPECT_EQ(pair.server.closed->error.code(), Errc::tls_truncated);
  EXPECT_EQ(pair.server.read_error->code(), Errc::tls_truncated);
}

TEST(TlsSession, HandshakeHasADeadline) {
  TlsPair pair;
  EXPECT_EQ(pair.server.session.next_timeout(), k_test_start + 10s);
  pair.server.session.handle_timeout(k_test_start + 10s - 1ns);
  pair.server.act();
  EXPECT_FALSE(pair.server.closed);
  pair.server.session.handle_timeout(k_test_start + 10s);
  pair.server.act();
  ASSERT_TRUE(pair.server.closed);
  EXPECT_EQ(pair.server.closed->error.code(), Errc::phase_timeout);
  EXPECT_EQ(pair.server.session.next_timeout(), std::nullopt);
}

TEST(TlsSession, WriteBeforeTheHandshakeIsOverWaitsForWritable) {
  TlsPair pair;
  EXPECT_EQ(pair.client.session.write(to_bytes("early")).value(), 0u);
  pair.run();
  EXPECT_EQ(pair.client.writable, 1);
}

TEST(TlsSession, ExportsTheSameKeyingMaterialOnBothSides) {
  TlsPair pair;
  EXPECT_EQ(pair.client.session.export_keying_material("EXPORTER-test", std::nullopt, 32).error().code(),
            Errc::connection_closed);
  pair.run();
  const auto one = pair.client.session.export_keying_material("EXPORTER-test", as_bytes("context"), 60);
  const auto other = pair.server.session.export_keying_material("EXPORTER-test", as_bytes("context"), 60);
  ASSERT_TRUE(one && other);
  EXPECT_EQ(*one, *other);
  EXPECT_EQ(one->size(), 60u);
  EXPECT_NE(*one, pair.client.session.export_keying_material("EXPORTER-else", as_bytes("context"), 60).value());
  EXPECT_NE(*one, pair.client.session.export_keying_material("EXPORTER-test", as_bytes("other"), 60).value());
  EXPECT_EQ(pair.client.session.export_keying_material("EXPORTER-test", {}, 8160).value().size(), 8160u);
  EXPECT_EQ(pair.client.session.export_keying_material("EXPORTER-test", {}, 8161).error().code(),
            Errc::invalid_argument);
  EXPECT_EQ(pair.client.session.export_keying_material(std::string(250, 'a'), {}, 8).error().code(),
            Errc::invalid_argument);
}

TEST(TlsSession, KeepsTheContextItWasMadeFrom) {
  auto context = make_context(TlsTransport::stream, server_config());
  TlsPair pair;
  pair.server.session = TlsSession::accept(context, k_test_start, k_test_wall).value();
  TlsConfig renewed = server_config();
  renewed.identity = test_authority().issue().identity();
  context = make_context(TlsTransport::stream, renewed);
  pair.run();
  ASSERT_TRUE(pair.client.established);
  EXPECT_EQ(pair.client.established->peer_certificate, test_identity()->leaf_der());
  TlsPair next;
  next.server.session = TlsSession::accept(context, k_test_start, k_test_wall).value();
  next.run();
  ASSERT_TRUE(next.client.established);
  EXPECT_EQ(next.client.established->peer_certificate, renewed.identity->leaf_der());
}

TEST(TlsContext, RefusesWhatCannotWork) {
  const auto code = [](TlsTransport transport, const TlsConfig& config) {
    return TlsContext::create(transport, config).error().code();
  };
  EXPECT_EQ(code(TlsTransport::stream, {.role = TlsRole::server}), Errc::invalid_argument);
  EXPECT_EQ(code(TlsTransport::stream, {.alpn = {""}}), Errc::invalid_argument);
  EXPECT_EQ(code(TlsTransport::stream, {.alpn = {std::string(256, 'a')}}), Errc::invalid_argument);
  EXPECT_EQ(code(TlsTransport::stream, {.alpn = std::vector<std::string>(300, std::string(255, 'a'))}),
            Errc::invalid_argument);
  EXPECT_EQ(code(TlsTransport::datagram, {.handshake_timeout = 0s}), Errc::invalid_argument);
  const auto client = make_context(TlsTransport::stream, client_config());
  const auto refused = [&](const TlsPeer& peer) {
    return TlsSession::connect(client, peer, k_test_start, k_test_wall).error().code();
  };
  EXPECT_EQ(refused({}), Errc::invalid_argument) << "authorities without a name";
  EXPECT_EQ(refused({.server_name = "no name"}), Errc::invalid_argument);
  EXPECT_EQ(TlsSession::accept(client, k_test_start, k_test_wall).error().code(), Errc::invalid_argument);
  const auto datagrams = make_context(TlsTransport::datagram, server_config());
  EXPECT_EQ(TlsSession::accept(datagrams, k_test_start, k_test_wall).error().code(), Errc::invalid_argument);
  const auto trustless = make_context(TlsTransport::stream, {});
  EXPECT_EQ(TlsSession::connect(trustless, {.server_name = "a"}, k_test_start, k_test_wall).error().code(),
            Errc::invalid_argument);
}

}  // namespace
}  // namespace dig::crypto
