// SPDX-License-Identifier: Apache-2.0
// Both ends of /dignet/turn-credentials/1.0.0, and who is given what.
#include <gtest/gtest.h>

#include "proto/turn_credentials/issuer.hpp"
#include "proto/turn_credentials/requester.hpp"
#include "proto/turn_credentials/responder.hpp"
#include "wire/identity.hpp"

namespace dig::turn_credentials {
namespace {

PeerId peer(std::uint64_t seed) {
  SeededRng rng(seed);
  return Identity::generate(rng).peer_id();
}
const PeerId k_relay = peer(100);
const PeerId k_alice = peer(1);
const PeerId k_bob = peer(2);
const Issuer::Offer k_offer{.kind = TurnRelayKind::pair, .servers = {StunUri::parse("turn:203.0.113.1:4001").value()}};

class TurnCredentialsTest : public ::testing::Test {
 protected:
  TurnCredentialResponse ask(const PeerId& self = k_alice, const PeerId& target = k_bob,
                             std::string_view source = "192.0.2.1") {
    return issuer.issue({now, wall, self, IpAddress::parse(source).value(), target});
  }
  // Passes what there is both ways, in pieces of `size`; answers as a relay would.
  void exchange(std::size_t size) {
    for (int i = 0; i < 10'000 && !requester.result(); ++i) {
      Bytes buffer(size);
      if (const std::size_t sent = requester.poll_bytes(buffer)) {
        responder.handle_bytes(now, BytesView(buffer).first(sent));
      }
      while (auto event = responder.poll_event()) {
        if (const auto* wanted = std::get_if<CredentialsWanted>(&*event)) {
          responder.answer(ask(k_alice, wanted->target));
        } else {
          finished = std::get<ResponderFinished>(*event);
        }
      }
      if (const std::size_t sent = responder.poll_bytes(now, buffer)) {
        requester.handle_bytes(now, BytesView(buffer).first(sent));
      }
    }
    while (auto event = responder.poll_event()) finished = std::get<ResponderFinished>(*event);
  }
  [[nodiscard]] Errc error() const { return requester.result()->error().code(); }
  static Bytes framed(const TurnCredentialResponse& response) {
    Bytes out;
    append_frame(out, response.encode());
    return out;
  }

  SeededRng rng{1};
  Instant now{1000s};
  UnixTime wall{1'700'000'000};
  turn::PairCredentials credentials{k_relay};
  Issuer issuer{credentials, rng};
  Requester requester{now, k_bob};
  Responder responder{now};
  std::optional<ResponderFinished> finished;
};

TEST_F(TurnCredentialsTest, WhoAsksIsGivenWhatTheServerAccepts) {
  issuer.set_offer(k_offer);
  exchange(7);
  ASSERT_TRUE(requester.result() && *requester.result());
  const TurnCredentials& given = **requester.result();
  EXPECT_EQ(given.kind, TurnRelayKind::pair);
  EXPECT_EQ(given.expires_in, 1h);
  EXPECT_EQ(given.servers, k_offer.servers);
  const turn::UserCredentials user = credentials.find(given.username, wall);
  EXPECT_EQ(user.passwords, std::vector{given.password});
  EXPECT_EQ(user.pair, (turn::PairRole{k_alice, k_bob}));
  ASSERT_TRUE(finished);
  EXPECT_FALSE(finished->error);
  EXPECT_TRUE(requester.has_finished_writing());
  EXPECT_EQ(issuer.snapshot().issued, 1U);
  EXPECT_EQ(requester.next_timeout(), std::nullopt);
  EXPECT_EQ(responder.next_timeout(), std::nullopt);
}

TEST_F(TurnCredentialsTest, ANodeThatIsNoServerSaysSo) {
  exchange(100);
  EXPECT_EQ(error(), Errc::turn_not_offered);
  EXPECT_FALSE(issuer.snapshot().is_offered);
  EXPECT_EQ(issuer.snapshot().not_offered, 1U);
  EXPECT_EQ(credentials.secrets(), 0U);
  issuer.set_offer(k_offer);
  EXPECT_EQ(ask().status, TurnCredentialStatus::ok);
  issuer.set_offer(std::nullopt);
  EXPECT_EQ(ask().status, TurnCredentialStatus::not_offered);
}

TEST_F(TurnCredentialsTest, EachStatusHasItsError) {
  for (const auto& [status, code] : {std::pair{TurnCredentialStatus::refused, Errc::turn_credentials_refused},
                                     {TurnCredentialStatus::busy, Errc::limit_reached},
                                     {TurnCredentialStatus::not_offered, Errc::turn_not_offered},
                                     {TurnCredentialStatus::malformed, Errc::turn_credentials_refused}}) {
    Requester asking(now, k_bob);
    asking.handle_bytes(now, framed({status, {}}));
    ASSERT_TRUE(asking.result() && !*asking.result());
    EXPECT_EQ(asking.result()->error().code(), code);
    asking.handle_bytes(now, framed({TurnCredentialStatus::busy, {}}));
    asking.handle_timeout(now + 1h);
    asking.handle_eof(now);
    EXPECT_EQ(asking.result()->error().code(), code) << "the first outcome stands";
  }
}

TEST_F(TurnCredentialsTest, PairsOfOneAndWithTheRelayAreRefused) {
  issuer.set_offer(k_offer);
  EXPECT_EQ(ask(k_alice, k_alice).status, TurnCredentialStatus::refused);
  EXPECT_EQ(ask(k_alice, k_relay).status, TurnCredentialStatus::refused);
  EXPECT_EQ(ask(PeerId(), k_bob).status, TurnCredentialStatus::refused);
  EXPECT_EQ(issuer.snapshot().refused, 3U);
  EXPECT_EQ(issuer.snapshot().issued, 0U);
}

// --- how often -----------------------------------------------------------------------------------------------------

class TurnCredentialsLimits : public TurnCredentialsTest {
 protected:
  void SetUp() override { issuer.set_offer(k_offer); }
  template <class Ask>
  static std::size_t count_ok(std::size_t times, Ask ask_once) {
    std::size_t given = 0;
    for (std::size_t i = 0; i < times; ++i) given += ask_once(i).status == TurnCredentialStatus::ok ? 1U : 0U;
    return given;
  }
};

TEST_F(TurnCredentialsLimits, OfOneRequesterWhereverItComesFrom) {
  const auto from_everywhere = [&](std::size_t i) { return ask(k_alice, k_bob, "192.0.2." + std::to_string(i)); };
  EXPECT_EQ(count_ok(50, from_everywhere), 10U);
  EXPECT_EQ(issuer.snapshot().busy, 40U);
  EXPECT_EQ(ask(k_bob, k_alice).status, TurnCredentialStatus::ok) << "of one, not of all";
  now = now + 6s;
  EXPECT_EQ(count_ok(50, from_everywhere), 1U);
  now = now + 1h;
  EXPECT_EQ(count_ok(50, from_everywhere), 10U);
}

TEST_F(TurnCredentialsLimits, OfOneSourceWhateverIdentitiesItHas) {
  const auto strangers = [&](std::size_t i) { return ask(peer(1000 + i), k_bob, "192.0.2.1"); };
  EXPECT_EQ(count_ok(150, strangers), 60U);
  EXPECT_EQ(ask(k_alice, k_bob, "192.0.2.1").status, TurnCredentialStatus::busy);
  EXPECT_EQ(ask(k_alice, k_bob, "192.0.2.2").status, TurnCredentialStatus::ok);
  // A /56 of IPv6 is one source.
  const auto one_network = [&](std::size_t i) {
    return ask(peer(2000 + i), k_bob, "2001:db8:0:" + std::to_string(i % 10) + "::1");
  };
  EXPECT_EQ(count_ok(150, one_network), 60U);
}

TEST_F(TurnCredentialsLimits, OfAllTogether) {
  Issuer small(credentials, rng, {.total_per_minute = 20});
  small.set_offer(k_offer);
  const auto all = [&](std::size_t i) {
    return small.issue({now, wall, peer(1000 + i), IpAddress::v4({10, 0, 0, static_cast<std::uint8_t>(i)}), k_bob});
  };
  EXPECT_EQ(count_ok(100, all), 20U);
}

TEST_F(TurnCredentialsLimits, WhatASourceAsksBeyondItsShareCostsNobodyElse) {
  for (int i = 0; i < 100; ++i) (void)ask(peer(1000), k_bob, "192.0.2.1");
  for (std::uint64_t i = 0; i < 500; ++i) {
    EXPECT_EQ(ask(peer(i % 50), k_bob, "192.0.2.1").status, TurnCredentialStatus::busy);
  }
  EXPECT_EQ(count_ok(20, [&](std::size_t) { return ask(k_alice, k_bob, "192.0.2.2"); }), 10U);
}

// --- bad input -----------------------------------------------------------------------------------------------------

TEST_F(TurnCredentialsTest, WhatIsNoRequestIsToldSo) {
  for (const std::string_view bytes :
       {std::string_view("\x03xyz", 4), std::string_view("\x00", 1), std::string_view("\x81\x01", 2),
        std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9)}) {
    Responder strict(now);
    strict.handle_bytes(now, as_bytes(bytes));
    EXPECT_FALSE(strict.wants_bytes());
    EXPECT_FALSE(strict.poll_event());
    Bytes out(100);
    out.resize(strict.poll_bytes(now, out));
    requester = Requester(now, k_bob);
    requester.handle_bytes(now, out);
    EXPECT_EQ(error(), Errc::turn_credentials_refused);
    const auto event = strict.poll_event();
    ASSERT_TRUE(event && std::holds_alternative<ResponderFinished>(*event));
    EXPECT_TRUE(std::get<ResponderFinished>(*event).error);
  }
}

TEST_F(TurnCredentialsTest, OnlyOneRequestIsRead) {
  Bytes request;
  append_frame(request, TurnCredentialRequest{k_bob}.encode());
  append_frame(request, TurnCredentialRequest{k_alice}.encode());
  responder.handle_bytes(now, request);
  responder.handle_bytes(now, request);
  const auto event = responder.poll_event();
  ASSERT_TRUE(event && std::holds_alternative<CredentialsWanted>(*event));
  EXPECT_EQ(std::get<CredentialsWanted>(*event).target, k_bob);
  EXPECT_FALSE(responder.poll_event());
  responder.handle_eof(now);
  EXPECT_FALSE(responder.poll_event()) << "it waits for the answer";
  responder.answer({TurnCredentialStatus::busy, {}});
  responder.answer({TurnCredentialStatus::refused, {}});
  Bytes out(100);
  out.resize(responder.poll_bytes(now, out));
  EXPECT_EQ(out, framed({TurnCredentialStatus::busy, {}}));
  EXPECT_TRUE(std::holds_alternative<ResponderFinished>(responder.poll_event().value()));
}

TEST_F(TurnCredentialsTest, AResponseIsBoundedBeforeItComes) {
  Bytes prefix;
  write_uvarint(prefix, TurnCredentialResponse::max_encoded_size + 1);
  requester.handle_bytes(now, prefix);
  ASSERT_TRUE(requester.result());
  EXPECT_EQ(error(), Errc::oversized);
  EXPECT_FALSE(requester.wants_bytes());
}

TEST_F(TurnCredentialsTest, EveryPrefixIsTruncated) {
  issuer.set_offer(k_offer);
  const Bytes response = framed(ask());
  Bytes request;
  append_frame(request, TurnCredentialRequest{k_bob}.encode());
  for (std::size_t size = 0; size < response.size(); ++size) {
    Requester cut(now, k_bob);
    cut.handle_bytes(now, BytesView(response).first(size));
    cut.handle_eof(now);
    ASSERT_TRUE(cut.result() && !*cut.result());
    EXPECT_EQ(cut.result()->error().code(), Errc::truncated) << size;
  }
  for (std::size_t size = 0; size < request.size(); ++size) {
    Responder cut(now);
    cut.handle_bytes(now, BytesView(request).first(size));
    cut.handle_eof(now);
    const auto event = cut.poll_event();
    ASSERT_TRUE(event && std::holds_alternative<ResponderFinished>(*event));
    EXPECT_EQ(std::get<ResponderFinished>(*event).error->code(), Errc::truncated) << size;
  }
}

TEST_F(TurnCredentialsTest, SilenceAndDripsEndAfterTenSeconds) {
  Bytes request;
  append_frame(request, TurnCredentialRequest{k_bob}.encode());
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(responder.next_timeout(), Instant{1000s} + 10s);
    EXPECT_EQ(requester.next_timeout(), Instant{1000s} + 10s);
    responder.handle_bytes(now, BytesView(request).subspan(i, 1));
    now = now + 999ms;
    responder.handle_timeout(now);
    requester.handle_timeout(now);
    EXPECT_FALSE(responder.poll_event());
    EXPECT_FALSE(requester.result());
  }
  now = now + 10ms;
  responder.handle_timeout(now);
  requester.handle_timeout(now);
  const auto event = responder.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<ResponderFinished>(*event).error->code(), Errc::phase_timeout);
  EXPECT_EQ(error(), Errc::timed_out);
  responder.answer({TurnCredentialStatus::busy, {}});
  Bytes out(100);
  EXPECT_EQ(responder.poll_bytes(now, out), 0U);
}

TEST_F(TurnCredentialsTest, ARelayThatIsNotReadFromEndsToo) {
  Bytes request;
  append_frame(request, TurnCredentialRequest{k_bob}.encode());
  responder.handle_bytes(now, request);
  ASSERT_TRUE(responder.poll_event());
  responder.answer({TurnCredentialStatus::busy, {}});
  responder.handle_timeout(now + 10s);
  const auto event = responder.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<ResponderFinished>(*event).error->code(), Errc::phase_timeout);
  EXPECT_EQ(responder.snapshot().buffered_bytes, 0U);
  // What its owner has not heard of yet it need not hear of any more.
  Responder unheard(now);
  unheard.handle_bytes(now, request);
  unheard.handle_timeout(now + 10s);
  EXPECT_TRUE(std::holds_alternative<ResponderFinished>(unheard.poll_event().value()));
  EXPECT_FALSE(unheard.poll_event());
}

}  // namespace
}  // namespace dig::turn_credentials
