// SPDX-License-Identifier: Apache-2.0
// Who may allocate what, for how long, and what every wrong request gets.
#include "proto/turn_server/server.hpp"

#include <gtest/gtest.h>

#include "proto/turn_server/testing/turn_world.hpp"

namespace dig::turn {
namespace {

using namespace testing;

Fill with_lifetime(std::uint32_t seconds) {
  return [=](stun::Writer& writer) { writer.add_u32(Attribute::lifetime, seconds); };
}

TEST(TurnServer, AClientAllocatesRefreshesAndReleases) {
  World world;
  TestClient client(world);
  const std::size_t ports = world.server.free_ports();
  const Answer made = client.allocate();
  ASSERT_TRUE(made.is_success()) << made.error();
  EXPECT_TRUE(client.is_signed(made));
  EXPECT_EQ(made.address(Attribute::xor_mapped_address), client.path.remote);
  EXPECT_EQ(client.relayed.address, ip("203.0.113.1"));
  EXPECT_GE(client.relayed.port, 49152);
  EXPECT_EQ(made.lifetime(), 600u);
  EXPECT_EQ(world.server.allocations(), 1u);
  EXPECT_EQ(world.open_relays.size(), 1u);
  EXPECT_EQ(world.count<AllocationMade>(), 1u);

  const Answer refreshed = client.refresh(1200);
  EXPECT_TRUE(refreshed.is_success() && client.is_signed(refreshed));
  EXPECT_EQ(refreshed.lifetime(), 1200u);
  const Answer released = client.refresh(0);
  EXPECT_TRUE(released.is_success());
  EXPECT_EQ(released.lifetime(), 0u);
  EXPECT_EQ(world.server.allocations(), 0u);
  EXPECT_TRUE(world.open_relays.empty());
  EXPECT_EQ(world.server.free_ports(), ports);
  EXPECT_EQ(world.quotas.taken(), 0u);
  EXPECT_EQ(client.refresh().error(), 437);
}

TEST(TurnServer, AnAllocationEndsWithItsLifetimeAndGivesEverythingBack) {
  World world;
  TestClient client(world);
  const std::size_t ports = world.server.free_ports();
  ASSERT_TRUE(client.allocate(with_lifetime(700)).is_success());
  world.advance(699s);
  EXPECT_EQ(world.server.allocations(), 1u);
  world.advance(2s);
  EXPECT_EQ(world.server.allocations(), 0u);
  EXPECT_EQ(world.server.free_ports(), ports);
  EXPECT_EQ(world.quotas.taken(), 0u);
  EXPECT_TRUE(world.open_relays.empty());
  EXPECT_EQ(std::get<AllocationEnded>(world.facts.back()).why, AllocationEnd::expired);
  EXPECT_EQ(world.server.next_timeout(), std::nullopt);
}

TEST(TurnServer, LifetimesStayWithinTheirBounds) {
  for (const auto& [wanted, granted] : {std::pair{1U, 600U}, {601U, 601U}, {3600U, 3600U}, {0xFFFFFFFFU, 3600U}}) {
    World world;
    TestClient client(world);
    EXPECT_EQ(client.allocate(with_lifetime(wanted)).lifetime(), granted);
    EXPECT_EQ(client.refresh(wanted).lifetime(), granted);
  }
}

TEST(TurnServer, ARepeatedAllocateHasTheSameAnswerAndANewOneIsAMismatch) {
  World world;
  TestClient client(world);
  client.learn();
  const Bytes request = client.build(
      Method::allocate, [](stun::Writer& writer) { stun::add_requested_transport(writer, stun::k_transport_udp); });
  const Endpoint first = client.exchange(request)->address(Attribute::xor_relayed_address);
  const auto again = client.exchange(request);
  ASSERT_TRUE(again->is_success());
  EXPECT_EQ(again->address(Attribute::xor_relayed_address), first);
  EXPECT_EQ(world.server.allocations(), 1u);
  EXPECT_EQ(client.allocate().error(), 437);
  // Another user's with the same transaction is not the repeated one.
  client.username = "other";
  client.password = "word";
  const stun::TransactionId transaction = stun::Message::parse(request)->transaction();
  EXPECT_EQ(client.exchange(client.build(Method::allocate, {}, transaction))->error(), 437);
}

TEST(TurnServer, TheChallengeKeepsNothingAndNamesTheRealm) {
  World world;
  TestClient client(world);
  client.learn();
  EXPECT_EQ(client.realm, "example.org");
  EXPECT_LE(client.nonce.size(), 127u);  // RFC 8489 §14.10: fewer than 128 characters
  EXPECT_EQ(stun::features_of_nonce(as_bytes(client.nonce)), (stun::SecurityFeatures{true, true}));
  EXPECT_EQ(world.server.allocations(), 0u);
  EXPECT_EQ(world.server.next_timeout(), std::nullopt);
}

TEST(TurnServer, ANonceIsWorthNothingFromAnotherAddressOrTooLate) {
  World world;
  TestClient client(world);
  client.learn();
  for (const std::string_view from : {"192.0.2.10:5001", "192.0.2.11:5000"}) {
    TestClient thief(world, from);
    thief.realm = client.realm;
    thief.nonce = client.nonce;
    EXPECT_EQ(thief.allocate().error(), 438) << from;
  }
  world.advance(601s);
  const Answer stale = client.allocate();
  EXPECT_EQ(stale.error(), 438);
  client.nonce = as_text(*stale.message().find(Attribute::nonce));
  EXPECT_TRUE(client.allocate().is_success());
  client.nonce.back() = client.nonce.back() == 'A' ? 'B' : 'A';
  EXPECT_EQ(client.refresh().error(), 438);
}

TEST(TurnServer, WrongCredentialsAreChallengedAgain) {
  for (const auto& [username, password] : {std::pair{"user", "wrong"}, {"nobody", "pass"}, {"", ""}}) {
    World world;
    TestClient client(world);
    client.username = username;
    client.password = password;
    const Answer answer = client.allocate();
    EXPECT_EQ(answer.error(), 401) << username;
    EXPECT_TRUE(answer.message().has(Attribute::nonce));
    EXPECT_FALSE(answer.message().integrity());
  }
  World world;
  TestClient client(world);
  client.learn();
  client.realm = "elsewhere.org";
  EXPECT_EQ(client.allocate().error(), 401);
}

TEST(TurnServer, StrongerCredentialsWorkAndCannotBeBidDown) {
  for (const bool uses_userhash : {false, true}) {
    World world;
    TestClient client(world);
    client.uses_sha256 = true;
    client.uses_userhash = uses_userhash;
    const Answer made = client.allocate();
    ASSERT_TRUE(made.is_success()) << made.error();
    EXPECT_TRUE(client.is_signed(made));
    EXPECT_FALSE(made.message().integrity());
  }
  // A list without the strong algorithm is not the one that was sent.
  World world;
  TestClient client(world);
  client.learn();
  EXPECT_EQ(client
                .request(Method::allocate,
                         [](stun::Writer& writer) {
                           stun::add_requested_transport(writer, stun::k_transport_udp);
                           stun::add_password_algorithms(writer, std::array{stun::PasswordAlgorithm::md5});
                           stun::add_password_algorithm(writer, stun::PasswordAlgorithm::md5);
                         })
                .error(),
            400);
}

TEST(TurnServer, AnotherUserCannotTouchAnAllocation) {
  World world;
  TestClient client(world);
  ASSERT_TRUE(client.allocate().is_success());
  client.username = "other";
  client.password = "word";
  EXPECT_EQ(client.refresh(0).error(), 441);
  EXPECT_EQ(client.permit({"192.0.2.1:1"}).error(), 441);
  EXPECT_EQ(world.server.allocations(), 1u);
}

TEST(TurnServer, RestCredentialsWorkUntilTheyExpireWithEverySecret) {
  const RestSecrets secrets({"new secret", "old secret"});
  for (const std::string_view secret : {"new secret", "old secret", "wrong"}) {
    World world(World::default_config(), {}, &secrets);
    TestClient client(world);
    client.username = std::to_string(world.wall.seconds + 60) + ":alice";
    client.password = rest_password(secret, client.username);
    EXPECT_EQ(client.allocate().error(), secret == "wrong" ? 401 : 0);
    world.advance(61s);
    EXPECT_EQ(client.refresh().error(), 401);
  }
  EXPECT_TRUE(secrets.find("alice", {0}).passwords.empty());
  EXPECT_TRUE(secrets.find("-1:alice", {0}).passwords.empty());
  EXPECT_TRUE(secrets.find("99999999999999999999:alice", {0}).passwords.empty());
  // As `printf 1700000060:alice | openssl dgst -sha1 -hmac secret -binary | base64` has it.
  EXPECT_EQ(rest_password("secret", "1700000060:alice").size(), 28u);
}

struct BadAllocate {
  std::string_view name;
  int error;
  Fill fill;
};

TEST(TurnServer, EveryWrongAllocateHasItsCode) {
  const auto udp = [](stun::Writer& writer) { stun::add_requested_transport(writer, stun::k_transport_udp); };
  const auto family = [](Attribute type, unsigned number) {
    return [=](stun::Writer& writer) { writer.add_u32(type, number << 24U); };
  };
  const auto both = [](std::initializer_list<Fill> fills) -> Fill {
    return [fills = std::vector(fills)](stun::Writer& writer) {
      for (const Fill& fill : fills) fill(writer);
    };
  };
  const Fill even = [](stun::Writer& writer) { stun::add_even_port(writer, true); };
  const Fill token = [](stun::Writer& writer) { writer.add_u64(Attribute::reservation_token, 1); };
  const BadAllocate cases[] = {
      {"no transport", 400, {}},
      {"transport TCP", 442, [](stun::Writer& writer) { stun::add_requested_transport(writer, 6); }},
      {"transport of a byte", 400, [](stun::Writer& writer) { writer.add(Attribute::requested_transport, Bytes(1)); }},
      {"family 3", 440, both({udp, family(Attribute::requested_address_family, 3)})},
      {"both families", 400,
       both({udp, family(Attribute::requested_address_family, 2), family(Attribute::additional_address_family, 2)})},
      {"additional IPv4", 400, both({udp, family(Attribute::additional_address_family, 1)})},
      {"token and even port", 400, both({udp, token, even})},
      {"token and family", 400, both({udp, token, family(Attribute::requested_address_family, 1)})},
      {"even port and additional", 400, both({udp, even, family(Attribute::additional_address_family, 2)})},
      {"unknown token", 508, both({udp, token})},
      {"short lifetime", 400, both({udp, [](stun::Writer& w) { w.add(Attribute::lifetime, Bytes(2)); }})},
      {"unknown attribute", 420, both({udp, [](stun::Writer& w) { w.add_flag(Attribute{0x7FF0}); }})},
  };
  for (const BadAllocate& bad : cases) {
    World world;
    TestClient client(world);
    const std::size_t ports = world.server.free_ports();
    const Answer answer = client.request(Method::allocate, bad.fill);
    EXPECT_EQ(answer.error(), bad.error) << bad.name;
    EXPECT_TRUE(client.is_signed(answer)) << bad.name;
    EXPECT_EQ(world.server.counters().refused(static_cast<std::uint16_t>(bad.error)), 1u) << bad.name;
    EXPECT_EQ(world.server.allocations(), 0u);
    EXPECT_EQ(world.server.free_ports(), ports) << bad.name;
    EXPECT_EQ(world.quotas.taken(), 0u) << bad.name;
  }
}

TEST(TurnServer, RequestsWithPartOfTheCredentialsAreBad) {
  World world;
  TestClient client(world);
  client.learn();
  for (const Attribute missing : {Attribute::username, Attribute::realm, Attribute::nonce}) {
    std::array<std::byte, 512> buffer;
    stun::Writer writer(buffer, {Method::allocate, Class::request, client.next_transaction()});
    if (missing != Attribute::username) writer.add_text(Attribute::username, "user");
    if (missing != Attribute::realm) writer.add_text(Attribute::realm, client.realm);
    if (missing != Attribute::nonce) writer.add_text(Attribute::nonce, client.nonce);
    stun::add_integrity(writer, client.key().view());
    EXPECT_EQ(client.exchange(writer.written())->error(), 400);
  }
  client.username = std::string(509, 'u');
  EXPECT_EQ(client.allocate().error(), 400);
  client.username = "user";
  EXPECT_EQ(client.request(Method{0x00F}).error(), 400);  // a method that is not there
}

TEST(TurnServer, QuotasHoldPerUserPerSourceAndInTotal) {
  const auto fill_up = [](QuotaBook::Limits limits, bool same_user, bool same_source) {
    World world(World::default_config(), limits);
    int allocated = 0;
    for (int i = 0; i < 5; ++i) {
      const std::string from =
          same_source ? "192.0.2.10:" + std::to_string(5000 + i) : "192.0.2." + std::to_string(20 + i) + ":1";
      TestClient client(world, from);
      if (!same_user && i % 2 == 1) client.username = "other", client.password = "word";
      const Answer answer = client.allocate();
      if (answer.is_success()) {
        ++allocated;
      } else {
        EXPECT_EQ(answer.error(), 486);
      }
    }
    return allocated;
  };
  EXPECT_EQ(fill_up({.per_user = 2}, true, false), 2);
  EXPECT_EQ(fill_up({.per_user = 2}, false, false), 4);
  EXPECT_EQ(fill_up({.per_source = 3}, false, true), 3);
  EXPECT_EQ(fill_up({.per_source = 3}, false, false), 5);
  EXPECT_EQ(fill_up({.total = 1}, false, false), 1);
}

TEST(TurnServer, WhenThePortsAreSpentNothingLeaksAndOneThatComesBackIsUsed) {
  ServerConfig config = World::default_config();
  config.ports.first = 50000;
  config.ports.last = 50002;
  config.relay_v6.reset();
  World world(std::move(config));
  std::deque<TestClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(world, "192.0.2.10:" + std::to_string(5000 + i));
    EXPECT_TRUE(clients.back().allocate().is_success());
  }
  TestClient late(world, "192.0.2.10:6000");
  EXPECT_EQ(late.allocate().error(), 508);
  EXPECT_EQ(world.quotas.taken(), 3u);
  ASSERT_TRUE(clients[1].refresh(0).is_success());
  EXPECT_TRUE(late.allocate().is_success());
  EXPECT_EQ(late.relayed, clients[1].relayed);
}

TEST(TurnServer, APortThatAnotherProgramHoldsIsReplaced) {
  World world;
  TestClient client(world);
  std::vector<std::uint16_t> asked;
  world.opens = [&](const OpenRelay& open) -> Result<void> {
    asked.push_back(open.port);
    if (asked.size() < 4) return fail(Errc::port_in_use);
    return {};
  };
  ASSERT_TRUE(client.allocate().is_success());
  EXPECT_EQ(asked.size(), 4u);
  EXPECT_EQ(client.relayed.port, asked.back());
  EXPECT_EQ(world.open_relays.size(), 1u);
}

TEST(TurnServer, WhenNoPortCanBeOpenedTheRequestFailsAndEverythingIsGivenBack) {
  World world;
  TestClient client(world);
  const std::size_t ports = world.server.free_ports();
  world.opens = [](const OpenRelay&) -> Result<void> { return fail(Errc::network_error); };
  EXPECT_EQ(client.allocate().error(), 508);
  EXPECT_EQ(world.server.allocations(), 0u);
  EXPECT_EQ(world.quotas.taken(), 0u);
  EXPECT_EQ(world.server.free_ports(), ports);
  world.opens = [](const OpenRelay&) -> Result<void> { return fail(Errc::port_in_use); };
  EXPECT_EQ(client.allocate().error(), 508);
  world.advance(61s);
  world.server.handle_timeout(world.now);
  EXPECT_EQ(world.server.free_ports(), ports);  // what was set aside is back
}

TEST(TurnServer, WhatIsStillBeingOpenedCanBeGivenUpAndNothingElse) {
  World world;
  TestClient client(world);
  const std::size_t ports = world.server.free_ports();
  client.learn();
  const auto udp = [](stun::Writer& writer) { stun::add_requested_transport(writer, stun::k_transport_udp); };
  world.holds_openings = true;
  EXPECT_EQ(client.exchange(client.build(Method::allocate,
                                         [&](stun::Writer& writer) {
                                           udp(writer);
                                           stun::add_even_port(writer, true);
                                         })),
            std::nullopt);
  EXPECT_EQ(world.server.free_ports(), ports - 2);
  EXPECT_EQ(client.refresh(600).error(), 437);
  EXPECT_EQ(client.permit({"192.0.2.1:1"}).error(), 437);
  EXPECT_EQ(client.refresh(0).lifetime(), 0U);
  world.holds_openings = false;
  world.settle();  // the port is opened after all, and closed again
  EXPECT_TRUE(world.sink.clients.empty());
  EXPECT_TRUE(world.open_relays.empty());
  EXPECT_EQ(world.server.allocations(), 0U);
  EXPECT_EQ(world.quotas.taken(), 0U);
  EXPECT_EQ(world.server.free_ports(), ports);  // also the one that a token would have kept
}

TEST(TurnServer, BothFamiliesInOneAllocation) {
  World world;
  TestClient client(world);
  const Answer made = client.allocate([](stun::Writer& writer) {
    stun::add_address_family(writer, Attribute::additional_address_family, stun::AddressFamily::ipv6);
  });
  ASSERT_TRUE(made.is_success());
  std::vector<Endpoint> relayed;
  made.message().for_each(Attribute::xor_relayed_address, [&](BytesView value) {
    relayed.push_back(stun::decode_xor_address(value, made.message().transaction()).value());
    return true;
  });
  ASSERT_EQ(relayed.size(), 2u);
  EXPECT_TRUE(relayed[0].address.is_v4());
  EXPECT_EQ(relayed[1].address, ip("2001:db8:1::1"));
  EXPECT_EQ(world.open_relays.size(), 2u);
  // One family alone may be given up.
  const Answer released = client.request(Method::refresh, [](stun::Writer& writer) {
    writer.add_u32(Attribute::lifetime, 0);
    stun::add_address_family(writer, Attribute::requested_address_family, stun::AddressFamily::ipv6);
  });
  EXPECT_TRUE(released.is_success());
  EXPECT_EQ(world.open_relays.size(), 1u);
  EXPECT_EQ(world.server.allocations(), 1u);
  EXPECT_EQ(client.permit({"[2001:db8::9]:1"}).error(), 443);
}

TEST(TurnServer, TheAdditionalFamilyMayBeMissingAlone) {
  ServerConfig config = World::default_config();
  config.relay_v6.reset();
  World world(std::move(config));
  TestClient client(world);
  const Answer made = client.allocate([](stun::Writer& writer) {
    stun::add_address_family(writer, Attribute::additional_address_family, stun::AddressFamily::ipv6);
  });
  ASSERT_TRUE(made.is_success());
  EXPECT_EQ(stun::decode_address_error(*made.message().find(Attribute::address_error_code)).value().error.code, 440);
  TestClient other(world, "192.0.2.11:1");
  EXPECT_EQ(other
                .allocate([](stun::Writer& writer) {
                  stun::add_address_family(writer, Attribute::requested_address_family, stun::AddressFamily::ipv6);
                })
                .error(),
            440);
}

TEST(TurnServer, EvenPortsAndReservationsLeakNothing) {
  World world;
  const std::size_t ports = world.server.free_ports();
  TestClient first(world);
  const Answer made = first.allocate([](stun::Writer& writer) { stun::add_even_port(writer, true); });
  ASSERT_TRUE(made.is_success());
  EXPECT_EQ(first.relayed.port % 2, 0);
  const auto token = stun::decode_u64(*made.message().find(Attribute::reservation_token)).value();
  const auto use_token = [&](stun::Writer& writer) { writer.add_u64(Attribute::reservation_token, token); };
  TestClient second(world, "192.0.2.10:5001");
  ASSERT_TRUE(second.allocate(use_token).is_success());
  EXPECT_EQ(second.relayed.port, first.relayed.port + 1);
  TestClient third(world, "192.0.2.10:5002");
  EXPECT_EQ(third.allocate(use_token).error(), 508);  // once only

  // R=0 reserves nothing: a server that did so ran out of ports.
  ASSERT_TRUE(third.allocate([](stun::Writer& writer) { stun::add_even_port(writer, false); }).is_success());
  EXPECT_EQ(world.server.free_ports(), ports - 3);
  // A reservation that nobody takes up is over after 30 s.
  TestClient fourth(world, "192.0.2.10:5003");
  ASSERT_TRUE(fourth.allocate([](stun::Writer& writer) { stun::add_even_port(writer, true); }).is_success());
  EXPECT_EQ(world.server.free_ports(), ports - 5);
  world.advance(31s);
  EXPECT_EQ(world.server.free_ports(), ports - 4);
  for (TestClient* client : {&first, &second, &third, &fourth}) EXPECT_TRUE(client->refresh(0).is_success());
  EXPECT_EQ(world.server.free_ports(), ports);
}

void want_ipv6_with_the_next_port_reserved(stun::Writer& writer) {
  stun::add_address_family(writer, Attribute::requested_address_family, stun::AddressFamily::ipv6);
  stun::add_even_port(writer, true);
}

TEST(TurnServer, AReservationIsOfTheFamilyThatMadeIt) {
  World world;
  TestClient first(world);
  const Answer made = first.allocate(want_ipv6_with_the_next_port_reserved);
  ASSERT_TRUE(made.is_success());
  const auto token = stun::decode_u64(*made.message().find(Attribute::reservation_token)).value();
  TestClient second(world, "192.0.2.10:5001");
  ASSERT_TRUE(second.allocate([&](stun::Writer& w) { w.add_u64(Attribute::reservation_token, token); }).is_success());
  EXPECT_EQ(second.relayed, (Endpoint{first.relayed.address, static_cast<std::uint16_t>(first.relayed.port + 1)}));
}

// RFC 8656 §7.2: the request names no family, so that it is not refused for want of one.
TEST(TurnServer, AReservationNeedsNoRelayOfIpv4) {
  ServerConfig config = World::default_config();
  config.relay_v4.reset();
  World world(std::move(config));
  TestClient first(world);
  const Answer made = first.allocate(want_ipv6_with_the_next_port_reserved);
  ASSERT_TRUE(made.is_success());
  const auto token = stun::decode_u64(*made.message().find(Attribute::reservation_token)).value();
  TestClient second(world, "192.0.2.10:5001");
  EXPECT_TRUE(second.allocate([&](stun::Writer& w) { w.add_u64(Attribute::reservation_token, token); }).is_success());
}

TEST(TurnServer, APortThatWasAskedForIsNotReplacedByAnother) {
  World world;
  const std::size_t ports = world.server.free_ports();
  TestClient first(world);
  const Answer made = first.allocate([](stun::Writer& writer) { stun::add_even_port(writer, true); });
  ASSERT_TRUE(made.is_success());
  const auto token = stun::decode_u64(*made.message().find(Attribute::reservation_token)).value();
  world.opens = [](const OpenRelay&) -> Result<void> { return fail(Errc::port_in_use); };
  TestClient second(world, "192.0.2.10:5001");
  EXPECT_EQ(second.allocate([&](stun::Writer& w) { w.add_u64(Attribute::reservation_token, token); }).error(), 508);
  for (const bool reserves_next : {false, true}) {
    EXPECT_EQ(second.allocate([&](stun::Writer& w) { stun::add_even_port(w, reserves_next); }).error(), 508);
  }
  EXPECT_EQ(world.server.free_ports(), ports - 4);  // the three that another program holds are set aside
  world.advance(61s);
  EXPECT_EQ(world.server.free_ports(), ports - 1);
}

TEST(TurnServer, APeerThatRelaysReservesNothing) {
  ServerConfig config = World::default_config();
  config.has_even_port = false;
  World world(std::move(config));
  TestClient client(world);
  EXPECT_EQ(client.allocate([](stun::Writer& writer) { stun::add_even_port(writer, false); }).error(), 508);
}

TEST(TurnServer, ADrainingServerSendsClientsElsewhere) {
  World world;
  TestClient client(world);
  ASSERT_TRUE(client.allocate().is_success());
  world.server.drain(at("198.51.100.9:3478"));
  TestClient late(world, "192.0.2.11:1");
  const Answer redirected = late.allocate();
  EXPECT_EQ(redirected.error(), 300);
  EXPECT_EQ(world.server.counters().refused(300), 1u);
  EXPECT_EQ(world.server.counters().refused(401), 2u);  // the first request of each
  EXPECT_EQ(world.server.counters().refused(999), 0u);
  EXPECT_EQ(stun::decode_address(*redirected.message().find(Attribute::alternate_server)), at("198.51.100.9:3478"));
  EXPECT_TRUE(late.is_signed(redirected));
  EXPECT_TRUE(client.refresh().is_success());  // what stands goes on
  EXPECT_TRUE(client.permit({"192.0.2.1:1"}).is_success());
  EXPECT_TRUE(client.refresh(0).is_success());
  world.server.drain(std::nullopt);
  EXPECT_EQ(late.allocate().error(), 508);
}

TEST(TurnServer, AStreamsEndIsTheEndOfItsAllocation) {
  World world;
  TestClient client(world, "192.0.2.10:5000", StunTransport::tcp);
  ASSERT_TRUE(client.allocate().is_success());
  world.server.handle_client_closed(world.now, client.path);
  world.settle();
  EXPECT_EQ(world.server.allocations(), 0u);
  EXPECT_EQ(std::get<AllocationEnded>(world.facts.back()).why, AllocationEnd::client_closed);
  world.send_raw(client.path, as_bytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(world.count<CloseClient>(), 0u);  // 'G' begins ChannelData: dropped, without an allocation
  world.send_raw(client.path, Bytes(20));
  EXPECT_EQ(world.count<CloseClient>(), 1u);
}

}  // namespace
}  // namespace dig::turn
