// SPDX-License-Identifier: Apache-2.0
// What peers and outsiders may try on a DTLS session.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "base/byte_writer.hpp"
#include "crypto/testing/dtls_pair.hpp"
#include "crypto/testing/heap_in_use.hpp"

namespace dig::crypto {
namespace {

using namespace testing;
using ::testing::ElementsAre;

enum class RecordType : std::uint8_t { change_cipher_spec = 20, alert = 21, handshake = 22, data = 23 };

Bytes record(RecordType type, std::uint16_t epoch, std::uint32_t sequence, BytesView content) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.u8(static_cast<std::uint8_t>(type));
  writer.u16(0xfefd);
  writer.u16(epoch);
  writer.u16(0);
  writer.u32(sequence);
  writer.u16(static_cast<std::uint16_t>(content.size()));
  writer.bytes(content);
  return bytes;
}

void expect_alive(DtlsPair& pair) {
  pair.client.act();
  pair.server.act();
  ASSERT_FALSE(pair.client.closed || pair.server.closed);
  pair.client.received.clear();
  pair.server.received.clear();
  ASSERT_TRUE(pair.client.session.send(to_bytes("still")) && pair.server.session.send(to_bytes("here")));
  pair.settle();
  EXPECT_THAT(pair.server.received, ElementsAre("still"));
  EXPECT_THAT(pair.client.received, ElementsAre("here"));
}

// With the one suite or the other: they differ in how short a record can be.
void expect_altered_records_dropped(const char* suites, const std::string& cipher) {
  DtlsPair pair;
  const auto context = make_context(TlsTransport::datagram, client_config());
  ASSERT_EQ(SSL_CTX_set_cipher_list(context->native(), suites), 1);
  pair.client.session =
      DtlsSession::connect(context, {.server_name = "turn.example"}, k_client_path, k_test_start, k_test_wall).value();
  pair.run();
  ASSERT_TRUE(pair.client.established.has_value());
  ASSERT_EQ(pair.client.established->cipher, cipher);
  Bytes sealed(1200);
  const std::size_t size = pair.client.session.seal(to_bytes("transfer 100 to Bob"), sealed).value();
  for (std::size_t bit = 0; bit < size * 8; ++bit) {
    Bytes altered(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(size));
    altered[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    pair.server.give(pair.now, altered);
    EXPECT_TRUE(pair.server.take(pair.now).empty()) << "an answer would help the attacker, bit " << bit;
  }
  for (std::size_t length = 0; length <= size; ++length) {
    pair.server.give(pair.now, record(RecordType::data, 1, static_cast<std::uint32_t>(1000 + length), Bytes(length)));
    pair.server.give(pair.now, record(RecordType::alert, 1, static_cast<std::uint32_t>(1000 + length), Bytes(length)));
    EXPECT_TRUE(pair.server.take(pair.now).empty()) << length;
  }
  pair.server.act();
  EXPECT_THAT(pair.server.received, ElementsAre()) << "DTLS 1.2 authenticates every byte of a record";
  EXPECT_EQ(pair.server.session.snapshot().datagrams_fruitless, size * 8 + (size + 1) * 2);
  pair.server.give(pair.now, BytesView(sealed).first(size));
  pair.server.act();
  EXPECT_THAT(pair.server.received, ElementsAre("transfer 100 to Bob"));
  expect_alive(pair);
}

TEST(DtlsHostile, AlteredAndShortRecordsAreDroppedInSilence) {
  expect_altered_records_dropped("ECDHE+AESGCM", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
  expect_altered_records_dropped("ECDHE+CHACHA20", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
}

TEST(DtlsHostile, ReplayedRecordsAreDropped) {
  DtlsPair pair;
  pair.run();
  ASSERT_TRUE(pair.client.session.send(to_bytes("once")));
  const std::vector<Bytes> sent = pair.client.take(pair.now);
  for (int i = 0; i < 3; ++i) pair.server.give(pair.now, sent.front());
  pair.server.act();
  EXPECT_THAT(pair.server.received, ElementsAre("once"));
  for (const auto& [to_server, datagram] : pair.transcript) {  // the whole handshake again
    (to_server ? pair.server : pair.client).give(pair.now, datagram);
  }
  expect_alive(pair);
}

TEST(DtlsHostile, AlertsAndHandshakesFromOutsideDoNotEndAnEstablishedSession) {
  DtlsPair pair;
  pair.run();
  for (std::uint16_t epoch = 0; epoch < 4; ++epoch) {
    for (std::uint32_t sequence = 0; sequence < 30; ++sequence) {
      for (DtlsEnd* end : {&pair.client, &pair.server}) {
        end->give(pair.now, record(RecordType::alert, epoch, sequence, to_bytes(std::string_view("\2\0", 2))));
        end->give(pair.now, record(RecordType::alert, epoch, sequence, to_bytes(std::string_view("\1\0", 2))));
        end->give(pair.now, record(RecordType::change_cipher_spec, epoch, sequence, to_bytes("\1")));
        end->give(pair.now, record(RecordType::handshake, epoch, sequence, Bytes(12)));
        end->give(pair.now, record(RecordType::data, epoch, sequence, to_bytes("forged")));
      }
    }
  }
  expect_alive(pair);
}

TEST(DtlsHostile, GarbageDoesNotDisturb) {
  SeededRng rng(1);
  DtlsPair pair;
  pair.run();
  for (int i = 0; i < 3000; ++i) {
    Bytes garbage(rng.below(i % 100 == 0 ? 65'507 : 1500));
    rng.fill(garbage);
    if (i % 2 == 0 && garbage.size() > 13) {
      std::ranges::copy(record(RecordType::data, 1, static_cast<std::uint32_t>(i), {}), garbage.begin());
      garbage[11] = static_cast<std::byte>((garbage.size() - 13) >> 8);
      garbage[12] = static_cast<std::byte>(garbage.size() - 13);
    }
    pair.server.give(pair.now, garbage);
  }
  expect_alive(pair);
}

TEST(DtlsHostile, GarbageDuringTheHandshakeIsSafe) {
  SeededRng rng(2);
  int established = 0;
  for (int i = 0; i < 200; ++i) {
    DtlsPair pair;
    pair.network = [&](bool, std::vector<Bytes>& datagrams) {
      if (datagrams.empty() || rng.below(2) == 0) return;
      Bytes damaged = datagrams[rng.below(datagrams.size())];
      for (int flips = 0; flips < 3; ++flips)
        damaged[rng.below(damaged.size())] ^= static_cast<std::byte>(rng.below(256));
      damaged.resize(1 + rng.below(damaged.size()));
      datagrams.insert(datagrams.begin() + static_cast<std::ptrdiff_t>(rng.below(datagrams.size() + 1)), damaged);
    };
    pair.run(20s);
    for (const DtlsEnd* end : {&pair.client, &pair.server}) EXPECT_TRUE(end->established || end->closed);
    if (pair.client.established && pair.server.established) ++established;
  }
  EXPECT_GT(established, 50);
}

TEST(DtlsHostile, OtherEndpointsAreNotHeard) {
  DtlsPair pair;
  pair.run();
  Bytes sealed(1200);
  const std::size_t size = pair.client.session.seal(to_bytes("data"), sealed).value();
  Endpoint stranger = k_server_path.remote;
  ++stranger.port;
  pair.server.session.handle_datagram(
      {.now = pair.now, .local = k_server_path.local, .remote = stranger, .bytes = BytesView(sealed).first(size)});
  pair.server.act();
  EXPECT_TRUE(pair.server.received.empty());
  EXPECT_EQ(pair.server.session.snapshot().input_dropped, 1u);
}

TEST(DtlsHostile, RecordsAheadOfTheHandshakeCostLittleMemory) {
  DtlsPair pair;
  const std::vector<Bytes> hello = pair.client.take(pair.now);
  pair.server.give(pair.now, hello.front());
  const std::size_t before = heap_in_use();
  for (std::uint32_t i = 0; i < 500; ++i) {
    Bytes datagram = record(RecordType::handshake, 0, i + 1, Bytes(3));
    for (std::uint32_t j = 0; j < 20; ++j) {
      append(datagram, record(RecordType::handshake, 1, i * 20 + j, Bytes(16)));
      append(datagram, record(RecordType::data, 1, i * 20 + j, Bytes(16)));
    }
    pair.server.give(pair.now, datagram);
  }
  EXPECT_LT(heap_in_use(), before + 400'000);
}

TEST(DtlsHostile, MessagesAnnouncedAndNeverSentCostLittleMemory) {
  DtlsPair pair;
  const std::vector<Bytes> hello = pair.client.take(pair.now);
  pair.server.give(pair.now, hello.front());
  const std::size_t before = heap_in_use();
  for (std::uint32_t i = 0; i < 2000; ++i) {
    Bytes fragment;
    ByteWriter writer(fragment);
    writer.u32(0x0b00'0000 | (i % 5 == 0 ? 0xffffff : 30'000));  // Certificate, of so many bytes
    writer.u16(static_cast<std::uint16_t>(1 + i % 200));         // message_seq
    writer.u32(0);                                               // offset, and the high byte of the size
    writer.u16(1);
    fragment.push_back(std::byte{0});
    pair.server.give(pair.now, record(RecordType::handshake, 0, i + 1, fragment));
  }
  EXPECT_LT(heap_in_use(), before + 800'000);
}

}  // namespace
}  // namespace dig::crypto
