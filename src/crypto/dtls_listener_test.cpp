// SPDX-License-Identifier: Apache-2.0
#include "crypto/dtls_listener.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing/dtls_pair.hpp"
#include "crypto/testing/heap_in_use.hpp"

namespace dig::crypto {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using Verdict = DtlsListener::Verdict;

constexpr std::size_t k_record_header = 13;
constexpr std::size_t k_random_end = k_record_header + 12 + 2 + 32;

// A listener, and clients that speak to it.
class DtlsListenerTest : public ::testing::Test {
 protected:
  DtlsEnd make_client() {
    return {
        DtlsSession::connect(client_context, {.server_name = "turn.example"}, k_client_path, now, k_test_wall).value(),
        k_client_path};
  }
  static Bytes only(std::vector<Bytes> datagrams) {
    EXPECT_EQ(datagrams.size(), 1u);
    return datagrams.empty() ? Bytes() : datagrams.front();
  }
  DtlsListener::Answer ask(BytesView datagram) { return ask(datagram, k_server_path.remote); }
  DtlsListener::Answer ask(BytesView datagram, const Endpoint& remote) {
    const Bytes copy = to_bytes(datagram);
    return listener.handle_datagram({.now = now, .local = k_server_path.local, .remote = remote, .bytes = copy}, rng,
                                    out);
  }
  BytesView reply(const DtlsListener::Answer& answer) { return BytesView(out).first(answer.size); }
  // What the client says when it was asked for its cookie.
  Bytes hello_with_cookie(DtlsEnd& client) {
    const auto answer = ask(only(client.take(now)));
    EXPECT_EQ(answer.verdict, Verdict::challenged);
    client.give(now, reply(answer));
    return only(client.take(now));
  }
  Result<DtlsSession> accept(BytesView hello) {
    return listener.accept({.now = now, .local = k_server_path.local, .remote = k_server_path.remote, .bytes = hello},
                           server_context, k_test_wall);
  }

  std::shared_ptr<const TlsContext> client_context = make_context(TlsTransport::datagram, client_config());
  std::shared_ptr<const TlsContext> server_context = make_context(TlsTransport::datagram, server_config());
  Instant now = k_test_start;
  VirtualClock clock{k_test_wall, k_test_start};
  SeededRng rng{1};
  DtlsListener listener{rng, now};
  Bytes out = Bytes(1500);
};

TEST_F(DtlsListenerTest, ClientThatAnswersGetsASession) {
  DtlsEnd client = make_client();
  const Bytes hello = hello_with_cookie(client);
  ASSERT_EQ(ask(hello).verdict, Verdict::proven);
  auto session = accept(hello);
  ASSERT_TRUE(session.has_value()) << session.error().message();
  DtlsPair pair;
  pair.client = std::move(client);
  pair.server = {std::move(*session), k_server_path};
  EXPECT_EQ(listener.snapshot().half_open, 1u);
  pair.run();
  ASSERT_TRUE(pair.client.established && pair.server.established);
  EXPECT_EQ(pair.now, k_test_start) << "no flight had to be repeated";
  EXPECT_EQ(listener.snapshot().half_open, 0u);
  ASSERT_TRUE(pair.client.session.send(to_bytes("through the door")));
  pair.settle();
  EXPECT_THAT(pair.server.received, ElementsAre("through the door"));
  const DtlsListenerStatus status = listener.snapshot();
  EXPECT_EQ(status.challenged, 1u);
  EXPECT_EQ(status.cookies_right, 1u);
  EXPECT_EQ(status.cookies_wrong, 0u);
}

TEST_F(DtlsListenerTest, LostFlightsBehindTheDoorAreRepaired) {
  for (int lost = 0; lost < 4; ++lost) {
    DtlsEnd client = make_client();
    const Bytes hello = hello_with_cookie(client);
    auto session = accept(hello);
    ASSERT_TRUE(session.has_value());
    DtlsPair pair;
    pair.client = std::move(client);
    pair.server = {std::move(*session), k_server_path};
    int flight = 0;
    pair.network = [&](bool, std::vector<Bytes>& datagrams) {
      if (!datagrams.empty() && flight++ == lost) datagrams.clear();
    };
    pair.run();
    EXPECT_TRUE(pair.client.established && pair.server.established) << lost;
  }
}

TEST_F(DtlsListenerTest, HelloVerifyRequestIsNeverLargerThanTheHello) {
  DtlsEnd client = make_client();
  const Bytes hello = only(client.take(now));
  const auto answer = ask(hello);
  ASSERT_EQ(answer.verdict, Verdict::challenged);
  EXPECT_EQ(answer.size, 60u);
  // The smallest that is answered: no session id, no cookie, one suite, one compression method, no extensions.
  Bytes smallest(hello.begin(), hello.begin() + k_random_end);
  append(smallest, as_bytes(std::string_view("\0\0\0\2\xc0\x2b\1\0", 8)));
  smallest[12] = static_cast<std::byte>(smallest.size() - 13);
  smallest[16] = smallest[24] = static_cast<std::byte>(smallest.size() - 25);
  smallest[15] = smallest[23] = std::byte{0};
  smallest[11] = std::byte{0};
  ASSERT_EQ(smallest.size(), 67u);
  EXPECT_EQ(ask(smallest).verdict, Verdict::challenged);
  EXPECT_LT(ask(smallest).size, smallest.size());
  for (std::size_t size = 0; size < smallest.size(); ++size) {
    EXPECT_EQ(ask(BytesView(smallest).first(size)).verdict, Verdict::ignored);
  }
}

TEST_F(DtlsListenerTest, CookieIsGoodForItsAddressOnly) {
  DtlsEnd client = make_client();
  const Bytes hello = hello_with_cookie(client);
  Endpoint other = k_server_path.remote;
  ++other.port;
  EXPECT_EQ(ask(hello, other).verdict, Verdict::challenged);
  other = {IpAddress::v4({192, 0, 2, 77}), k_server_path.remote.port};
  EXPECT_EQ(ask(hello, other).verdict, Verdict::challenged);
  const auto v6 = IpAddress::v6({192, 0, 2, 1});
  EXPECT_EQ(ask(hello, {v6, k_server_path.remote.port}).verdict, Verdict::challenged);
  EXPECT_EQ(listener.snapshot().cookies_wrong, 3u);
  EXPECT_EQ(ask(hello).verdict, Verdict::proven);
}

TEST_F(DtlsListenerTest, CookieIsGoodForItsHelloOnly) {
  DtlsEnd client = make_client();
  const Bytes hello = hello_with_cookie(client);
  std::size_t proven = 0;
  for (std::size_t bit = 0; bit < hello.size() * 8; ++bit) {
    Bytes altered = hello;
    altered[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    if (ask(altered).verdict != Verdict::proven) continue;
    ++proven;
    const std::size_t at = bit / 8;
    const std::size_t after_cookie = k_random_end + 1 + 1 + 32;
    EXPECT_TRUE(at == 2 || (at >= 5 && at < 11) || at > after_cookie)
        << "only numbers, versions and extensions: " << at;
    (void)accept(altered);  // whatever OpenSSL makes of it
  }
  EXPECT_GT(proven, 0u);
}

TEST_F(DtlsListenerTest, CookieEndsWithItsTime) {
  DtlsEnd client = make_client();
  const Bytes hello = hello_with_cookie(client);
  now = k_test_start + 119s;
  EXPECT_EQ(ask(hello).verdict, Verdict::proven) << "the secret of the window before";
  now = k_test_start + 120s;
  EXPECT_EQ(ask(hello).verdict, Verdict::challenged);
  now = k_test_start;
  EXPECT_EQ(ask(hello).verdict, Verdict::challenged) << "a clock that goes back revives nothing";
}

TEST_F(DtlsListenerTest, CookieEndsWhenNobodyCameForLong) {
  DtlsEnd client = make_client();
  const Bytes hello = hello_with_cookie(client);
  now = now + 24h;
  EXPECT_EQ(ask(hello).verdict, Verdict::challenged);
  EXPECT_FALSE(accept(hello).has_value());
}

TEST_F(DtlsListenerTest, OnlyProvenHellosAreAccepted) {
  DtlsEnd client = make_client();
  const Bytes first = only(client.take(now));
  EXPECT_EQ(accept(first).error().code(), Errc::tls_failed);
  EXPECT_EQ(accept(Bytes(100)).error().code(), Errc::tls_failed);
  EXPECT_EQ(listener.snapshot().half_open, 0u);
}

TEST_F(DtlsListenerTest, HalfOpenSessionsAreCountedUntilTheyEnd) {
  std::vector<DtlsSession> sessions;
  for (int i = 0; i < 5; ++i) {
    DtlsEnd client = make_client();
    sessions.push_back(accept(hello_with_cookie(client)).value());
  }
  EXPECT_EQ(listener.snapshot().half_open, 5u);
  sessions.pop_back();
  EXPECT_EQ(listener.snapshot().half_open, 4u);
  for (DtlsSession& session : sessions) session.handle_timeout(now + 10s);
  EXPECT_EQ(listener.snapshot().half_open, 0u);
}

TEST_F(DtlsListenerTest, FragmentsAndOtherRecordsAreIgnored) {
  DtlsEnd client = make_client();
  const Bytes hello = only(client.take(now));
  const auto verdict_with = [&](std::size_t at, int value) {
    Bytes altered = hello;
    altered[at] = static_cast<std::byte>(value);
    return ask(altered).verdict;
  };
  EXPECT_EQ(verdict_with(0, 21), Verdict::ignored) << "alert";
  EXPECT_EQ(verdict_with(1, 3), Verdict::ignored) << "TLS";
  EXPECT_EQ(verdict_with(4, 1), Verdict::ignored) << "epoch 1";
  EXPECT_EQ(verdict_with(13, 2), Verdict::ignored) << "ServerHello";
  EXPECT_EQ(verdict_with(21, 1), Verdict::ignored) << "fragment offset";
  EXPECT_EQ(verdict_with(24, std::to_integer<int>(hello[24]) - 1), Verdict::ignored) << "fragment size";
  EXPECT_EQ(verdict_with(16, std::to_integer<int>(hello[16]) + 1), Verdict::ignored) << "message size";
  EXPECT_EQ(verdict_with(k_random_end, 33), Verdict::ignored) << "session id";
  Bytes longer = hello;
  longer.push_back(std::byte{0});
  EXPECT_EQ(ask(longer).verdict, Verdict::ignored);
  EXPECT_EQ(ask({}).verdict, Verdict::ignored);
  EXPECT_EQ(listener
                .handle_datagram({.now = now, .remote = k_server_path.remote, .bytes = hello}, rng,
                                 MutableBytes(out).first(59))
                .verdict,
            Verdict::ignored);
  DtlsEnd other = make_client();
  Bytes renumbered = hello_with_cookie(other);
  renumbered[18] = std::byte{2};
  EXPECT_EQ(ask(renumbered).verdict, Verdict::ignored) << "OpenSSL goes on from message 1";
}

TEST_F(DtlsListenerTest, AFloodFromManySourcesGrowsNothing) {
  DtlsEnd client = make_client();
  const Bytes first = only(client.take(now));
  DtlsEnd other = make_client();
  Bytes wrong = hello_with_cookie(other);
  wrong[k_random_end + 10] ^= std::byte{1};  // in the cookie
  const std::size_t before = heap_in_use();
  Instant time = now;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const auto octet = [i](int shift) { return static_cast<std::uint8_t>(i >> shift); };
    const Endpoint source{IpAddress::v4({10, octet(16), octet(8), octet(0)}),
                          static_cast<std::uint16_t>(1 + i % 60'000)};
    time = time + 1ms;
    const auto answer = listener.handle_datagram(
        {.now = time, .local = k_server_path.local, .remote = source, .bytes = i % 2 == 0 ? first : wrong}, rng, out);
    ASSERT_EQ(answer.verdict, Verdict::challenged);
  }
  EXPECT_LE(heap_in_use(), before + 1024);
  EXPECT_EQ(listener.snapshot().challenged, 100'001u);
  EXPECT_EQ(listener.snapshot().cookies_wrong, 50'000u);
  EXPECT_EQ(listener.snapshot().half_open, 0u);
}

TEST_F(DtlsListenerTest, GarbageOfOneSourceDoesNotTouchTheNext) {
  SeededRng garbage_rng(3);
  for (int i = 0; i < 50; ++i) {
    DtlsEnd client = make_client();
    const Bytes hello = only(client.take(now));
    for (int j = 0; j < 50; ++j) {
      Bytes garbage = hello;
      for (int flips = 0; flips < 4; ++flips)
        garbage[garbage_rng.below(garbage.size())] ^= static_cast<std::byte>(garbage_rng.below(256));
      garbage.resize(garbage_rng.below(garbage.size() + 1));
      (void)ask(garbage, {IpAddress::v4({10, 0, 0, 1}), 9});
    }
    const auto answer = ask(hello);
    ASSERT_EQ(answer.verdict, Verdict::challenged);
    client.give(now, reply(answer));
    const Bytes second = only(client.take(now));
    ASSERT_EQ(ask(second).verdict, Verdict::proven);
    ASSERT_TRUE(accept(second).has_value());
  }
}

TEST_F(DtlsListenerTest, TellsAHelloFromOtherDatagrams) {
  DtlsPair pair;
  pair.run();
  int hellos = 0;
  for (const auto& [to_server, datagram] : pair.transcript) hellos += DtlsListener::is_client_hello(datagram) ? 1 : 0;
  EXPECT_EQ(hellos, 1);
  ASSERT_TRUE(pair.client.session.send(to_bytes("data")));
  EXPECT_FALSE(DtlsListener::is_client_hello(only(pair.client.take(now))));
  EXPECT_FALSE(DtlsListener::is_client_hello({}));
}

}  // namespace
}  // namespace dig::crypto
