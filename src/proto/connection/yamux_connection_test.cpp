// SPDX-License-Identifier: Apache-2.0
// The conformance suite on Noise + yamux, and what only this kind can get wrong: its frames and its handshake.
#include "proto/connection/yamux_connection.hpp"

#include "proto/connection/testing/connection_conformance.hpp"
#include "proto/connection/testing/yamux_pair.hpp"

namespace dig::testing {
namespace {

[[maybe_unused]] const bool k_registered = register_conformance(
    "YamuxConformance", []() -> std::unique_ptr<ConnectionPair> { return std::make_unique<YamuxPair>(); });

class YamuxConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    while (pair.pump_step(65536)) {
    }
    ASSERT_TRUE(pair.dialing().snapshot().is_established);
    ASSERT_TRUE(pair.listening().snapshot().is_established);
    (void)closed_code(pair.listening());
  }
  static std::optional<Errc> closed_code(YamuxConnection& connection) {
    std::optional<Errc> code;
    while (const auto event = connection.poll_event()) {
      if (const auto* closed = std::get_if<Closed>(&*event)) code = closed->error.code();
    }
    return code;
  }
  // One stream with some data as the dialer sends it.
  Bytes sent_bytes(std::size_t size) {
    const auto stream = pair.dialing().open_stream(pair.now());
    EXPECT_TRUE(stream && pair.dialing().write(*stream, Bytes(size, std::byte{'x'})));
    Bytes out(512 * 1024);
    out.resize(pair.dialing().poll_bytes(pair.now(), out));
    return out;
  }

  YamuxPair pair;
};

TEST_F(YamuxConnectionTest, AnAlteredByteAnywhereEndsTheConnection) {
  const Bytes honest = sent_bytes(40);
  for (std::size_t i = noise::Transport::length_size; i < honest.size(); i += 7) {
    YamuxPair fresh;
    while (fresh.pump_step(65536)) {
    }
    const auto stream = fresh.dialing().open_stream(fresh.now());
    ASSERT_TRUE(stream && fresh.dialing().write(*stream, Bytes(40, std::byte{'x'})));
    Bytes bytes(4096);
    bytes.resize(fresh.dialing().poll_bytes(fresh.now(), bytes));
    ASSERT_GT(bytes.size(), i);
    bytes[i] ^= std::byte{1};
    fresh.listening().handle_bytes(fresh.now(), bytes);
    EXPECT_EQ(closed_code(fresh.listening()), Errc::decrypt_failed) << i;
    EXPECT_EQ(fresh.listening().snapshot().streams_inbound, 0U);
  }
}

TEST_F(YamuxConnectionTest, FramesRepeatedOrLeftOutEndTheConnection) {
  const Bytes first = sent_bytes(40);
  const Bytes second = sent_bytes(40);
  pair.listening().handle_bytes(pair.now(), first);
  EXPECT_EQ(closed_code(pair.listening()), std::nullopt);
  pair.listening().handle_bytes(pair.now(), first);
  EXPECT_EQ(closed_code(pair.listening()), Errc::decrypt_failed);
  pair.listening().handle_bytes(pair.now(), second);  // nothing is taken any more
  EXPECT_EQ(closed_code(pair.listening()), std::nullopt);
}

TEST_F(YamuxConnectionTest, AFrameTooShortForItsTagEndsTheConnection) {
  for (const std::uint8_t size : {std::uint8_t{0}, std::uint8_t{15}}) {
    YamuxPair fresh;
    while (fresh.pump_step(65536)) {
    }
    Bytes bytes(noise::Transport::length_size + size);
    bytes[1] = std::byte{size};
    fresh.listening().handle_bytes(fresh.now(), bytes);
    EXPECT_EQ(closed_code(fresh.listening()), Errc::decrypt_failed) << int{size};
  }
}

TEST_F(YamuxConnectionTest, BytesMayArriveInAnyPieces) {
  const Bytes bytes = sent_bytes(200'000);
  SeededRng rng(5);
  for (BytesView rest = bytes; !rest.empty();) {
    const std::size_t count = std::min<std::size_t>(1 + rng.below(rng.below(4) == 0 ? 90'000 : 5), rest.size());
    pair.listening().handle_bytes(pair.now(), rest.first(count));
    rest = rest.subspan(count);
  }
  EXPECT_EQ(closed_code(pair.listening()), std::nullopt);
  EXPECT_EQ(pair.listening().snapshot().buffered_bytes, 200'000U);
}

TEST_F(YamuxConnectionTest, ALargeBufferIsFilledWithManyFrames) {
  const Bytes bytes = sent_bytes(250'000);
  EXPECT_GT(bytes.size(), 250'000U);
  EXPECT_LT(bytes.size(), 250'300U);  // overhead: four frames, not hundreds
}

TEST(YamuxConnectionHandshake, APeerThatSaysNothingIsGivenUp) {
  YamuxPair pair;
  pair.advance(11s, false);
  for (YamuxConnection* connection : {&pair.dialing(), &pair.listening()}) {
    const auto event = connection->poll_event();
    ASSERT_TRUE(event);
    const auto* closed = std::get_if<Closed>(&*event);
    ASSERT_NE(closed, nullptr);
    EXPECT_EQ(closed->error.code(), Errc::phase_timeout);
    EXPECT_FALSE(connection->poll_event());
    EXPECT_EQ(connection->next_timeout(), std::nullopt);
  }
}

TEST(YamuxConnectionHandshake, TheWrongPeerIsRefused) {
  SeededRng rng(3);
  const Identity dialer = Identity::generate(rng);
  const Identity listener = Identity::generate(rng);
  const Instant now{1s};
  YamuxConnection from({.direction = Direction::outbound, .identity = dialer, .expected_peer = dialer.peer_id()}, {},
                       rng, now);
  YamuxConnection to({.direction = Direction::inbound, .identity = listener, .expected_peer = std::nullopt}, {}, rng,
                     now);
  Bytes wire(65536);
  for (int i = 0; i < 10; ++i) {
    to.handle_bytes(now, BytesView(wire).first(from.poll_bytes(now, wire)));
    from.handle_bytes(now, BytesView(wire).first(to.poll_bytes(now, wire)));
  }
  const auto event = from.poll_event();
  ASSERT_TRUE(event);
  const auto* closed = std::get_if<Closed>(&*event);
  ASSERT_NE(closed, nullptr);
  EXPECT_EQ(closed->error.code(), Errc::peer_id_mismatch);
  EXPECT_FALSE(from.snapshot().is_established);
}

}  // namespace
}  // namespace dig::testing
