// SPDX-License-Identifier: Apache-2.0
// Challenges, integrity, and servers or others on the way that would like less of both.
#include <gtest/gtest.h>

#include "proto/turn_client/testing/allocation_pair.hpp"

namespace dig::turn {
namespace {

using namespace testing;

constexpr stun::SecurityFeatures k_all_features{.password_algorithms = true, .username_anonymity = true};

TEST(AllocationAuthentication, UsesWhatAServerOfRfc8489Offers) {
  AllocationPair pair({.features = k_all_features});
  pair.open();
  EXPECT_EQ(pair.server.permissions.size(), 1u);
  const auto status = pair.client->snapshot(pair.now);
  EXPECT_TRUE(status.uses_sha256);
  EXPECT_TRUE(status.uses_userhash);
  const auto request = stun::Message::parse(pair.server.last(Method::allocate).bytes);
  EXPECT_TRUE(request->has(Attribute::userhash));
  EXPECT_FALSE(request->has(Attribute::username));
  EXPECT_TRUE(request->integrity_sha256());
  EXPECT_FALSE(request->integrity());
}

TEST(AllocationAuthentication, UsesMessageIntegrityWithAServerOfRfc5389) {
  AllocationPair pair;
  pair.open();
  const auto request = stun::Message::parse(pair.server.last(Method::allocate).bytes);
  EXPECT_TRUE(request->has(Attribute::username));
  EXPECT_TRUE(request->integrity());
  EXPECT_FALSE(request->integrity_sha256());
  EXPECT_FALSE(request->has(Attribute::password_algorithm));
}

TEST(AllocationAuthentication, TakesTheFirstAlgorithmThatItSupports) {
  AllocationPair pair(
      {.features = k_all_features,
       .algorithms = {static_cast<PasswordAlgorithm>(77), PasswordAlgorithm::md5, PasswordAlgorithm::sha256}});
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000"});
  const auto request = stun::Message::parse(pair.server.last(Method::allocate).bytes);
  EXPECT_EQ(*stun::decode_password_algorithm(*request->find(Attribute::password_algorithm)), 1);

  AllocationPair none({.features = k_all_features, .algorithms = {static_cast<PasswordAlgorithm>(77)}});
  none.drain();
  EXPECT_EQ(none.take_events(), Lines{ended(Errc::turn_weak_authentication, "no password algorithm in common")});
}

TEST(AllocationAuthentication, NoticesAListThatWasTakenOut) {
  AllocationPair pair({.features = k_all_features, .omits_algorithms = true});
  pair.drain();
  EXPECT_EQ(pair.take_events(),
            Lines{ended(Errc::turn_weak_authentication, "PASSWORD-ALGORITHMS is announced and missing")});
  EXPECT_EQ(pair.server.seen.size(), 1u);  // RFC 8489 §9.2.5: no retry
}

TEST(AllocationAuthentication, RefusesMd5WhereTheOwnerWantsSha256) {
  AllocationConfig config = config_with();
  config.requires_sha256 = true;
  AllocationPair old({}, config);
  old.drain();
  EXPECT_EQ(old.take_events(), Lines{ended(Errc::turn_weak_authentication, "the server knows only MD5")});
  AllocationPair md5_first(
      {.features = k_all_features, .algorithms = {PasswordAlgorithm::md5, PasswordAlgorithm::sha256}}, config);
  md5_first.drain();
  EXPECT_EQ(md5_first.take_events(), Lines{"allocated 20.0.0.1:50000"});
}

TEST(AllocationAuthentication, NeverGoesDownWithinASession) {
  AllocationPair pair({.features = k_all_features});
  pair.open();
  pair.server.script.features.reset();  // as somebody on the way would have it
  pair.server.script.nonce = "nonce-2";
  const std::size_t before = pair.server.seen.size();
  pair.pass(540s);
  EXPECT_EQ(pair.client->phase(), AllocationPhase::active);
  EXPECT_GT(pair.server.seen.size(), before);
  const auto last = stun::Message::parse(pair.server.seen.back().bytes);
  EXPECT_TRUE(last->integrity_sha256());
  pair.pass(60s);
  ASSERT_FALSE(pair.events.empty());
  EXPECT_TRUE(pair.events.back().starts_with("ended allocation_lost")) << pair.events.back();
  EXPECT_NE(pair.events.back().find("DN-TURN-002"), std::string::npos) << pair.events.back();
}

TEST(AllocationAuthentication, DoesNotGiveTheUserNameAwayLater) {
  AllocationPair pair({.features = k_all_features});
  pair.open();
  pair.server.script.features->username_anonymity = false;
  pair.server.seen.clear();
  pair.pass(600s);
  ASSERT_FALSE(pair.server.seen.empty());
  for (const auto& seen : pair.server.seen) EXPECT_FALSE(stun::Message::parse(seen.bytes)->has(Attribute::username));
  EXPECT_EQ(pair.client->phase(), AllocationPhase::ended);
}

TEST(AllocationAuthentication, FollowsANewNonceInTheMiddle) {
  for (const bool is_modern : {false, true}) {
    AllocationPair pair({.features = is_modern ? std::optional(k_all_features) : std::nullopt});
    pair.open();
    for (int i = 2; i < 20; ++i) {
      pair.server.script.nonce = "nonce-" + std::to_string(i);
      pair.pass(300s);
    }
    EXPECT_EQ(pair.take_events(), Lines{});
    EXPECT_EQ(pair.client->phase(), AllocationPhase::active);
    EXPECT_EQ(pair.client->snapshot(pair.now).nonce_changes, 18u);
  }
}

TEST(AllocationAuthentication, EndlessStaleNoncesAreGivenUp) {
  AllocationPair pair({.refusals = {{Method::allocate, 438}}});
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::turn_stale_nonce, "438 because")});
  EXPECT_EQ(pair.server.seen.size(), 4u);  // 401, then three tries

  AllocationPair later;
  later.open();
  later.server.script.refusals = {{Method::create_permission, 438}, {Method::refresh, 438}};
  later.pass(600s);
  ASSERT_EQ(later.events.size(), 2u);
  EXPECT_EQ(later.events[0], lost(k_peer, Errc::turn_stale_nonce));
  EXPECT_TRUE(later.events[1].starts_with(ended(Errc::allocation_lost, "the TURN server keeps rejecting")))
      << later.events[1];
  // Bounded: every five seconds a request of a few tries.
  EXPECT_LT(later.server.seen.size(), 200u);
}

TEST(AllocationAuthentication, ANewRealmIsTriedOnce) {
  AllocationPair pair;
  pair.open();
  pair.server.script.realm = "example.net";
  pair.server.script.nonce = "nonce-2";
  pair.pass(600s);
  EXPECT_EQ(pair.take_events(), Lines{});
  EXPECT_EQ(pair.client->phase(), AllocationPhase::active);
}

TEST(AllocationAuthentication, ANewRealmIsTriedByEveryRequestThatWasUnderWay) {
  AllocationPair pair;
  pair.drain();
  pair.take_events();
  pair.server.script.realm = "example.net";
  pair.server.script.nonce = "nonce-2";
  ASSERT_TRUE(pair.client->bind_channel(pair.now, k_peer));
  pair.drain();
  EXPECT_EQ(pair.take_events(), (Lines{"permission 40.0.0.9", "channel 40.0.0.9:7000"}));
}

TEST(AllocationAuthentication, CredentialsThatLapseEndTheAllocation) {
  AllocationPair pair;
  pair.open();
  pair.server.script.password = "changed";
  pair.pass(600s);
  EXPECT_EQ(pair.take_events(),
            (Lines{lost(k_peer, Errc::turn_unauthorized),
                   ended(Errc::allocation_lost,
                         "the TURN server does not accept the credentials: 401 because (DN-TURN-001)")}));
}

TEST(AllocationAuthentication, ResponsesWithoutIntegrityNeverArriveOverDatagrams) {
  for (const bool is_broken : {false, true}) {
    for (const int refusal : {0, 400, 437, 486, 508, 300}) {
      Script script{.omits_integrity = !is_broken, .breaks_integrity = is_broken};
      if (refusal != 0) script.refusals = {{Method::allocate, static_cast<std::uint16_t>(refusal)}};
      AllocationPair pair(script);
      pair.drain();
      EXPECT_EQ(pair.take_events(), Lines{}) << refusal;
      EXPECT_EQ(pair.client->snapshot(pair.now).bad_integrity, 1u);
      pair.server.script.breaks_integrity = pair.server.script.omits_integrity = false;
      pair.server.script.refusals.clear();
      pair.pass(1s);  // the true answer to a retransmission counts
      EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000"}) << refusal;
    }
  }
}

TEST(AllocationAuthentication, SaysThatTheIntegrityWasViolatedAndNotThatAllWasSilent) {
  AllocationPair pair({.breaks_integrity = true});
  pair.drain();
  pair.pass(40s);
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::stun_integrity, "20.0.0.1:3478")});

  AllocationPair stream({.breaks_integrity = true}, config_with(StunTransport::tcp));
  stream.drain();  // RFC 8489 §9.2.5: over a reliable transport at once
  EXPECT_EQ(stream.take_events(), Lines{ended(Errc::stun_integrity, "20.0.0.1:3478")});
}

TEST(AllocationAuthentication, AServerThatGrantsWithoutAskingIsNotBelieved) {
  AllocationPair pair({.asks_for_credentials = false});
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{});
  pair.pass(40s);
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::stun_integrity, "20.0.0.1:3478")});
}

TEST(AllocationAuthentication, TheOtherIntegrityAttributeIsNoIntegrity) {
  AllocationPair pair({.features = k_all_features, .omits_integrity = true});
  const stun::LongTermKey key(PasswordAlgorithm::sha256, "alice", "example.org", "wonderland");
  pair.server.script.more = [&](stun::Writer& writer, Method) {
    if (pair.server.seen.back().is_authenticated) stun::add_integrity(writer, key.view());
  };
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{});
  EXPECT_EQ(pair.client->snapshot(pair.now).bad_integrity, 1u);
}

TEST(AllocationAuthentication, AShortenedIntegrityIsNoIntegrity) {
  AllocationPair pair({.features = k_all_features, .omits_integrity = true});
  const stun::LongTermKey key(PasswordAlgorithm::sha256, "alice", "example.org", "wonderland");
  std::size_t size = 28;
  pair.server.script.more = [&](stun::Writer& writer, Method) {
    if (!pair.server.seen.back().is_authenticated) return;
    // RFC 8489 §14.6: the MAC is made with the length that the message will have.
    writer.set_length_ahead(stun::k_attribute_header_size + size);
    const auto mac = crypto::hmac_sha256(key.view(), writer.written());
    writer.add(Attribute::message_integrity_sha256, BytesView(mac).first(size));
  };
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{});
  size = 32;
  pair.pass(500ms);
  EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000"});
}

TEST(AllocationAuthentication, ANonceThatAnnouncesWhatIsMissingSpoilsAnyResponse) {
  AllocationPair pair({.features = k_all_features});
  pair.server.script.more = [&](stun::Writer& writer, Method) {
    if (pair.server.seen.back().is_authenticated) writer.add_text(Attribute::nonce, pair.server.nonce());
  };
  pair.drain();  // RFC 8489 §9.2.5: ignored, though its integrity is right
  EXPECT_EQ(pair.take_events(), Lines{});
  EXPECT_EQ(pair.client->snapshot(pair.now).bad_integrity, 1u);
}

TEST(AllocationAuthentication, AttributesBehindTheIntegrityDoNotCount) {
  AllocationPair pair;
  pair.server.script.after_integrity = [](stun::Writer& writer) {
    writer.add_u32(Attribute::lifetime, 1);
    stun::add_xor_address(writer, Attribute::xor_relayed_address, {IpAddress::v4({127, 0, 0, 1}), 1}, {});
  };
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000"});
  EXPECT_EQ(pair.client->snapshot(pair.now).lifetime, Duration(600s));
}

TEST(AllocationAuthentication, ChallengesBeyondTheirSizesAreRefused) {
  const std::string longest(127, 'n');
  AllocationPair fits({.realm = longest, .nonce = longest});
  fits.drain();
  EXPECT_EQ(fits.take_events(), Lines{"allocated 20.0.0.1:50000"});
  std::string wide;
  for (int i = 0; i < 127; ++i) wide += "\xF0\x9F\x98\x80";  // 127 characters, 508 bytes
  AllocationPair wide_fits({.realm = wide, .nonce = wide});
  wide_fits.drain();
  EXPECT_EQ(wide_fits.take_events(), Lines{"allocated 20.0.0.1:50000"});

  const std::vector<std::string> too_large = {std::string(128, 'n'), std::string(764, '\x80'), std::string(3000, 'n'),
                                              ""};
  for (const std::string& text : too_large) {
    AllocationPair realm({.realm = text});
    realm.drain();
    EXPECT_EQ(realm.take_events(), Lines{ended(Errc::stun_bad_response, "a NONCE or REALM beyond its size")});
    AllocationPair nonce({.nonce = text});
    nonce.drain();
    EXPECT_EQ(nonce.take_events(), Lines{ended(Errc::stun_bad_response, "a NONCE or REALM beyond its size")});
  }
}

TEST(AllocationAuthentication, TheTextOfTheServerIsMadeFit) {
  AllocationPair pair({.refusals = {{Method::allocate, 486}}, .refuses_unprotected = true});
  Bytes out(600);
  Bytes request(600);
  const std::size_t size = pair.client->poll_transmit(pair.now, request);
  const auto sent = stun::Message::parse(BytesView(request).first(size));
  stun::Writer writer(out,
                      {.method = Method::allocate, .message_class = Class::error, .transaction = sent->transaction()});
  stun::add_error(writer, 486, "\x1b[2J\xE2\x80\xAE" + std::string(400, 'x'));
  pair.receive(writer.written());
  pair.drain();
  ASSERT_EQ(pair.events.size(), 1u);
  EXPECT_TRUE(pair.events[0].starts_with(ended(Errc::turn_quota, "486 ?[2J?xxx"))) << pair.events[0];
  EXPECT_LT(pair.events[0].size(), 200u);
}

}  // namespace
}  // namespace dig::turn
