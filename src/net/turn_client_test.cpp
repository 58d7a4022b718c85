// SPDX-License-Identifier: Apache-2.0
// The TURN client with its legs against our own server, over loopback. Foreign servers: tests/interop.
#include "net/turn_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/system_rng.hpp"
#include "crypto/testing/test_authority.hpp"
#include "net/binding_request.hpp"
#include "net/clock.hpp"
#include "net/leg_settings.hpp"
#include "net/server_check.hpp"
#include "net/turn_service.hpp"

namespace dig::net {
namespace {

constexpr Duration k_patience = 20s;
const Endpoint k_anywhere{IpAddress::loopback(IpFamily::v4), 0};

const crypto::testing::TestAuthority& authority() {
  static const crypto::testing::TestAuthority made("tests");
  return made;
}

LegOptions leg_options(StunTransport transport) {
  static const LegSettings settings = LegSettings::create({.more_authorities_pem = authority().root_pem()}).value();
  return settings.for_stun(transport, "127.0.0.1");
}

std::unique_ptr<TurnService> start_server() {
  const std::int64_t now = wall_now().seconds;
  const auto certificate =
      authority().issue({.names = {"127.0.0.1"}, .not_before = {now - 3600}, .not_after = {now + 3600}});
  auto users = std::make_shared<turn::StaticUsers>("dignet");
  users->add("user", "pass");
  TurnServiceOptions options;
  options.listen = {k_anywhere};
  options.credentials = users;
  options.allowed_peers = {Cidr::parse("127.0.0.0/8").value()};
  options.tls = make_turn_tls(certificate.certificates, certificate.private_key).value();
  return TurnService::start(std::move(options)).value();
}

LegTarget target_of(const TurnService& server, StunTransport transport) {
  return {.transport = transport, .host = "127.0.0.1", .port = server.listening().front().port};
}

// A client and what it was told.
struct Told {
  Told(Loop& on_loop, Resolver& resolver, LegTarget server, std::string password = "pass",
       std::optional<LegOptions> leg = {})
      : loop(on_loop) {
    TurnClient::Config config{
        .server = std::move(server), .leg = leg ? *std::move(leg) : leg_options(server.transport), .allocation = {}};
    config.allocation.credentials = {"user", std::move(password)};
    config.allocation.address_policy = stun::AddressPolicy::any_unicast;
    client = std::make_unique<TurnClient>(
        loop, resolver, rng, std::move(config),
        TurnClient::Handlers{.on_event = [this](Instant, const turn::ClientAllocation::Event& event) { handle(event); },
                             .on_data =
                                 [this](Instant, const turn::PeerData& data) {
                                   from = data.peer;
                                   text = as_text(data.data);
                                   if (answers) answers();
                                 }});
  }

  void handle(const turn::ClientAllocation::Event& event) {
    if (const auto* made = std::get_if<turn::Allocated>(&event)) relayed = made->relayed_v4;
    if (std::holds_alternative<turn::PermissionInstalled>(event)) is_permitted = true;
    if (std::holds_alternative<turn::Released>(event)) is_released = true;
    if (const auto* over = std::get_if<turn::Ended>(&event)) ended = over->error;
    if (is_released || ended) ++ends;
  }
  [[nodiscard]] bool wait(const std::function<bool()>& done) { return loop.run_until(done, k_patience); }
  [[nodiscard]] std::optional<Errc> wait_for_end() {
    (void)wait([&] { return ended.has_value(); });
    return ended ? std::optional(ended->code()) : std::nullopt;
  }

  Loop& loop;
  crypto::SystemRng rng;
  std::unique_ptr<TurnClient> client;
  std::optional<Endpoint> relayed;
  std::optional<Endpoint> from;
  std::string text;
  std::function<void()> answers;  // called from inside on_data
  bool is_permitted = false;
  bool is_released = false;
  std::optional<Error> ended;
  int ends = 0;
};

class TurnClientTest : public ::testing::TestWithParam<StunTransport> {
 protected:
  Loop loop_;
  Resolver resolver_{loop_};
};

INSTANTIATE_TEST_SUITE_P(Legs, TurnClientTest,
                         ::testing::Values(StunTransport::udp, StunTransport::tcp, StunTransport::tls,
                                           StunTransport::dtls),
                         [](const auto& tested) { return std::string(to_text(tested.param)); });

TEST_P(TurnClientTest, TwoClientsTalkThroughTheirRelayedAddresses) {
  const auto server = start_server();
  Told one(loop_, resolver_, target_of(*server, GetParam()));
  Told two(loop_, resolver_, target_of(*server, GetParam()));
  EXPECT_FALSE(one.client->permit(k_anywhere.address));  // there is no allocation yet
  ASSERT_TRUE(one.wait([&] { return one.relayed && two.relayed; }));
  ASSERT_TRUE(one.client->permit(two.relayed->address));
  ASSERT_TRUE(two.client->permit(one.relayed->address));
  ASSERT_TRUE(one.wait([&] { return one.is_permitted && two.is_permitted; }));
  for (int round = 0; round < 50; ++round) {
    const std::string sent = "round " + std::to_string(round);
    ASSERT_EQ(one.client->send(*two.relayed, as_bytes(sent)), turn::SendResult::taken);
    ASSERT_TRUE(one.wait([&] { return two.text == sent; }));
    EXPECT_EQ(two.from, one.relayed);
    ASSERT_EQ(two.client->send(*one.relayed, as_bytes(sent)), turn::SendResult::taken);
    ASSERT_TRUE(one.wait([&] { return one.text == sent; }));
  }
  EXPECT_GT(one.client->snapshot()->channel_packets_sent, 0U);
  one.client->release();
  ASSERT_TRUE(one.wait([&] { return one.is_released; }));
  EXPECT_EQ(server->snapshot().allocations, 1U);
}

TEST_P(TurnClientTest, MayBeGivenDataWhileItHandsDataOn) {
  const auto server = start_server();
  Told one(loop_, resolver_, target_of(*server, GetParam()));
  Told two(loop_, resolver_, target_of(*server, GetParam()));
  ASSERT_TRUE(one.wait([&] { return one.relayed && two.relayed; }));
  ASSERT_TRUE(one.client->permit(two.relayed->address));
  ASSERT_TRUE(two.client->permit(one.relayed->address));
  ASSERT_TRUE(one.wait([&] { return one.is_permitted && two.is_permitted; }));
  int rounds = 0;
  two.answers = [&] { EXPECT_EQ(two.client->send(*one.relayed, as_bytes(two.text)), turn::SendResult::taken); };
  one.answers = [&] {
    if (++rounds == 50) return;
    EXPECT_EQ(one.client->send(*two.relayed, as_bytes(std::to_string(rounds))), turn::SendResult::taken);
  };
  ASSERT_EQ(one.client->send(*two.relayed, as_bytes("first")), turn::SendResult::taken);
  ASSERT_TRUE(one.wait([&] { return rounds == 50; }));
  EXPECT_EQ(one.text, "49");
}

TEST_P(TurnClientTest, AServerThatGoesIsToldAtOnce) {
  auto server = start_server();
  Told told(loop_, resolver_, target_of(*server, GetParam()));
  ASSERT_TRUE(told.wait([&] { return told.relayed && told.client->permit(k_anywhere.address); }));
  ASSERT_TRUE(told.wait([&] { return told.is_permitted; }));
  server.reset();
  // Over datagrams the first one that meets the closed port tells.
  const bool is_datagram = GetParam() == StunTransport::udp || GetParam() == StunTransport::dtls;
  if (is_datagram) (void)told.client->send(*told.relayed, as_bytes("anybody there?"));
  EXPECT_EQ(told.wait_for_end(), Errc::allocation_lost);
  EXPECT_EQ(told.client->send(*told.relayed, as_bytes("anybody there?")), turn::SendResult::refused);
}

TEST_P(TurnClientTest, AServerThatIsNotThereIsToldAtOnce) {
  const LegTarget target = target_of(*start_server(), GetParam());
  Told told(loop_, resolver_, target);
  EXPECT_EQ(told.wait_for_end(), Errc::connection_refused);
}

TEST_P(TurnClientTest, WhatCannotBeSentIsToldAsSoonAsTheLegIsOpen) {
  const auto server = start_server();
  Told told(loop_, resolver_, target_of(*server, GetParam()), std::string(600, 'p'));
  EXPECT_EQ(told.wait_for_end(), Errc::invalid_argument);
}

TEST_P(TurnClientTest, IsReleasedOnceWhileItFollowsARedirect) {
  const auto other = start_server();
  const auto server = start_server();
  server->drain(other->listening().front(), [] {});
  for (int handlers = 0; handlers < 60; ++handlers) {
    Told told(loop_, resolver_, target_of(*server, GetParam()));
    for (int i = 0; i < handlers; ++i) (void)loop_.poll();
    told.client->release();
    told.client->release();
    ASSERT_TRUE(told.wait([&] { return told.is_released; })) << handlers;
    (void)loop_.poll();
    EXPECT_EQ(told.ends, 1) << handlers;
    ASSERT_TRUE(loop_.run_until([&] { return other->snapshot().allocations == 0; }, k_patience)) << handlers;
  }
}

TEST_P(TurnClientTest, AWrongPasswordIsTold) {
  const auto server = start_server();
  Told told(loop_, resolver_, target_of(*server, GetParam()), "wrong");
  EXPECT_EQ(told.wait_for_end(), Errc::turn_unauthorized);
}

TEST_P(TurnClientTest, FollowsARedirect) {
  const auto other = start_server();
  const auto server = start_server();
  server->drain(other->listening().front(), [] {});
  Told told(loop_, resolver_, target_of(*server, GetParam()));
  ASSERT_TRUE(told.wait([&] { return told.relayed || told.ended; }));
  ASSERT_TRUE(told.relayed) << told.ended->message();
  EXPECT_EQ(told.client->leg()->remote, other->listening().front());
  EXPECT_EQ(other->snapshot().allocations, 1U);
}

TEST_P(TurnClientTest, FollowsOneRedirectOnly) {
  const auto server = start_server();
  const auto other = start_server();
  server->drain(other->listening().front(), [] {});
  other->drain(server->listening().front(), [] {});
  Told told(loop_, resolver_, target_of(*server, GetParam()));
  EXPECT_EQ(told.wait_for_end(), Errc::turn_redirected);
}

TEST_P(TurnClientTest, MayBeReleasedOrDestroyedAtAnyTime) {
  const auto server = start_server();
  Told early(loop_, resolver_, target_of(*server, GetParam()));
  early.client->release();
  ASSERT_TRUE(early.wait([&] { return early.is_released; }));
  for (int handlers = 0; handlers < 40; ++handlers) {
    Told told(loop_, resolver_, target_of(*server, GetParam()));
    for (int i = 0; i < handlers && !told.relayed; ++i) loop_.run_for(100us);
  }
}

TEST_P(TurnClientTest, ANameThatIsUnknownIsTold) {
  Resolver resolver(loop_, {}, [](const std::string& name, std::optional<IpFamily>) -> Result<Resolver::Addresses> {
    return fail(Errc::resolve_failed, name);
  });
  Told told(loop_, resolver, {.transport = GetParam(), .host = "nobody.invalid", .port = 3478});
  EXPECT_EQ(told.wait_for_end(), Errc::resolve_failed);
}

TEST_P(TurnClientTest, AServerIsCheckedByUsingIt) {
  const auto server = start_server();
  crypto::SystemRng rng;
  std::optional<ServerHealth> health;
  const auto check = [&](bool is_turn, std::string password) {
    health.reset();
    ServerCheck one(loop_, resolver_, rng,
                    {.server = {.is_turn = is_turn,
                                .transport = GetParam(),
                                .host = "127.0.0.1",
                                .port = server->listening().front().port},
                     .credentials = turn::Credentials{"user", std::move(password)},
                     .leg = leg_options(GetParam())},
                    [&](ServerHealth found) { health = std::move(found); });
    ASSERT_TRUE(loop_.run_until([&] { return health.has_value(); }, k_patience));
  };
  check(false, "");
  EXPECT_FALSE(health->error) << health->error->message();
  EXPECT_EQ(health->mapped->address, k_anywhere.address);
  EXPECT_FALSE(health->relayed);
  check(true, "pass");
  EXPECT_FALSE(health->error) << health->error->message();
  EXPECT_TRUE(health->relayed && health->echo && health->rtt);
  EXPECT_EQ(server->snapshot().allocations, 0U);  // both were given back
  check(true, "wrong");
  EXPECT_EQ(health->error->code(), Errc::turn_unauthorized);
  EXPECT_TRUE(health->mapped);
}

// A NAT in front of a server. Its first two clients have the same outer port, as when a mapping was lost and its port
// was given out again; the others have one of their own.
class RebindingNat {
 public:
  RebindingNat(Loop& loop, Endpoint server) : loop_(loop), server_(server) {
    for (Side* const side : {&inner_, &shared_, &own_}) watch(*side);
  }
  [[nodiscard]] Endpoint address() const { return inner_.socket.local(); }
  [[nodiscard]] std::size_t clients() const noexcept { return clients_.size(); }

 private:
  struct Side {
    UdpSocket socket = bind();
    std::optional<Endpoint> client{};  // of an outer side: who used it last
    std::unique_ptr<ReadableWatch> watch{};
  };

  static UdpSocket bind() {
    PortManager ports;
    auto lease = ports.acquire({.purpose = "NAT", .tcp = false, .addresses = {k_anywhere.address}}).value();
    return {std::move(lease.take_udp().at(0)), UdpOffload{}};
  }
  void watch(Side& side) {
    side.watch = std::make_unique<ReadableWatch>(loop_, side.socket.fd(), [this, &side] {
      side.socket.receive({}, [&](const Received& in) { forward(side, in); });
      loop_.post([this, &side] {
        side.watch.reset();  // a descriptor has one watch at a time
        watch(side);
      });
    });
  }
  void forward(Side& from, const Received& in) {
    if (&from != &inner_) return send(inner_, *from.client, in.bytes);
    auto place = std::ranges::find(clients_, in.remote);
    if (place == clients_.end()) place = clients_.insert(place, in.remote);
    Side& outer = place - clients_.begin() < 2 ? shared_ : own_;
    outer.client = in.remote;
    send(outer, server_, in.bytes);
  }
  static void send(Side& side, const Endpoint& to, BytesView bytes) {
    EXPECT_EQ(side.socket.send({.remote = to, .size = bytes.size()}, bytes), UdpSocket::SendState::done);
  }

  Loop& loop_;
  Endpoint server_;
  Side inner_;
  Side shared_;
  Side own_;
  std::vector<Endpoint> clients_;
};

TEST_F(TurnClientTest, TakesAnotherLocalPortWhenTheServerKnowsItsOuterOneAlready) {
  const auto server = start_server();
  RebindingNat nat(loop_, server->listening().front());
  const LegTarget target{.host = "127.0.0.1", .port = nat.address().port};
  {
    Told gone(loop_, resolver_, target);  // without a word
    ASSERT_TRUE(gone.wait([&] { return gone.relayed.has_value(); }));
  }
  Told told(loop_, resolver_, target);
  ASSERT_TRUE(told.wait([&] { return told.relayed || told.ended; }));
  EXPECT_TRUE(told.relayed) << told.ended->message();
  EXPECT_EQ(nat.clients(), 3U);
  EXPECT_EQ(server->snapshot().allocations, 2U);
}

// A TCP server that takes connections and is silent.
class Silent {
 public:
  Silent() : lease_(ports_.acquire({.purpose = "silent", .udp = false, .addresses = {k_anywhere.address}}).value()) {}
  [[nodiscard]] std::uint16_t port() const { return lease_.port(); }

 private:
  PortManager ports_;
  PortLease lease_;
};

TEST_F(TurnClientTest, AProxyThatIsSilentIsGivenUp) {
  const Silent proxy;
  Told told(loop_, resolver_, {.transport = StunTransport::tcp, .host = "turn.example.org", .port = 3478}, "pass",
            LegOptions{.proxy = HttpProxy{.host = "127.0.0.1", .port = proxy.port(), .authorization = {}},
                       .open_timeout = 300ms});
  EXPECT_EQ(told.wait_for_end(), Errc::connect_timeout);
  EXPECT_THAT(told.ended->detail(), ::testing::HasSubstr("proxy"));
}

TEST_F(TurnClientTest, AServerThatTakesTheConnectionAndIsSilentIsGivenUp) {
  const Silent server;
  crypto::SystemRng rng;
  std::optional<BindingRequest::Outcome> outcome;
  BindingRequest request(loop_, resolver_, rng,
                         {.server = {.transport = StunTransport::tcp, .host = "127.0.0.1", .port = server.port()},
                          .leg = {},
                          .binding = {.timers = {.reliable_timeout = 300ms}}},
                         [&](BindingRequest::Outcome told) { outcome = std::move(told); });
  ASSERT_TRUE(loop_.run_until([&] { return outcome.has_value(); }, k_patience));
  ASSERT_FALSE(outcome->answer);
  EXPECT_EQ(outcome->answer.error().code(), Errc::stun_silent);
  EXPECT_TRUE(outcome->opened);
}

}  // namespace
}  // namespace dig::net
