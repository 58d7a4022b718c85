// SPDX-License-Identifier: Apache-2.0
#include "proto/noise/handshake.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

#include "crypto/testing/hex.hpp"
#include "crypto/testing/key_vectors.hpp"
#include "proto/noise/testing/raw_party.hpp"
#include "proto/noise/testing/xx_vectors.hpp"

namespace dig::noise {
namespace {

using crypto::testing::from_hex;
using crypto::testing::to_hex;
using testing::FixedRng;
using testing::RawParty;

Bytes poll_all(Handshake& handshake) {
  Bytes out(4096);
  out.resize(handshake.poll_bytes(out));
  return out;
}

class HandshakeTest : public ::testing::Test {
 protected:
  HandshakeConfig config(Role role) const {
    return {.role = role, .identity = role == Role::initiator ? initiator_id : responder_id};
  }
  Handshake make(Role role) { return Handshake(config(role), rng); }
  Handshake make(const HandshakeConfig& with) { return Handshake(with, rng); }

  // Runs both to their ends.
  static void pump(Handshake& initiator, Handshake& responder) {
    for (int round = 0; round < 3; ++round) {
      const Bytes forth = poll_all(initiator);
      EXPECT_EQ(responder.handle_bytes(forth), forth.size());
      const Bytes back = poll_all(responder);
      EXPECT_EQ(initiator.handle_bytes(back), back.size());
    }
  }
  static Secured secured(Handshake& handshake) {
    auto result = handshake.take_result();
    if (!result) throw std::runtime_error("no result");
    if (!*result) throw std::runtime_error(result->error().message());
    return std::move(**result);
  }
  static Errc error(Handshake& handshake) {
    const auto result = handshake.take_result();
    if (!result || *result) {
      ADD_FAILURE() << (result ? "the handshake succeeded" : "the handshake goes on");
      return Errc::internal;
    }
    return result->error().code();
  }
  // The error of an initiator that is answered with this payload in a cryptographically right message 2.
  Errc initiator_error(BytesView payload, RawParty& party) {
    Handshake initiator = make(Role::initiator);
    (void)initiator.handle_bytes(party.message_2(poll_all(initiator), payload));
    EXPECT_TRUE(poll_all(initiator).empty()) << "nothing is sent after a failure";
    return error(initiator);
  }
  Errc responder_error(BytesView payload, RawParty& party) {
    Handshake responder = make(Role::responder);
    (void)responder.handle_bytes(party.message_1());
    (void)responder.handle_bytes(party.message_3(poll_all(responder), payload));
    return error(responder);
  }
  // Both of them; they must agree.
  Errc both_error(const std::function<Bytes(const RawParty&)>& make_payload) {
    RawParty evil_responder(rng);
    RawParty evil_initiator(rng);
    const Errc one = initiator_error(make_payload(evil_responder), evil_responder);
    const Errc other = responder_error(make_payload(evil_initiator), evil_initiator);
    EXPECT_EQ(one, other);
    return one;
  }

  // A static and an ephemeral key.
  static Bytes rng_bytes_for_party(int first = 0x20) {
    Bytes bytes;
    for (int i = first; i < first + 64; ++i) bytes.push_back(static_cast<std::byte>(i));
    return bytes;
  }

  SeededRng rng{1};
  Identity initiator_id = Identity::generate(rng);
  Identity responder_id = Identity::generate(rng);
  Identity mallory_id = Identity::generate(rng);
};

TEST_F(HandshakeTest, BothSidesLearnWhoTheOtherIs) {
  Handshake initiator = make(Role::initiator);
  Handshake responder = make(Role::responder);
  pump(initiator, responder);
  const Secured one = secured(initiator);
  const Secured other = secured(responder);
  EXPECT_EQ(one.peer, responder_id.peer_id());
  EXPECT_EQ(one.key, responder_id.public_key());
  EXPECT_EQ(other.peer, initiator_id.peer_id());
  EXPECT_EQ(other.key, initiator_id.public_key());
  EXPECT_FALSE(one.muxer || other.muxer);
  EXPECT_FALSE(initiator.take_result().has_value()) << "the result is given once";
}

TEST_F(HandshakeTest, TheTransportsFitTogether) {
  Handshake initiator = make(Role::initiator);
  Handshake responder = make(Role::responder);
  pump(initiator, responder);
  Transport forth = std::move(secured(initiator).transport);
  Transport back = std::move(secured(responder).transport);
  for (int i = 0; i < 3; ++i) {
    for (auto [from, to] : {std::pair{&forth, &back}, std::pair{&back, &forth}}) {
      Bytes frame = to_bytes("..plaintext................");
      from->seal_frame(frame, 9);
      Bytes out(64);
      EXPECT_EQ(to->open_frame(BytesView(frame).subspan(2), out).value(), 9u);
      EXPECT_EQ(as_text(BytesView(out).first(9)), "plaintext");
    }
  }
}

// Transcript of an independent implementation with the same keys.
TEST_F(HandshakeTest, MatchesTheKnownAnswer) {
  const auto range = [](int first, int size) {
    Bytes bytes;
    for (int i = first; i < first + size; ++i) bytes.push_back(static_cast<std::byte>(i));
    return bytes;
  };
  const Identity left = Identity::from_seed(range(0x00, 32)).value();
  const Identity right = Identity::from_seed(range(0x60, 32)).value();
  FixedRng left_rng(range(0x20, 64));
  FixedRng right_rng(range(0x80, 64));
  Handshake initiator({.role = Role::initiator, .identity = left, .muxers = {"/yamux/1.0.0"}}, left_rng);
  Handshake responder({.role = Role::responder, .identity = right, .muxers = {"/yamux/1.0.0"}}, right_rng);
  const Bytes first = poll_all(initiator);
  EXPECT_EQ(to_hex(first), testing::k_message_1);
  (void)responder.handle_bytes(first);
  const Bytes second = poll_all(responder);
  EXPECT_EQ(to_hex(second), testing::k_message_2);
  (void)initiator.handle_bytes(second);
  const Bytes third = poll_all(initiator);
  EXPECT_EQ(to_hex(third), testing::k_message_3);
  (void)responder.handle_bytes(third);

  const auto sealed = [](Transport& transport, std::string_view text) {
    Bytes frame(2);
    append(frame, as_bytes(text));
    frame.resize(frame.size() + 16);
    transport.seal_frame(frame, text.size());
    return to_hex(frame);
  };
  Secured one = secured(initiator);
  Secured other = secured(responder);
  EXPECT_EQ(sealed(one.transport, "hello from the initiator"), testing::k_frame_initiator_0);
  EXPECT_EQ(sealed(one.transport, "again"), testing::k_frame_initiator_1);
  EXPECT_EQ(sealed(other.transport, "hello from the responder"), testing::k_frame_responder_0);
}

TEST_F(HandshakeTest, AnySegmentationWorks) {
  Handshake initiator = make(Role::initiator);
  Handshake responder = make(Role::responder);
  const auto move_bytewise = [](Handshake& from, Handshake& to) {
    std::byte one;
    while (from.poll_bytes({&one, 1}) == 1) EXPECT_EQ(to.handle_bytes({&one, 1}), 1u);
  };
  move_bytewise(initiator, responder);
  move_bytewise(responder, initiator);
  move_bytewise(initiator, responder);
  EXPECT_EQ(secured(initiator).peer, responder_id.peer_id());
  EXPECT_EQ(secured(responder).peer, initiator_id.peer_id());
}

TEST_F(HandshakeTest, NothingBehindTheLastMessageIsConsumed) {
  Handshake initiator = make(Role::initiator);
  Handshake responder = make(Role::responder);
  (void)responder.handle_bytes(poll_all(initiator));
  Bytes second = poll_all(responder);
  const std::size_t size = second.size();
  append(second, as_bytes("early data"));
  EXPECT_EQ(initiator.handle_bytes(second), size);
  EXPECT_EQ(initiator.handle_bytes(as_bytes("more")), 0u);
  Bytes third = poll_all(initiator);
  const std::size_t third_size = third.size();
  append(third, as_bytes("early data"));
  EXPECT_EQ(responder.handle_bytes(third), third_size);
  EXPECT_TRUE(secured(responder).peer == initiator_id.peer_id());
}

TEST_F(HandshakeTest, TheInitiatorsMuxerOrderWins) {
  auto left = config(Role::initiator);
  auto right = config(Role::responder);
  left.muxers = {"/a", "/b", "/c"};
  right.muxers = {"/c", "/b"};
  Handshake initiator = make(left);
  Handshake responder = make(right);
  pump(initiator, responder);
  EXPECT_EQ(secured(initiator).muxer, "/b");
  EXPECT_EQ(secured(responder).muxer, "/b");
}

TEST_F(HandshakeTest, NoMuxerInCommonFails) {
  auto left = config(Role::initiator);
  auto right = config(Role::responder);
  left.muxers = {"/a"};
  right.muxers = {"/b"};
  Handshake initiator = make(left);
  Handshake responder = make(right);
  pump(initiator, responder);
  EXPECT_EQ(error(initiator), Errc::protocol_not_supported);
}

TEST_F(HandshakeTest, WithoutTheExtensionNoMuxerIsChosen) {
  auto left = config(Role::initiator);
  left.muxers = {"/a"};
  Handshake initiator = make(left);
  Handshake responder = make(Role::responder);
  pump(initiator, responder);
  EXPECT_FALSE(secured(initiator).muxer.has_value());
  EXPECT_FALSE(secured(responder).muxer.has_value());
}

TEST_F(HandshakeTest, InitiatorRefusesAnotherPeerThanExpected) {
  auto left = config(Role::initiator);
  left.expected_peer = mallory_id.peer_id();
  Handshake initiator = make(left);
  Handshake responder = make(Role::responder);
  pump(initiator, responder);
  EXPECT_EQ(error(initiator), Errc::peer_id_mismatch);
  EXPECT_FALSE(responder.is_over()) << "the responder learns nothing of the initiator";
}

TEST_F(HandshakeTest, ResponderRefusesAnotherPeerThanExpected) {
  auto right = config(Role::responder);
  right.expected_peer = mallory_id.peer_id();
  Handshake initiator = make(Role::initiator);
  Handshake responder = make(right);
  pump(initiator, responder);
  EXPECT_EQ(error(responder), Errc::peer_id_mismatch);
}

TEST_F(HandshakeTest, ExpectedPeerIsAccepted) {
  auto left = config(Role::initiator);
  left.expected_peer = responder_id.peer_id();
  Handshake initiator = make(left);
  Handshake responder = make(Role::responder);
  pump(initiator, responder);
  EXPECT_EQ(secured(initiator).peer, responder_id.peer_id());
}

TEST_F(HandshakeTest, OwnIdentityIsDialledSelf) {
  Handshake initiator = make(Role::initiator);
  Handshake responder = make(HandshakeConfig{.role = Role::responder, .identity = initiator_id});
  pump(initiator, responder);
  EXPECT_EQ(error(initiator), Errc::dialled_self);
}

TEST_F(HandshakeTest, ReflectedMessagesAreRefused) {
  Handshake initiator = make(Role::initiator);
  Bytes own = poll_all(initiator);
  own[0] = std::byte{0};
  own.resize(2 + 96);
  own[1] = std::byte{96};
  (void)initiator.handle_bytes(own);
  EXPECT_EQ(error(initiator), Errc::handshake_failed);

  Handshake responder = make(Role::responder);
  Handshake other = make(Role::initiator);
  (void)responder.handle_bytes(poll_all(other));
  (void)responder.handle_bytes(poll_all(responder));
  EXPECT_EQ(error(responder), Errc::handshake_failed);
}

TEST_F(HandshakeTest, TwoInitiatorsDoNotConnect) {
  Handshake one = make(Role::initiator);
  Handshake other = make(Role::initiator);
  (void)one.handle_bytes(poll_all(other));
  EXPECT_EQ(error(one), Errc::handshake_failed);
}

TEST_F(HandshakeTest, AnotherPrologueFails) {
  auto left = config(Role::initiator);
  left.prologue = to_bytes("libp2p-webrtc-noise:x");
  Handshake initiator = make(left);
  Handshake responder = make(Role::responder);
  pump(initiator, responder);
  EXPECT_EQ(error(initiator), Errc::handshake_failed);
}

TEST_F(HandshakeTest, Message1MustBeExactlyOneKey) {
  for (const std::size_t size : {0uz, 1uz, 31uz, 33uz, 64uz, 65535uz}) {
    Handshake responder = make(Role::responder);
    (void)responder.handle_bytes(RawParty::frame(Bytes(size, std::byte{7})));
    EXPECT_EQ(error(responder), Errc::handshake_failed) << size;
    EXPECT_TRUE(poll_all(responder).empty());
  }
}

TEST_F(HandshakeTest, LengthIsRefusedBeforeTheMessageArrives) {
  Handshake responder = make(Role::responder);
  EXPECT_EQ(responder.handle_bytes(from_hex("ffff01")), 2u);
  EXPECT_EQ(error(responder), Errc::handshake_failed);
  EXPECT_EQ(responder.snapshot().buffered_bytes, 0u);
}

TEST_F(HandshakeTest, MessageSizeLimitIsExact) {
  const auto length = [](std::size_t size) { return to_bytes(BytesView(RawParty::frame(Bytes(size))).first(2)); };
  const std::size_t limit = HandshakeLimits{}.message_bytes;
  Handshake at_limit = make(Role::initiator);
  (void)poll_all(at_limit);
  (void)at_limit.handle_bytes(length(limit));
  EXPECT_FALSE(at_limit.is_over());
  Handshake over_limit = make(Role::initiator);
  (void)over_limit.handle_bytes(length(limit + 1));
  EXPECT_EQ(error(over_limit), Errc::handshake_failed);
}

TEST_F(HandshakeTest, EphemeralKeysOfSmallOrderAreRefused) {
  const std::string_view points[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  };
  for (const auto point : points) {
    Handshake responder = make(Role::responder);
    (void)responder.handle_bytes(RawParty::frame(from_hex(point)));
    EXPECT_EQ(error(responder), Errc::handshake_failed) << point;
    Handshake initiator = make(Role::initiator);
    Bytes message = from_hex(point);
    message.resize(200);
    (void)initiator.handle_bytes(RawParty::frame(message));
    EXPECT_EQ(error(initiator), Errc::handshake_failed) << point;
  }
}

TEST_F(HandshakeTest, EveryFlippedByteOfMessage2AndEveryPrefixFails) {
  FixedRng keys(rng_bytes_for_party());
  Handshake responder = make(Role::responder);
  Handshake model = Handshake(config(Role::initiator), keys);
  (void)responder.handle_bytes(poll_all(model));
  const Bytes second = poll_all(responder);
  const auto initiator_again = [&] {
    FixedRng same(rng_bytes_for_party());
    return Handshake(config(Role::initiator), same);
  };
  for (std::size_t i = 2; i < second.size(); ++i) {
    Handshake initiator = initiator_again();
    Bytes changed = second;
    changed[i] ^= std::byte{4};
    (void)initiator.handle_bytes(changed);
    EXPECT_EQ(error(initiator), Errc::handshake_failed) << i;
  }
  for (std::size_t size = 0; size + 2 < second.size(); ++size) {
    Handshake initiator = initiator_again();
    (void)initiator.handle_bytes(RawParty::frame(BytesView(second).subspan(2, size)));
    EXPECT_EQ(error(initiator), Errc::handshake_failed) << size;
  }
  Handshake initiator = initiator_again();
  EXPECT_EQ(initiator.handle_bytes(second), second.size());
  EXPECT_EQ(secured(initiator).peer, responder_id.peer_id());
}

TEST_F(HandshakeTest, EveryFlippedByteOfMessage3AndEveryPrefixFails) {
  const auto run = [&](const std::function<Bytes(const Bytes&)>& change) {
    FixedRng left(rng_bytes_for_party());
    FixedRng right(rng_bytes_for_party(0x80));
    Handshake initiator(config(Role::initiator), left);
    Handshake responder(config(Role::responder), right);
    (void)responder.handle_bytes(poll_all(initiator));
    (void)initiator.handle_bytes(poll_all(responder));
    (void)responder.handle_bytes(change(poll_all(initiator)));
    return responder.take_result();
  };
  std::size_t size = 0;
  ASSERT_TRUE(run([&](const Bytes& honest) { return size = honest.size(), honest; })->has_value());
  for (std::size_t i = 2; i < size; ++i) {
    const auto flipped = run([&](Bytes changed) { return changed[i] ^= std::byte{1}, changed; });
    ASSERT_TRUE(flipped && !*flipped) << i;
    EXPECT_EQ(flipped->error().code(), Errc::handshake_failed);
    const auto cut = run([&](const Bytes& honest) { return RawParty::frame(BytesView(honest).subspan(2, i - 2)); });
    ASSERT_TRUE(cut && !*cut) << i;
    EXPECT_EQ(cut->error().code(), Errc::handshake_failed);
  }
}

TEST_F(HandshakeTest, MessagesOfAnotherSessionAreRefused) {
  Handshake old_initiator = make(Role::initiator);
  Handshake old_responder = make(Role::responder);
  (void)old_responder.handle_bytes(poll_all(old_initiator));
  const Bytes old_second = poll_all(old_responder);
  (void)old_initiator.handle_bytes(old_second);
  const Bytes old_third = poll_all(old_initiator);

  Handshake initiator = make(Role::initiator);
  (void)initiator.handle_bytes(old_second);
  EXPECT_EQ(error(initiator), Errc::handshake_failed);
  Handshake responder = make(Role::responder);
  Handshake other = make(Role::initiator);
  (void)responder.handle_bytes(poll_all(other));
  (void)responder.handle_bytes(old_third);
  EXPECT_EQ(error(responder), Errc::handshake_failed);
}

TEST_F(HandshakeTest, RightPayloadOfARawPartyIsAccepted) {
  RawParty party(rng);
  Handshake initiator = make(Role::initiator);
  (void)initiator.handle_bytes(party.message_2(poll_all(initiator), party.signed_payload(mallory_id)));
  EXPECT_EQ(secured(initiator).peer, mallory_id.peer_id());
}

TEST_F(HandshakeTest, SignatureMustBeOverThisStaticKeyInThisDomain) {
  EXPECT_EQ(both_error([&](const RawParty& p) { return p.signed_payload(mallory_id, {}, ""); }), Errc::bad_signature);
  EXPECT_EQ(both_error([&](const RawParty& p) { return p.signed_payload(mallory_id, {}, "libp2p-tls-handshake:"); }),
            Errc::bad_signature);
  RawParty another(rng);
  EXPECT_EQ(both_error([&](const RawParty&) { return another.signed_payload(mallory_id); }), Errc::bad_signature);
}

TEST_F(HandshakeTest, StolenIdentityKeyWithOwnSignatureIsRefused) {
  EXPECT_EQ(both_error([&](const RawParty& party) {
              auto payload = NoisePayload::decode(party.signed_payload(mallory_id)).value();
              payload.identity_key = Identity::from_seed(Bytes(32, std::byte{9}))->public_key();
              return payload.encode();
            }),
            Errc::bad_signature);
}

TEST_F(HandshakeTest, MalformedPayloadsAreRefused) {
  for (const auto payload : {"", "00", "0a", "0aff", "ffffffffffffffffffff", "0a00", "1200"}) {
    const Errc code = both_error([&](const RawParty&) { return from_hex(payload); });
    EXPECT_TRUE(code == Errc::handshake_failed || code == Errc::bad_public_key) << payload;
  }
  EXPECT_EQ(both_error([&](const RawParty& party) {
              return party.signed_payload(mallory_id, std::vector<std::string>(10'000, "/m"));
            }),
            Errc::handshake_failed);
}

TEST_F(HandshakeTest, UnacceptableIdentityKeysAreRefused) {
  const auto with_key = [&](KeyType type, std::string_view hex) {
    return both_error([&](const RawParty& party) {
      auto payload = NoisePayload::decode(party.signed_payload(mallory_id)).value();
      payload.identity_key = PublicKey{type, from_hex(hex)};
      return payload.encode();
    });
  };
  using namespace crypto::testing;
  EXPECT_EQ(with_key(KeyType::rsa, k_rsa1024_spki), Errc::bad_public_key);
  EXPECT_EQ(with_key(KeyType::rsa, k_rsa4104_spki), Errc::bad_public_key);
  EXPECT_EQ(with_key(KeyType::ecdsa, k_p521_spki), Errc::bad_public_key);
  EXPECT_EQ(with_key(KeyType::secp256k1, std::string(66, 'f')), Errc::bad_public_key);
  EXPECT_EQ(with_key(static_cast<KeyType>(99), k_ed_pub), Errc::bad_public_key);
  for (const std::size_t size : {0uz, 31uz, 33uz, 64uz, 96uz}) {
    EXPECT_EQ(with_key(KeyType::ed25519, std::string(2 * size, 'a')), Errc::bad_public_key) << size;
  }
  EXPECT_EQ(with_key(KeyType::ed25519, "01" + std::string(62, '0')), Errc::bad_public_key) << "small order";
  EXPECT_EQ(with_key(KeyType::rsa, k_rsa2048_spki), Errc::bad_signature) << "acceptable, but it did not sign";
}

TEST_F(HandshakeTest, OurOwnStaticKeyIsRefused) {
  FixedRng victim_keys(rng_bytes_for_party());
  Handshake initiator(config(Role::initiator), victim_keys);
  Bytes stolen = rng_bytes_for_party();
  std::fill(stolen.begin() + 32, stolen.end(), std::byte{0x77});
  FixedRng thief_keys(stolen);
  RawParty thief(thief_keys);
  (void)initiator.handle_bytes(thief.message_2(poll_all(initiator), thief.signed_payload(mallory_id)));
  EXPECT_EQ(error(initiator), Errc::handshake_failed);
}

TEST_F(HandshakeTest, EndOfInputFails) {
  Handshake initiator = make(Role::initiator);
  initiator.handle_eof();
  EXPECT_EQ(error(initiator), Errc::connection_closed);
  Handshake left = make(Role::initiator);
  Handshake right = make(Role::responder);
  pump(left, right);
  right.handle_eof();
  EXPECT_EQ(secured(right).peer, initiator_id.peer_id()) << "the end after the handshake is not its failure";
}

TEST_F(HandshakeTest, SnapshotFollowsTheMessages) {
  Handshake initiator = make(Role::initiator);
  EXPECT_EQ(initiator.snapshot().messages_done, 1);
  EXPECT_EQ(initiator.snapshot().buffered_bytes, 34u);
  Handshake responder = make(Role::responder);
  EXPECT_EQ(responder.snapshot().messages_done, 0);
  pump(initiator, responder);
  EXPECT_EQ(initiator.snapshot().messages_done, 3);
  EXPECT_EQ(responder.snapshot().messages_done, 3);
  EXPECT_TRUE(responder.snapshot().is_over);
}

}  // namespace
}  // namespace dig::noise
