// SPDX-License-Identifier: Apache-2.0
// Making an allocation and giving it back; every refusal has its own code.
#include "proto/turn_client/allocation.hpp"

#include <gtest/gtest.h>

#include "proto/turn_client/testing/allocation_pair.hpp"

namespace dig::turn {
namespace {

using namespace testing;

std::uint32_t u32_in(const FakeServer::Seen& seen, Attribute type) {
  const auto message = stun::Message::parse(seen.bytes);
  return *stun::decode_u32(*message->find(type));
}

TEST(ClientAllocation, IsMadeAfterTheServerHasAskedForCredentials) {
  AllocationPair pair;
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000"});
  ASSERT_EQ(pair.server.seen.size(), 2u);
  EXPECT_FALSE(pair.server.seen[0].is_authenticated);
  EXPECT_TRUE(pair.server.seen[1].is_authenticated);
  EXPECT_EQ(pair.client->phase(), AllocationPhase::active);
  EXPECT_EQ(u32_in(pair.server.seen[1], Attribute::lifetime), 600u);
}

TEST(ClientAllocation, NeedsNoCredentialsWhereTheServerAsksForNone) {
  AllocationPair pair({.asks_for_credentials = false}, {.server = k_server});
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000"});
}

TEST(ClientAllocation, AsksForIpv6OrBothFamilies) {
  AllocationConfig config = config_with();
  config.families = RelayFamilies::ipv6;
  AllocationPair six({.relayed = {k_relayed_v6}}, config);
  six.drain();
  EXPECT_EQ(six.take_events(), Lines{"allocated [2a00::1]:50000"});
  const auto first = stun::Message::parse(six.server.seen[0].bytes);
  EXPECT_EQ(*stun::decode_address_family(*first->find(Attribute::requested_address_family)), stun::AddressFamily::ipv6);

  config.families = RelayFamilies::both;
  AllocationPair both({.relayed = {k_relayed, k_relayed_v6}}, config);
  both.drain();
  EXPECT_EQ(both.take_events(), Lines{"allocated 20.0.0.1:50000 [2a00::1]:50000"});
  EXPECT_TRUE(both.client->permit(both.now, k_peer.address));
  EXPECT_TRUE(both.client->permit(both.now, k_peer_v6.address));
}

TEST(ClientAllocation, SaysWhichOfTwoFamiliesIsMissing) {
  AllocationConfig config = config_with();
  config.families = RelayFamilies::both;
  AllocationPair pair({.address_error = 440}, config);
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000 without turn_family_unsupported"});
  EXPECT_EQ(pair.client->permit(pair.now, k_peer_v6.address).error().code(), Errc::turn_peer_family_mismatch);
}

TEST(ClientAllocation, GivesBackWhatLacksTheExpectedFamily) {
  AllocationConfig config = config_with();
  config.families = RelayFamilies::both;
  config.expected_relay_family = IpFamily::v6;
  AllocationPair pair({.address_error = 508}, config);
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::turn_no_capacity, "508")});
  ASSERT_EQ(pair.server.count(Method::refresh), 1u);
  EXPECT_EQ(u32_in(pair.server.last(Method::refresh), Attribute::lifetime), 0u);
}

TEST(ClientAllocation, PassesPortWishesAndTokensOn) {
  AllocationConfig config = config_with();
  config.even_port = EvenPort::even_and_next_reserved;
  AllocationPair first({.reservation_token = 0x1122334455667788}, config);
  first.drain();
  const auto asked = stun::Message::parse(first.server.seen[1].bytes);
  EXPECT_TRUE(*stun::decode_even_port(*asked->find(Attribute::even_port)));

  config.even_port.reset();
  config.reservation_token = 0x1122334455667788;
  AllocationPair second({}, config);
  second.drain();
  const auto redeemed = stun::Message::parse(second.server.seen[1].bytes);
  EXPECT_EQ(*stun::decode_u64(*redeemed->find(Attribute::reservation_token)), 0x1122334455667788u);
  EXPECT_EQ(second.take_events(), Lines{"allocated 20.0.0.1:50000"});
}

TEST(ClientAllocation, RefusesConfigurationsThatNoRequestCanSay) {
  const auto code_of = [](const AllocationConfig& config) {
    AllocationPair pair({}, config);
    pair.drain();
    EXPECT_TRUE(pair.server.seen.empty());
    return pair.take_events();
  };
  AllocationConfig config = config_with();
  config.reservation_token = 1;
  config.even_port = EvenPort::even;
  EXPECT_EQ(code_of(config),
            Lines{ended(Errc::invalid_argument, "a reservation token with an even port or an address family")});
  config = config_with();
  config.families = RelayFamilies::both;
  config.even_port = EvenPort::even_and_next_reserved;
  EXPECT_EQ(code_of(config), Lines{ended(Errc::invalid_argument, "a reserved port with both address families")});
  config = config_with();
  config.credentials->username = std::string(509, 'a');
  EXPECT_EQ(code_of(config), Lines{ended(Errc::invalid_argument, "a user name or password that is empty or too long")});
  config = config_with();
  config.expected_relay_family = IpFamily::v6;
  EXPECT_EQ(code_of(config), Lines{ended(Errc::invalid_argument, "a family that is expected and not asked for")});
  config = config_with();
  config.credentials->username = std::string(508, 'a');
  EXPECT_TRUE(config.validate());
  config.lifetime = 0s;
  EXPECT_EQ(config.validate().error().code(), Errc::invalid_argument);
  config = config_with();
  config.server.port = 0;
  EXPECT_EQ(config.validate().error().code(), Errc::invalid_argument);
}

TEST(ClientAllocation, DoesWithoutDontFragmentWhereTheServerDoesNotKnowIt) {
  AllocationConfig config = config_with();
  config.dont_fragment = true;
  AllocationPair knows({}, config);
  knows.drain();
  EXPECT_TRUE(knows.client->snapshot(knows.now).uses_dont_fragment);

  AllocationPair pair({.refusals = {{Method::allocate, 420}},
                       .refuses_unprotected = true,
                       .unknown_attributes = {static_cast<std::uint16_t>(Attribute::dont_fragment)}},
                      config);
  pair.loses_response = [&](BytesView) {  // refused once
    pair.server.script.refusals.clear();
    return false;
  };
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000"});
  EXPECT_FALSE(pair.client->snapshot(pair.now).uses_dont_fragment);
  EXPECT_FALSE(stun::Message::parse(pair.server.last(Method::allocate).bytes)->has(Attribute::dont_fragment));

  AllocationPair stubborn({.refusals = {{Method::allocate, 420}},
                           .unknown_attributes = {static_cast<std::uint16_t>(Attribute::dont_fragment)}},
                          config);
  stubborn.drain();
  EXPECT_EQ(stubborn.take_events(), Lines{ended(Errc::turn_refused, "420 because")});
}

TEST(ClientAllocation, EveryRefusalHasItsCode) {
  const std::vector<std::pair<std::uint16_t, Errc>> cases = {
      {400, Errc::turn_refused},
      {403, Errc::turn_refused},
      {420, Errc::turn_refused},
      {437, Errc::turn_mismatch},
      {440, Errc::turn_family_unsupported},
      {441, Errc::turn_unauthorized},
      {442, Errc::turn_transport_unsupported},
      {443, Errc::turn_peer_family_mismatch},
      {486, Errc::turn_quota},
      {500, Errc::turn_refused},
      {508, Errc::turn_no_capacity},
      {699, Errc::turn_refused},
  };
  for (const auto& [code, errc] : cases) {
    for (const bool is_unprotected : {false, true}) {
      AllocationPair pair({.refusals = {{Method::allocate, code}}, .refuses_unprotected = is_unprotected});
      pair.drain();
      EXPECT_EQ(pair.take_events(), Lines{ended(errc, std::to_string(code) + " because")});
      EXPECT_EQ(pair.client->next_timeout(), std::nullopt);
    }
  }
}

TEST(ClientAllocation, WrongCredentialsAreSaidAfterOneTry) {
  AllocationPair pair({.password = "other"});
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::turn_unauthorized, "401 because")});
  EXPECT_EQ(pair.server.seen.size(), 2u);

  AllocationPair without({}, {.server = k_server});
  without.drain();
  EXPECT_EQ(without.take_events(), Lines{ended(Errc::turn_unauthorized, "the server asks for credentials")});
}

TEST(ClientAllocation, TellsWhereTheServerPoints) {
  const Endpoint other{IpAddress::v4({20, 0, 0, 2}), 3478};
  AllocationPair pair({.refusals = {{Method::allocate, 300}}, .alternate = other});
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::turn_redirected, "300 because -> 20.0.0.2:3478")});

  AllocationConfig second_hop = config_with();
  second_hop.follows_redirect = false;
  AllocationPair again({.refusals = {{Method::allocate, 300}}, .alternate = other}, second_hop);
  again.drain();
  EXPECT_EQ(again.take_events(), Lines{ended(Errc::turn_redirected, "300 because")});
}

TEST(ClientAllocation, IsNotSentToUnsafeAlternates) {
  const std::vector<std::optional<Endpoint>> unsafe = {
      std::nullopt,
      k_server,                                       // a loop of one
      Endpoint{IpAddress::v4({127, 0, 0, 1}), 3478},  // this host
      Endpoint{IpAddress::v4({192, 168, 1, 1}), 80},  // the router
      Endpoint{IpAddress::v4({20, 0, 0, 2}), 0},
      Endpoint{*IpAddress::parse("2a00::2"), 3478},  // RFC 8489 §14.15: the same family
  };
  for (const auto& alternate : unsafe) {
    AllocationPair pair({.refusals = {{Method::allocate, 300}}, .alternate = alternate});
    pair.drain();
    EXPECT_EQ(pair.take_events(), Lines{ended(Errc::turn_redirected, "300 because")});
  }
  AllocationConfig lab = config_with();
  lab.address_policy = stun::AddressPolicy::any_unicast;
  AllocationPair pair(
      {.refusals = {{Method::allocate, 300}}, .alternate = Endpoint{IpAddress::v4({127, 0, 0, 1}), 3478}}, lab);
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::turn_redirected, "300 because -> 127.0.0.1:3478")});
}

TEST(ClientAllocation, RelayedAddressesThatNobodyCanReachAreGivenBack) {
  for (const char* text : {"0.0.0.0:50000", "10.0.0.1:50000", "127.0.0.1:50000", "192.168.0.1:50000", "20.0.0.1:0",
                           "100.64.0.1:50000", "224.0.0.1:50000", "255.255.255.255:50000"}) {
    AllocationPair pair({.relayed = {*Endpoint::parse(text)}});
    pair.drain();
    EXPECT_EQ(pair.take_events(), Lines{std::string(ended(Errc::turn_bad_relay, "")) + text});
    ASSERT_EQ(pair.server.count(Method::refresh), 1u) << text;
    EXPECT_EQ(u32_in(pair.server.last(Method::refresh), Attribute::lifetime), 0u);
  }
  AllocationConfig lab = config_with();
  lab.address_policy = stun::AddressPolicy::any_unicast;
  AllocationPair pair({.relayed = {*Endpoint::parse("127.0.0.1:50000")}}, lab);
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"allocated 127.0.0.1:50000"});
  AllocationPair unspecified({.relayed = {*Endpoint::parse("0.0.0.0:50000")}}, lab);
  unspecified.drain();
  EXPECT_EQ(unspecified.take_events(), Lines{ended(Errc::turn_bad_relay, "0.0.0.0:50000")});
}

TEST(ClientAllocation, AFamilyThatWasNotAskedForIsNotTaken) {
  AllocationPair six({.relayed = {k_relayed_v6}});
  six.drain();
  EXPECT_EQ(six.take_events(), Lines{ended(Errc::turn_bad_relay, "[2a00::1]:50000")});
  AllocationPair twice({.relayed = {k_relayed, k_relayed}});
  twice.drain();
  EXPECT_EQ(twice.take_events(), Lines{ended(Errc::turn_bad_relay, "20.0.0.1:50000")});
  AllocationPair none({.relayed = {}});
  none.drain();
  EXPECT_EQ(none.take_events(), Lines{ended(Errc::stun_bad_response, "no XOR-RELAYED-ADDRESS")});
}

TEST(ClientAllocation, SurvivesLostRequestsAndResponses) {
  AllocationPair pair;
  int messages = 0;
  pair.loses_request = [&](BytesView) { return ++messages % 3 != 0; };  // two of three
  pair.drain();
  pair.pass(20s);
  EXPECT_EQ(pair.take_events(), Lines{"allocated 20.0.0.1:50000"});

  AllocationPair other;
  int responses = 0;
  other.loses_response = [&](BytesView) { return ++responses % 2 != 0; };
  other.drain();
  other.pass(20s);
  EXPECT_EQ(other.take_events(), Lines{"allocated 20.0.0.1:50000"});
}

TEST(ClientAllocation, SilenceIsGivenUpAfterTheTimeOfTheRfc) {
  AllocationPair pair;
  pair.loses_request = [](BytesView) { return true; };
  pair.drain();
  pair.pass(39'499ms);
  EXPECT_EQ(pair.take_events(), Lines{});
  pair.pass(1ms);
  EXPECT_EQ(pair.take_events(), Lines{ended(Errc::stun_silent, "20.0.0.1:3478")});

  AllocationPair stream({}, config_with(StunTransport::tls));
  stream.loses_request = [](BytesView) { return true; };
  stream.drain();
  stream.pass(9'999ms);
  EXPECT_EQ(stream.take_events(), Lines{});
  stream.pass(1ms);
  EXPECT_EQ(stream.take_events(), Lines{ended(Errc::stun_silent, "20.0.0.1:3478")});
}

TEST(ClientAllocation, IsReleased) {
  AllocationPair pair;
  pair.drain();
  pair.take_events();
  pair.client->release(pair.now);
  EXPECT_EQ(pair.client->phase(), AllocationPhase::releasing);
  pair.client->release(pair.now);
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"released"});
  EXPECT_EQ(u32_in(pair.server.last(Method::refresh), Attribute::lifetime), 0u);
  EXPECT_EQ(pair.client->next_timeout(), std::nullopt);
  EXPECT_EQ(pair.client->send(pair.now, k_peer, as_bytes("x")), SendResult::refused);
  EXPECT_FALSE(pair.client->permit(pair.now, k_peer.address));
}

TEST(ClientAllocation, IsReleasedWhateverTheServerSays) {
  for (const std::uint16_t code : {std::uint16_t{437}, std::uint16_t{403}, std::uint16_t{500}}) {
    AllocationPair pair({.refusals = {{Method::refresh, code}}});
    pair.drain();
    pair.take_events();
    pair.client->release(pair.now);
    pair.drain();
    EXPECT_EQ(pair.take_events(), Lines{"released"});
  }
  AllocationPair silent;
  silent.drain();
  silent.take_events();
  silent.loses_request = [](BytesView) { return true; };
  silent.client->release(silent.now);
  silent.drain();
  silent.pass(60s);
  EXPECT_EQ(silent.take_events(), Lines{"released"});
}

TEST(ClientAllocation, ReleaseBeforeItStandsIsSaidToTheServerIfItMayExist) {
  AllocationPair fresh;
  fresh.client->release(fresh.now);
  fresh.drain();
  EXPECT_EQ(fresh.take_events(), Lines{"released"});
  EXPECT_TRUE(fresh.server.seen.empty());

  AllocationPair challenged;
  challenged.loses_response = [&](BytesView) { return challenged.server.seen.back().is_authenticated; };
  challenged.drain();  // the success response is lost
  challenged.loses_response = [](BytesView) { return false; };
  challenged.client->release(challenged.now);
  challenged.drain();
  EXPECT_EQ(challenged.take_events(), Lines{"released"});
  EXPECT_EQ(u32_in(challenged.server.last(Method::refresh), Attribute::lifetime), 0u);
}

TEST(ClientAllocation, EndsWithItsLeg) {
  AllocationPair pair;
  pair.client->handle_leg_closed(pair.now, Error(Errc::connection_refused, "20.0.0.1:3478"));
  pair.drain();
  EXPECT_EQ(pair.take_events(), Lines{"ended connection_refused: 20.0.0.1:3478"});

  AllocationPair active;
  active.drain();
  active.take_events();
  active.client->handle_leg_closed(active.now, Error(Errc::connection_reset));
  active.client->handle_leg_closed(active.now, Error(Errc::connection_reset));
  active.drain();
  EXPECT_EQ(active.take_events(),
            Lines{ended(Errc::allocation_lost, "the connection was closed by the other side (DN-NET-004)")});

  AllocationPair releasing;
  releasing.drain();
  releasing.take_events();
  releasing.client->release(releasing.now);
  releasing.client->handle_leg_closed(releasing.now, Error(Errc::connection_reset));
  releasing.drain();
  EXPECT_EQ(releasing.take_events(), Lines{"released"});
}

}  // namespace
}  // namespace dig::turn
