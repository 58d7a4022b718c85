// SPDX-License-Identifier: Apache-2.0
#include "node/connector.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace dig::node {
namespace {

constexpr std::string_view k_first = "/ip4/192.0.2.1/tcp/1";
constexpr std::string_view k_second = "/ip4/192.0.2.2/tcp/2";
constexpr std::string_view k_name = "/dns4/peer.example/tcp/3";

struct ConnectorTest : ::testing::Test {
  Connector& make(std::initializer_list<std::string_view> addresses) {
    std::vector<Multiaddr> parsed;
    for (const std::string_view text : addresses) parsed.push_back(*Multiaddr::parse(text));
    return connector.emplace(now, parsed, log);
  }
  template <class Event>
  std::optional<Event> next() {
    auto event = connector->poll_event();
    if (!event) return std::nullopt;
    Event* const found = std::get_if<Event>(&*event);
    EXPECT_NE(found, nullptr) << "another event: " << event->index();
    return found == nullptr ? std::nullopt : std::optional(std::move(*found));
  }
  void expect_failed(Errc code) {
    const auto done = next<Connector::Done>();
    ASSERT_TRUE(done);
    ASSERT_FALSE(done->result);
    EXPECT_EQ(done->result.error().code(), code) << done->result.error().message();
    EXPECT_FALSE(connector->poll_event());
    EXPECT_FALSE(connector->next_timeout());
  }
  std::vector<dignet::Outcome> outcomes() const {
    std::vector<dignet::Outcome> all;
    for (const auto& attempt : log.attempts()) all.push_back(attempt.outcome);
    return all;
  }

  Instant now{100s};
  ladder::AttemptLog log{now};
  std::optional<Connector> connector;
};

using enum dignet::Outcome;

TEST_F(ConnectorTest, the_address_where_the_peer_proved_itself_wins) {
  make({k_first});
  const auto dial = next<Connector::Dial>();
  ASSERT_TRUE(dial);
  EXPECT_EQ(dial->remote, *Endpoint::parse("192.0.2.1:1"));
  connector->handle_established(now + 10ms, dial->index);
  const auto done = next<Connector::Done>();
  ASSERT_TRUE(done && done->result);
  EXPECT_EQ(*done->result, dial->index);
  EXPECT_TRUE(connector->is_done());
  EXPECT_EQ(outcomes(), std::vector{won});
  EXPECT_EQ(log.attempts().front().target, k_first);
  connector->handle_failed(now, dial->index, Error(Errc::connection_reset));  // too late
  connector->handle_timeout(now + 1h);
  EXPECT_FALSE(connector->poll_event());
}

TEST_F(ConnectorTest, the_second_address_starts_while_the_first_is_silent_and_may_win) {
  make({k_first, k_second});
  const auto first = next<Connector::Dial>();
  ASSERT_TRUE(first);
  EXPECT_FALSE(connector->poll_event());
  const auto deadline = connector->next_timeout();
  ASSERT_TRUE(deadline);
  EXPECT_EQ(*deadline, now + 250ms);
  connector->handle_timeout(*deadline);
  const auto second = next<Connector::Dial>();
  ASSERT_TRUE(second);
  connector->handle_established(now + 300ms, second->index);
  const auto cancelled_dial = next<Connector::Cancel>();
  ASSERT_TRUE(cancelled_dial);
  EXPECT_EQ(cancelled_dial->index, first->index);
  const auto done = next<Connector::Done>();
  ASSERT_TRUE(done && done->result);
  EXPECT_EQ(*done->result, second->index);
  EXPECT_EQ(outcomes(), (std::vector{cancelled, won}));
}

TEST_F(ConnectorTest, a_proven_wrong_identity_is_the_reason_that_is_told) {
  for (const bool is_first : {true, false}) {
    log = ladder::AttemptLog(now);
    make({k_first, k_second});
    const Error wrong(Errc::peer_id_mismatch);
    const Error refused(Errc::connection_refused);
    const auto first = next<Connector::Dial>();
    connector->handle_failed(now, first->index, is_first ? wrong : refused);
    const auto second = next<Connector::Dial>();
    ASSERT_TRUE(second);
    connector->handle_failed(now, second->index, is_first ? refused : wrong);
    expect_failed(Errc::peer_id_mismatch);
    EXPECT_EQ(outcomes(), (std::vector{failed, failed}));
  }
}

TEST_F(ConnectorTest, what_a_name_means_joins_the_race_that_known_addresses_have_begun) {
  make({k_name, k_first});
  const auto resolve = next<Connector::Resolve>();
  ASSERT_TRUE(resolve);
  EXPECT_EQ(resolve->name, "peer.example");
  EXPECT_EQ(resolve->family, IpFamily::v4);
  EXPECT_EQ(next<Connector::Dial>()->remote, *Endpoint::parse("192.0.2.1:1"));  // RFC 8305 §3: at once
  connector->handle_resolved(now, resolve->index, std::vector{*IpAddress::parse("192.0.2.9")});
  EXPECT_FALSE(connector->poll_event());
  connector->handle_timeout(now + 250ms);
  EXPECT_EQ(next<Connector::Dial>()->remote, *Endpoint::parse("192.0.2.9:3"));
  connector->handle_resolved(now, resolve->index, fail(Errc::resolve_failed));  // a second answer
  EXPECT_FALSE(connector->poll_event());
}

TEST_F(ConnectorTest, a_name_that_is_never_resolved_holds_nothing_up_and_is_told_of) {
  make({k_name, k_first});
  (void)next<Connector::Resolve>();
  connector->handle_established(now + 5ms, next<Connector::Dial>()->index);
  ASSERT_TRUE(next<Connector::Done>()->result);
  EXPECT_EQ(outcomes(), (std::vector{won, cancelled}));

  log = ladder::AttemptLog(now);
  make({k_name});
  (void)next<Connector::Resolve>();
  ASSERT_EQ(connector->next_timeout(), now + 10s);
  connector->handle_timeout(now + 10s);
  expect_failed(Errc::resolve_failed);
  EXPECT_EQ(outcomes(), std::vector{failed});
}

TEST_F(ConnectorTest, a_name_that_cannot_be_resolved_leaves_the_other_addresses) {
  make({k_name, k_first});
  const auto resolve = next<Connector::Resolve>();
  connector->handle_resolved(now, resolve->index, fail(Errc::resolve_failed));
  const auto dial = next<Connector::Dial>();
  ASSERT_TRUE(dial);
  connector->handle_established(now, dial->index);
  ASSERT_TRUE(next<Connector::Done>()->result);
  EXPECT_EQ(outcomes(), (std::vector{won, failed}));
}

TEST_F(ConnectorTest, a_name_without_addresses_alone_is_the_end) {
  make({k_name});
  const auto resolve = next<Connector::Resolve>();
  connector->handle_resolved(now, resolve->index, std::vector<IpAddress>{});
  expect_failed(Errc::resolve_failed);
}

TEST_F(ConnectorTest, addresses_of_other_transports_are_skipped_with_a_reason) {
  make({"/ip4/192.0.2.1/udp/4001/quic-v1"});
  expect_failed(Errc::address_not_dialable);
  EXPECT_EQ(outcomes(), std::vector{skipped});
  ASSERT_TRUE(log.attempts().front().error);
  make({});
  expect_failed(Errc::address_not_dialable);
}

TEST_F(ConnectorTest, silence_ends_in_a_timeout) {
  make({k_first});
  const auto dial = next<Connector::Dial>();
  while (const auto deadline = connector->next_timeout()) {
    ASSERT_LE(*deadline, now + 10s);
    connector->handle_timeout(*deadline);
  }
  const auto cancelled_dial = next<Connector::Cancel>();
  ASSERT_TRUE(cancelled_dial);
  EXPECT_EQ(cancelled_dial->index, dial->index);
  expect_failed(Errc::connect_timeout);
  EXPECT_EQ(outcomes(), std::vector{failed});
}

TEST_F(ConnectorTest, a_cancel_ends_every_phase_as_cancelled) {
  make({k_name});
  (void)next<Connector::Resolve>();
  connector->cancel(now);
  expect_failed(Errc::cancelled);
  connector->handle_resolved(now, 0, std::vector{*IpAddress::parse("192.0.2.9")});
  EXPECT_FALSE(connector->poll_event());

  make({k_first, k_second});
  connector->handle_failed(now, next<Connector::Dial>()->index, Error(Errc::connection_refused));
  const auto second = next<Connector::Dial>();
  connector->cancel(now);
  EXPECT_EQ(next<Connector::Cancel>()->index, second->index);
  expect_failed(Errc::cancelled);  // although an address had failed before
  connector->cancel(now);
  EXPECT_FALSE(connector->poll_event());
  EXPECT_EQ(outcomes(), (std::vector{cancelled, failed, cancelled}));  // the name, then the two addresses
}

TEST_F(ConnectorTest, other_ways_to_the_same_port_come_behind_the_plain_one) {
  make({"/ip4/192.0.2.1/tcp/1/tls/ws", "/ip4/192.0.2.1/tcp/1/ws", "/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/tcp/1/ws"});
  const auto plain = next<Connector::Dial>();
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->way, Connector::Way{});
  connector->handle_failed(now, plain->index, Error(Errc::connection_reset));
  const auto websocket = next<Connector::Dial>();
  ASSERT_TRUE(websocket);
  EXPECT_EQ(websocket->way.carrier, Multiaddr::Carrier::websocket);
  EXPECT_EQ(websocket->way.http_host, "192.0.2.1:1");
  EXPECT_EQ(websocket->way.tls_name, "");
  connector->handle_failed(now, websocket->index, Error(Errc::connection_reset));
  const auto secure = next<Connector::Dial>();
  ASSERT_TRUE(secure);
  EXPECT_EQ(secure->way.carrier, Multiaddr::Carrier::secure_websocket);
  EXPECT_EQ(secure->way.tls_name, "192.0.2.1");
  connector->handle_established(now, secure->index);
  EXPECT_TRUE(next<Connector::Done>()->result);
  std::vector<std::string> targets;
  for (const auto& attempt : log.attempts()) targets.push_back(attempt.target);
  EXPECT_EQ(targets, (std::vector<std::string>{"/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.1/tcp/1/ws",
                                               "/ip4/192.0.2.1/tcp/1/tls/ws"}));
}

TEST_F(ConnectorTest, a_name_is_dialled_the_way_its_address_says) {
  make({"/dns4/peer.example/tcp/443/tls/ws"});
  EXPECT_EQ(next<Connector::Resolve>()->name, "peer.example");
  connector->handle_resolved(now, 0, std::vector{IpAddress::parse("192.0.2.1").value()});
  const auto dial = next<Connector::Dial>();
  ASSERT_TRUE(dial);
  EXPECT_EQ(dial->remote, *Endpoint::parse("192.0.2.1:443"));
  EXPECT_EQ(dial->way, (Connector::Way{Multiaddr::Carrier::secure_websocket, "peer.example", "peer.example"}));
}

}  // namespace
}  // namespace dig::node
