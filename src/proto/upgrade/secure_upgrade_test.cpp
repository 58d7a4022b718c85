// SPDX-License-Identifier: Apache-2.0
#include "proto/upgrade/secure_upgrade.hpp"

#include <gtest/gtest.h>

#include "wire/multistream_message.hpp"

namespace dig::upgrade {
namespace {

constexpr std::size_t k_any = 1 << 16;

Bytes poll_all(SecureUpgrade& upgrade, std::size_t most = k_any) {
  Bytes all;
  Bytes out(most);
  while (const std::size_t size = upgrade.poll_bytes({}, out)) append(all, BytesView(out).first(size));
  return all;
}

Bytes sealed(noise::Transport& transport, std::string_view text) {
  Bytes frame(noise::Transport::length_size);
  append(frame, as_bytes(text));
  frame.resize(text.size() + noise::Transport::overhead);
  transport.seal_frame(frame, text.size());
  return frame;
}

std::string opened(noise::Transport& transport, BytesView frame) {
  Bytes out(frame.size());
  const auto size = transport.open_frame(frame.subspan(2), out);
  return size ? std::string(as_text(BytesView(out).first(*size))) : size.error().message();
}

class SecureUpgradeTest : public ::testing::Test {
 protected:
  Config config(Direction direction) const {
    return {.direction = direction, .identity = direction == Direction::outbound ? dialler_id : listener_id};
  }
  SecureUpgrade make(Direction direction) { return SecureUpgrade(config(direction), rng, now); }

  // Moves bytes in pieces of `piece` until both are silent.
  void pump(SecureUpgrade& dialler, SecureUpgrade& listener, std::size_t piece = k_any) {
    for (bool is_moving = true; is_moving;) {
      is_moving = move(dialler, listener, piece);
      is_moving = move(listener, dialler, piece) || is_moving;
    }
  }
  bool move(SecureUpgrade& from, SecureUpgrade& to, std::size_t piece) {
    Bytes out(piece);
    bool is_moving = false;
    while (const std::size_t size = from.poll_bytes(now, out)) {
      to.handle_bytes(now, BytesView(out).first(size));
      is_moving = true;
    }
    return is_moving;
  }
  static Upgraded upgraded(SecureUpgrade& upgrade) {
    auto result = upgrade.take_result();
    if (!result) throw std::runtime_error("no result");
    if (!*result) throw std::runtime_error(result->error().message());
    return std::move(**result);
  }
  static Error error(SecureUpgrade& upgrade) {
    const auto result = upgrade.take_result();
    if (!result || *result) {
      ADD_FAILURE() << (result ? "the upgrade succeeded" : "the upgrade goes on");
      return Error(Errc::internal);
    }
    return result->error();
  }

  Instant now{std::chrono::seconds(100)};
  SeededRng rng{1};
  Identity dialler_id = Identity::generate(rng);
  Identity listener_id = Identity::generate(rng);
};

TEST_F(SecureUpgradeTest, BothSidesGetAnAuthenticatedPeerAndATransport) {
  SecureUpgrade dialler = make(Direction::outbound);
  SecureUpgrade listener = make(Direction::inbound);
  pump(dialler, listener);
  Upgraded one = upgraded(dialler);
  Upgraded other = upgraded(listener);
  EXPECT_EQ(one.peer, listener_id.peer_id());
  EXPECT_EQ(one.key, listener_id.public_key());
  EXPECT_EQ(other.peer, dialler_id.peer_id());
  EXPECT_TRUE(one.leftover_ciphertext.empty() && one.leftover_plaintext.empty());
  EXPECT_EQ(opened(other.transport, sealed(one.transport, "forth")), "forth");
  EXPECT_EQ(opened(one.transport, sealed(other.transport, "back")), "back");
  EXPECT_FALSE(dialler.take_result().has_value()) << "the result is given once";
  EXPECT_FALSE(dialler.next_timeout().has_value());
  EXPECT_FALSE(dialler.wants_bytes());
}

TEST_F(SecureUpgradeTest, AnySegmentationWorks) {
  for (const std::size_t piece : {1uz, 2uz, 7uz, 33uz}) {
    SecureUpgrade dialler = make(Direction::outbound);
    SecureUpgrade listener = make(Direction::inbound);
    pump(dialler, listener, piece);
    EXPECT_EQ(upgraded(dialler).peer, listener_id.peer_id()) << piece;
    EXPECT_EQ(upgraded(listener).peer, dialler_id.peer_id()) << piece;
  }
}

// Dialler: proposals and message 1; listener: answers and message 2; dialler: message 3 and data.
TEST_F(SecureUpgradeTest, TheDiallerMaySendDataAfterOneRoundTrip) {
  SecureUpgrade dialler = make(Direction::outbound);
  SecureUpgrade listener = make(Direction::inbound);
  listener.handle_bytes(now, poll_all(dialler));
  dialler.handle_bytes(now, poll_all(listener));
  Bytes third = poll_all(dialler);
  Upgraded one = upgraded(dialler);
  append(third, sealed(one.transport, "data"));
  listener.handle_bytes(now, third);
  Upgraded other = upgraded(listener);
  EXPECT_EQ(opened(other.transport, other.leftover_ciphertext), "data");
}

TEST_F(SecureUpgradeTest, SuccessIsGivenOnlyWhenAllOutputIsDrained) {
  SecureUpgrade dialler = make(Direction::outbound);
  SecureUpgrade listener = make(Direction::inbound);
  listener.handle_bytes(now, poll_all(dialler));
  dialler.handle_bytes(now, poll_all(listener));
  EXPECT_EQ(dialler.snapshot().phase, Phase::done);
  Bytes out(1);
  ASSERT_EQ(dialler.poll_bytes(now, out), 1u);
  EXPECT_FALSE(dialler.take_result().has_value());
  EXPECT_TRUE(dialler.next_timeout().has_value()) << "an end that does not read is not waited for without end";
  (void)poll_all(dialler);
  EXPECT_EQ(upgraded(dialler).peer, listener_id.peer_id());
}

TEST_F(SecureUpgradeTest, TheListenerSaysNothingFirst) {
  SecureUpgrade listener = make(Direction::inbound);
  EXPECT_TRUE(poll_all(listener).empty());
}

TEST_F(SecureUpgradeTest, AnotherPeerThanExpectedIsRefused) {
  Config with = config(Direction::outbound);
  with.expected_peer = dialler_id.peer_id();
  SecureUpgrade dialler(with, rng, now);
  SecureUpgrade listener = make(Direction::inbound);
  pump(dialler, listener);
  EXPECT_EQ(error(dialler).code(), Errc::peer_id_mismatch);
}

TEST_F(SecureUpgradeTest, DiallingOneselfIsNoticed) {
  SecureUpgrade dialler = make(Direction::outbound);
  SecureUpgrade listener(Config{.direction = Direction::inbound, .identity = dialler_id}, rng, now);
  pump(dialler, listener);
  EXPECT_EQ(error(dialler).code(), Errc::dialled_self);
}

TEST_F(SecureUpgradeTest, OtherSecurityProtocolsAreRefused) {
  Bytes plaintext;
  for (const auto line : {"/multistream/1.0.0", "/plaintext/2.0.0"}) append_multistream_line(plaintext, line);
  SecureUpgrade listener = make(Direction::inbound);
  listener.handle_bytes(now, plaintext);
  EXPECT_EQ(as_text(poll_all(listener)), "\x13/multistream/1.0.0\n\x03na\n");
  SecureUpgrade dialler = make(Direction::outbound);
  dialler.handle_bytes(now, plaintext);
  EXPECT_EQ(error(dialler).code(), Errc::protocol_violation);
}

TEST_F(SecureUpgradeTest, ARefusalOfNoiseEndsTheUpgrade) {
  SecureUpgrade dialler = make(Direction::outbound);
  dialler.handle_bytes(now, as_bytes("\x13/multistream/1.0.0\n\x03na\n"));
  EXPECT_EQ(error(dialler).code(), Errc::protocol_not_supported);
}

TEST_F(SecureUpgradeTest, SomethingElseThanLibp2pIsRefused) {
  for (const auto text : {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02", "SSH-2.0-OpenSSH_9.2\r\n"}) {
    SecureUpgrade listener = make(Direction::inbound);
    listener.handle_bytes(now, as_bytes(text));
    listener.handle_eof(now);
    const Errc code = error(listener).code();
    EXPECT_TRUE(code == Errc::protocol_violation || code == Errc::connection_closed) << text;
  }
}

TEST_F(SecureUpgradeTest, EveryEditedByteOfEitherSideFailsOrChangesNothing) {
  for (const bool is_dialler_edited : {true, false}) {
    for (std::size_t position = 0; position < 300; position += 3) {
      SecureUpgrade dialler = make(Direction::outbound);
      SecureUpgrade listener = make(Direction::inbound);
      std::size_t sent = 0;
      for (int round = 0; round < 4; ++round) {
        Bytes forth = poll_all(dialler);
        const auto edit = [&](Bytes& bytes) {
          if (position >= sent && position < sent + bytes.size()) bytes[position - sent] ^= std::byte{1};
          sent += bytes.size();
        };
        if (is_dialler_edited) edit(forth);
        listener.handle_bytes(now, forth);
        Bytes back = poll_all(listener);
        if (!is_dialler_edited) edit(back);
        dialler.handle_bytes(now, back);
      }
      if (position >= sent) break;
      const auto one = dialler.take_result();
      const auto other = listener.take_result();
      EXPECT_FALSE(one && *one && other && *other) << position;
    }
  }
}

TEST_F(SecureUpgradeTest, EachPhaseHasADeadline) {
  SecureUpgrade listener = make(Direction::inbound);
  EXPECT_EQ(listener.next_timeout(), now + Limits{}.phase_timeout);
  listener.handle_timeout(now + Limits{}.phase_timeout - Duration(1));
  EXPECT_TRUE(listener.wants_bytes()) << "early calls do nothing";
  listener.handle_timeout(now + Limits{}.phase_timeout);
  const Error negotiate = error(listener);
  EXPECT_EQ(negotiate.code(), Errc::phase_timeout);
  EXPECT_EQ(negotiate.detail(), "negotiate");

  SecureUpgrade dialler = make(Direction::outbound);
  dialler.handle_bytes(now + std::chrono::seconds(4), as_bytes("\x13/multistream/1.0.0\n\x07/noise\n"));
  EXPECT_EQ(dialler.next_timeout(), now + std::chrono::seconds(9));
  dialler.handle_timeout(now + std::chrono::seconds(9));
  EXPECT_EQ(error(dialler).detail(), "handshake");
}

TEST_F(SecureUpgradeTest, AllPhasesTogetherHaveADeadline) {
  Config with = config(Direction::outbound);
  with.handshake_timeout = std::chrono::seconds(6);
  SecureUpgrade dialler(with, rng, now);
  dialler.handle_bytes(now + std::chrono::seconds(4), as_bytes("\x13/multistream/1.0.0\n\x07/noise\n"));
  EXPECT_EQ(dialler.next_timeout(), now + std::chrono::seconds(6));
  dialler.handle_timeout(now + std::chrono::seconds(6));
  EXPECT_EQ(error(dialler).code(), Errc::phase_timeout);
  EXPECT_FALSE(dialler.next_timeout().has_value());
}

TEST_F(SecureUpgradeTest, EndOfInputInAnyPhaseFails) {
  SecureUpgrade negotiating = make(Direction::inbound);
  negotiating.handle_eof(now);
  EXPECT_EQ(error(negotiating).code(), Errc::connection_closed);
  SecureUpgrade shaking = make(Direction::outbound);
  shaking.handle_bytes(now, as_bytes("\x13/multistream/1.0.0\n\x07/noise\n"));
  shaking.handle_eof(now);
  EXPECT_EQ(error(shaking).detail(), "handshake");
}

TEST_F(SecureUpgradeTest, BytesBehindTheUpgradeAreBounded) {
  Config with = config(Direction::inbound);
  with.limits.leftover_bytes = 1000;
  SecureUpgrade dialler = make(Direction::outbound);
  SecureUpgrade listener(with, rng, now);
  pump(dialler, listener);
  listener.handle_bytes(now, Bytes(1000));
  EXPECT_EQ(listener.snapshot().buffered_bytes, 1000u);
  listener.handle_bytes(now, Bytes(1));
  EXPECT_EQ(error(listener).code(), Errc::protocol_violation);
}

// A foreign peer without early muxers: the muxer is agreed on by multistream-select inside the channel.
class ForeignPeer {
 public:
  ForeignPeer(Direction direction, const Identity& identity, Rng& rng)
      : negotiator_(direction == Direction::outbound ? multistream::Negotiator::dial({"/noise"})
                                                     : multistream::Negotiator::listen({"/noise"})),
        handshake_({.role = direction == Direction::outbound ? noise::Role::initiator : noise::Role::responder,
                    .identity = identity},
                   rng) {}

  // Runs until the handshake is over on this side.
  noise::Transport connect(SecureUpgrade& upgrade) {
    Bytes out(4096);
    for (int round = 0; round < 4; ++round) {
      std::size_t size = negotiator_.poll_bytes(out);
      if (negotiator_.result()) size += handshake_.poll_bytes(MutableBytes(out).subspan(size));
      upgrade.handle_bytes({}, BytesView(out).first(size));
      append(received, poll_all(upgrade));
      std::size_t used = negotiator_.handle_bytes(received);
      if (negotiator_.result()) used += handshake_.handle_bytes(BytesView(received).subspan(used));
      received.erase(received.begin(), received.begin() + static_cast<std::ptrdiff_t>(used));
    }
    auto result = handshake_.take_result();
    if (!result || !*result) throw std::runtime_error("the foreign handshake did not end");
    return std::move((*result)->transport);
  }

  Bytes received;  // behind the handshake

 private:
  multistream::Negotiator negotiator_;
  noise::Handshake handshake_;
};

constexpr std::string_view k_header_text = "\x13/multistream/1.0.0\n";
constexpr std::string_view k_yamux_text = "\x0d/yamux/1.0.0\n";

TEST_F(SecureUpgradeTest, ListenerAgreesOnTheMuxerInsideTheChannel) {
  SecureUpgrade listener(Config{.direction = Direction::inbound, .identity = listener_id}, rng, Instant{});
  ForeignPeer foreign(Direction::outbound, dialler_id, rng);
  noise::Transport transport = foreign.connect(listener);
  EXPECT_EQ(listener.snapshot().phase, Phase::muxer);
  listener.handle_bytes({}, sealed(transport, std::string(k_header_text) + "\x0d/mplex/6.7.0\n"));
  EXPECT_EQ(opened(transport, poll_all(listener)), std::string(k_header_text) + "\x03na\n");
  Bytes last = sealed(transport, std::string(k_yamux_text) + "yamux bytes");
  append(last, as_bytes("\x40"));
  listener.handle_bytes({}, last);
  EXPECT_EQ(opened(transport, poll_all(listener)), k_yamux_text);
  const Upgraded result = upgraded(listener);
  EXPECT_EQ(result.peer, dialler_id.peer_id());
  EXPECT_EQ(as_text(result.leftover_plaintext), "yamux bytes");
  EXPECT_EQ(as_text(result.leftover_ciphertext), "\x40");
}

TEST_F(SecureUpgradeTest, DiallerAgreesOnTheMuxerInsideTheChannel) {
  SecureUpgrade dialler(Config{.direction = Direction::outbound, .identity = dialler_id}, rng, Instant{});
  ForeignPeer foreign(Direction::inbound, listener_id, rng);
  noise::Transport transport = foreign.connect(dialler);
  EXPECT_EQ(opened(transport, foreign.received), std::string(k_header_text) + std::string(k_yamux_text));
  EXPECT_FALSE(dialler.take_result().has_value());
  const Bytes answer = sealed(transport, std::string(k_header_text) + std::string(k_yamux_text));
  for (const std::byte one : answer) dialler.handle_bytes({}, {&one, 1});
  EXPECT_EQ(upgraded(dialler).peer, listener_id.peer_id());
}

TEST_F(SecureUpgradeTest, NoCommonMuxerFails) {
  SecureUpgrade dialler(Config{.direction = Direction::outbound, .identity = dialler_id}, rng, Instant{});
  ForeignPeer foreign(Direction::inbound, listener_id, rng);
  noise::Transport transport = foreign.connect(dialler);
  dialler.handle_bytes({}, sealed(transport, std::string(k_header_text) + "\x03na\n"));
  EXPECT_EQ(error(dialler).code(), Errc::protocol_not_supported);
}

TEST_F(SecureUpgradeTest, AForgedFrameInTheMuxerPhaseFails) {
  SecureUpgrade listener(Config{.direction = Direction::inbound, .identity = listener_id}, rng, Instant{});
  ForeignPeer foreign(Direction::outbound, dialler_id, rng);
  noise::Transport transport = foreign.connect(listener);
  Bytes frame = sealed(transport, k_header_text);
  frame.back() ^= std::byte{1};
  listener.handle_bytes({}, frame);
  EXPECT_EQ(error(listener).code(), Errc::decrypt_failed);
}

TEST_F(SecureUpgradeTest, TheMuxerPhaseHasADeadline) {
  SecureUpgrade listener(Config{.direction = Direction::inbound, .identity = listener_id}, rng, Instant{});
  ForeignPeer foreign(Direction::outbound, dialler_id, rng);
  (void)foreign.connect(listener);
  ASSERT_TRUE(listener.next_timeout().has_value());
  listener.handle_timeout(*listener.next_timeout());
  EXPECT_EQ(error(listener).detail(), "muxer");
}

}  // namespace
}  // namespace dig::upgrade
