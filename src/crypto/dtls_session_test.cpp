// SPDX-License-Identifier: Apache-2.0
#include "crypto/dtls_session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "crypto/testing/dtls_pair.hpp"
#include "crypto/testing/heap_in_use.hpp"

namespace dig::crypto {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void expect_established(const DtlsPair& pair) {
  ASSERT_TRUE(pair.client.established && pair.server.established);
  ASSERT_FALSE(pair.client.closed || pair.server.closed);
}

TEST(DtlsSession, HandshakeAndDataBothWays) {
  DtlsPair pair;
  EXPECT_EQ(pair.client.session.send(to_bytes("early")).error().code(), Errc::connection_closed);
  pair.run();
  expect_established(pair);
  EXPECT_EQ(pair.now, k_test_start) << "nothing was lost, no timer was needed";
  EXPECT_EQ(pair.client.established->version, "DTLSv1.2");
  EXPECT_THAT(pair.client.established->cipher, HasSubstr("ECDHE_ECDSA_WITH_AES"));
  EXPECT_EQ(pair.client.established->peer_certificate, test_identity()->leaf_der());
  EXPECT_EQ(pair.client.session.next_timeout(), std::nullopt);
  EXPECT_EQ(pair.server.session.next_timeout(), std::nullopt);
  ASSERT_TRUE(pair.client.session.send(to_bytes("one")) && pair.client.session.send(to_bytes("two")));
  ASSERT_TRUE(pair.server.session.send(to_bytes("three")));
  pair.settle();
  EXPECT_THAT(pair.server.received, ElementsAre("one", "two"));
  EXPECT_THAT(pair.client.received, ElementsAre("three"));
  EXPECT_EQ(pair.client.readable, 1);
}

TEST(DtlsSession, AnyLostFlightIsRepairedByTimers) {
  for (const bool loses_to_server : {false, true}) {
    for (int lost = 0; lost < 4; ++lost) {
      DtlsPair pair;
      int flight = 0;
      pair.network = [&](bool to_server, std::vector<Bytes>& datagrams) {
        if (to_server == loses_to_server && !datagrams.empty() && flight++ == lost) datagrams.clear();
      };
      pair.run();
      expect_established(pair);
      EXPECT_LE(pair.now, k_test_start + 3s) << lost;
      ASSERT_TRUE(pair.client.session.send(to_bytes("data")));
      pair.network = {};
      pair.settle();
      EXPECT_THAT(pair.server.received, ElementsAre("data"));
    }
  }
}

TEST(DtlsSession, AnyLostDatagramIsRepairedByTimers) {
  TlsConfig server = server_config();
  server.identity = test_authority().issue({.padding = 4000}).identity();
  for (int lost = 0; lost < 12; ++lost) {
    DtlsPair pair(client_config(), server);
    int index = 0;
    pair.network = [&](bool, std::vector<Bytes>& datagrams) {
      std::erase_if(datagrams, [&](const Bytes&) { return index++ == lost; });
    };
    pair.run();
    expect_established(pair);
  }
}

TEST(DtlsSession, HeavyLossDuplicatesAndReorderingAreSurvived) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    SeededRng rng(seed);
    TlsConfig client = client_config();
    client.handshake_timeout = 10min;
    TlsConfig server = server_config();
    server.handshake_timeout = 10min;
    DtlsPair pair(client, server);
    pair.network = [&](bool, std::vector<Bytes>& datagrams) {
      std::vector<Bytes> arriving;
      for (const Bytes& datagram : datagrams) {
        for (std::uint64_t copies = rng.below(3); copies > 0; --copies) {
          arriving.insert(arriving.begin() + static_cast<std::ptrdiff_t>(rng.below(arriving.size() + 1)), datagram);
        }
      }
      datagrams = std::move(arriving);
    };
    pair.run(10min);
    expect_established(pair);
  }
}

TEST(DtlsSession, DeadPeerEndsAtTheDeadline) {
  DtlsPair pair;
  pair.network = [](bool, std::vector<Bytes>& datagrams) { datagrams.clear(); };
  pair.run();
  ASSERT_TRUE(pair.client.closed && pair.server.closed);
  EXPECT_EQ(pair.client.closed->error.code(), Errc::phase_timeout);
  EXPECT_EQ(pair.now, k_test_start + 10s);
  EXPECT_EQ(pair.transcript.size(), 4u) << "RFC 6347 §4.2.4.1: at 0, 1, 3 and 7 seconds";
  EXPECT_EQ(pair.client.session.next_timeout(), std::nullopt);
}

TEST(DtlsSession, NoDatagramExceedsItsSizeEvenWithALongChain) {
  TlsConfig server = server_config();
  server.identity = test_authority().issue({.is_rsa = true, .intermediates = 3, .padding = 12'000}).identity();
  for (const std::uint16_t size : {std::uint16_t{256}, std::uint16_t{500}, std::uint16_t{1200}, std::uint16_t{4096}}) {
    DtlsPair pair(client_config(), server, {.max_datagram = size});
    bool has_lost = false;
    pair.network = [&](bool to_server, std::vector<Bytes>& datagrams) {  // what is sent again must fit, too
      if (!to_server && datagrams.size() > 2 && !std::exchange(has_lost, true)) datagrams.resize(datagrams.size() / 2);
    };
    pair.run();
    expect_established(pair);
    ASSERT_TRUE(pair.client.session.send(Bytes(pair.client.session.max_send_size(), std::byte{'x'})));
    EXPECT_EQ(pair.client.session.send(Bytes(pair.client.session.max_send_size() + 1)).error().code(),
              Errc::datagram_too_large);
    pair.settle();
    ASSERT_EQ(pair.server.received.size(), 1u);
    EXPECT_LE(pair.client.largest, size);
    EXPECT_LE(pair.server.largest, size);
    EXPECT_GE(pair.client.largest + 8, size) << "the room is used";
  }
}

TEST(DtlsSession, QueuesAreBounded) {
  DtlsPair pair;
  pair.run();
  const Bytes datagram(1000, std::byte{'x'});
  std::size_t taken = 0;
  while (pair.client.session.send(datagram)) ++taken;
  EXPECT_EQ(pair.client.session.send(datagram).error().code(), Errc::limit_reached);
  EXPECT_GT(taken, 50u);
  EXPECT_LT(pair.client.session.snapshot().output_waiting, 65'537u);
  for (int round = 0; round < 3; ++round) {  // nobody reads
    for (const Bytes& sent : pair.client.take(pair.now)) pair.server.give(pair.now, sent);
    while (pair.client.session.send(datagram)) {
    }
  }
  EXPECT_LT(pair.server.session.snapshot().input_waiting, 65'537u);
  EXPECT_GT(pair.server.session.snapshot().input_dropped, 50u);
  EXPECT_EQ(pair.client.session.send({}).error().code(), Errc::invalid_argument);
}

TEST(DtlsSession, DataPathCarriesOneDatagramToOneBuffer) {
  DtlsPair pair;
  pair.run();
  Bytes sealed(1200);
  Bytes opened(DtlsSession::max_plaintext);
  for (int i = 0; i < 100; ++i) {
    const Bytes plaintext = to_bytes("packet " + std::to_string(i));
    const auto size = pair.client.session.seal(plaintext, sealed);
    ASSERT_TRUE(size.has_value());
    EXPECT_FALSE(pair.client.session.poll_transmit(pair.now, sealed)) << "it went around the queue";
    const auto got = pair.server.session.receive(pair.now, BytesView(sealed).first(*size), opened);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(to_bytes(BytesView(opened).first(*got)), plaintext);
    EXPECT_EQ(pair.server.session.receive(pair.now, BytesView(sealed).first(*size), opened), std::nullopt)
        << "replayed";
  }
  EXPECT_EQ(pair.client.session.seal(to_bytes("x"), MutableBytes(sealed).first(1199)).error().code(),
            Errc::datagram_too_large);
  EXPECT_EQ(pair.client.session.seal(Bytes(1200), sealed).error().code(), Errc::datagram_too_large);
  EXPECT_EQ(pair.server.session.poll_event(), std::nullopt);
}

TEST(DtlsSession, DataPathAllocatesNothing) {
  if (!can_count_allocations()) GTEST_SKIP() << "needs the address sanitizer, which sees OpenSSL's allocations as well";
  DtlsPair pair;
  pair.run();
  const Bytes plaintext(1000, std::byte{'x'});
  Bytes sealed(1200);
  Bytes opened(DtlsSession::max_plaintext);
  Bytes forged;
  const auto carry = [&] {
    const std::size_t size = pair.client.session.seal(plaintext, sealed).value_or(0);
    return pair.server.session.receive(pair.now, BytesView(sealed).first(size), opened).value_or(0);
  };
  const auto carry_through_queues = [&] {
    if (!pair.client.session.send(plaintext)) return std::size_t{0};
    const auto transmit = pair.client.session.poll_transmit(pair.now, sealed);
    pair.server.give(pair.now, BytesView(sealed).first(transmit->size));
    (void)pair.server.session.poll_event();
    return pair.server.session.read(opened).value_or(0);
  };
  ASSERT_EQ(carry(), 1000u);
  ASSERT_EQ(carry_through_queues(), 1000u);
  forged.assign(sealed.begin(), sealed.begin() + 1000);
  const std::uint64_t before = allocations();
  std::size_t carried = 0;
  for (int i = 0; i < 100; ++i) carried += carry();
  EXPECT_EQ(allocations() - before, 0u) << "seal and receive";
  (void)carry_through_queues();
  const std::uint64_t before_queues = allocations();
  for (int i = 0; i < 100; ++i) carried += carry_through_queues();
  EXPECT_EQ(allocations() - before_queues, 0u) << "the queues";
  EXPECT_EQ(carried, 200'000u);
  const std::uint64_t before_forged = allocations();
  for (int i = 0; i < 100; ++i) (void)pair.server.session.receive(pair.now, forged, opened);
  EXPECT_EQ(allocations() - before_forged, 0u) << "nor does an attacker make it allocate";
}

TEST(DtlsSession, DataPathKeepsOrderWithOtherRecordsAndSmallBuffers) {
  DtlsPair pair;
  pair.run();
  Bytes both;
  Bytes sealed(1200);
  for (const char* text : {"first", "second", "third"}) {
    append(both, BytesView(sealed).first(pair.client.session.seal(to_bytes(text), sealed).value()));
  }
  Bytes opened(DtlsSession::max_plaintext);
  const auto first = pair.server.session.receive(pair.now, both, opened);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(as_text(BytesView(opened).first(*first)), "first");
  const auto size = pair.client.session.seal(to_bytes("fourth"), sealed);
  const auto next =
      pair.server.session.receive(pair.now, BytesView(sealed).first(*size), MutableBytes(opened).first(100));
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(as_text(BytesView(opened).first(*next)), "second");
  pair.server.act();
  EXPECT_THAT(pair.server.received, ElementsAre("third", "fourth"));
}

TEST(DtlsSession, BatchesOfSegmentsAreTakenApart) {
  DtlsPair pair;
  pair.run();
  Bytes batch;
  std::size_t segment = 0;
  for (const char* text : {"one", "two", "six"}) {
    Bytes sealed(1200);
    segment = pair.client.session.seal(to_bytes(text), sealed).value();
    append(batch, BytesView(sealed).first(segment));
  }
  pair.server.session.handle_datagram({.now = pair.now,
                                       .local = k_server_path.local,
                                       .remote = k_server_path.remote,
                                       .bytes = batch,
                                       .segment_size = static_cast<std::uint16_t>(segment)});
  pair.server.act();
  EXPECT_THAT(pair.server.received, ElementsAre("one", "two", "six"));
}

TEST(DtlsSession, CloseReachesTheOtherEnd) {
  DtlsPair pair;
  pair.run();
  ASSERT_TRUE(pair.client.session.send(to_bytes("last words")));
  pair.client.session.close();
  pair.run();
  EXPECT_THAT(pair.server.received, ElementsAre("last words"));
  for (const DtlsEnd* end : {&pair.client, &pair.server}) {
    ASSERT_TRUE(end->closed.has_value());
    EXPECT_TRUE(end->closed->is_clean);
    EXPECT_EQ(end->closed->error.code(), Errc::connection_closed);
  }
  EXPECT_EQ(pair.server.session.send(to_bytes("x")).error().code(), Errc::connection_closed);
}

TEST(DtlsSession, CertificatesAndFingerprintsOfBothSides) {
  const auto one = TlsIdentity::make_self_signed({"one"}, 1h, k_test_wall).value();
  const auto other = TlsIdentity::make_self_signed({"other"}, 1h, k_test_wall).value();
  const TlsConfig client{.identity = one, .trust = TlsTrust::fingerprint(other->fingerprint())};
  TlsConfig server{.role = TlsRole::server,
                   .identity = other,
                   .trust = TlsTrust::fingerprint(one->fingerprint()),
                   .client_certificate = ClientCertificate::required};
  DtlsPair pair(client, server, {}, "");
  pair.run();
  expect_established(pair);
  EXPECT_EQ(pair.server.session.peer_certificate(), one->leaf_der());
  EXPECT_EQ(pair.client.session.export_keying_material("EXTRACTOR-dtls_srtp", std::nullopt, 60).value(),
            pair.server.session.export_keying_material("EXTRACTOR-dtls_srtp", std::nullopt, 60).value());
  server.trust = TlsTrust::fingerprint(other->fingerprint());
  DtlsPair refused(client, server, {}, "");
  refused.run();
  ASSERT_TRUE(refused.server.closed && refused.client.closed);
  EXPECT_EQ(refused.server.closed->error.code(), Errc::certificate_refused);
  EXPECT_EQ(refused.client.closed->error.code(), Errc::tls_failed);
}

TEST(DtlsSession, RefusesLimitsThatCannotWork) {
  const auto context = make_context(TlsTransport::datagram, client_config());
  for (const unsigned size : {0U, 255U, 4097U, 65'535U}) {
    const auto session = DtlsSession::connect(context, {.server_name = "a"}, k_client_path, k_test_start, k_test_wall,
                                              {.max_datagram = static_cast<std::uint16_t>(size)});
    EXPECT_EQ(session.error().code(), Errc::invalid_argument) << size;
  }
}

// The same seed twice: the same bytes at the same moments, lost flight and all.
TEST(DtlsSession, OneSeedGivesOneTranscript) {
  const auto run = [](std::uint64_t seed) {
    SeededRng source(seed);
    const OpensslRandom random(source);
    DtlsPair pair;
    int flight = 0;
    pair.network = [&](bool to_server, std::vector<Bytes>& datagrams) {
      if (!to_server && !datagrams.empty() && flight++ == 0) datagrams.clear();
    };
    pair.run();
    EXPECT_TRUE(pair.client.established && pair.server.established);
    EXPECT_EQ(pair.now, k_test_start + 1s);
    EXPECT_TRUE(pair.client.session.send(to_bytes("data")));
    pair.settle();
    return pair.transcript;
  };
  test_identity();
  const auto first = run(1);
  EXPECT_GT(first.size(), 6u);
  EXPECT_EQ(first, run(1));
  EXPECT_NE(first, run(2));
}

}  // namespace
}  // namespace dig::crypto
