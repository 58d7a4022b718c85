// SPDX-License-Identifier: Apache-2.0
// A whole node on one port: everything that design §9 puts there, at the same time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <thread>

#include "crypto/system_rng.hpp"
#include "net/clock.hpp"
#include "net/node_shell.hpp"
#include "net/server_check.hpp"
#include "net/testing/port_client.hpp"
#include "wire/peer_certificate.hpp"

namespace dig::net {
namespace {

using ::testing::HasSubstr;
using testing::PortClient;
using ::testing::StartsWith;

constexpr Duration k_patience = 20s;

// A node with a home that goes with it.
class TestNode {
 public:
  explicit TestNode(ShellOptions options, std::string_view address = "127.0.0.1") {
    std::string name = (std::filesystem::temp_directory_path() / "dignet-one-port-XXXXXX").string();
    home_ = ::mkdtemp(name.data());
    store_ = store::LocalStore::open(home_).value();
    options.agent_version = "test";
    if (options.listen)
      options.listen_addresses = {Multiaddr::parse("/ip4/" + std::string(address) + "/tcp/0").value()};
    shell_ = NodeShell::create(options, identity_, *store_).value();
    shell_->start([this](Instant, node::NodeOutput fact) { handle(std::move(fact)); });
  }
  ~TestNode() {
    shell_->stop();
    shell_.reset();
    store_.reset();
    std::filesystem::remove_all(home_);
  }

  [[nodiscard]] NodeShell& shell() { return *shell_; }
  [[nodiscard]] const Identity& identity() const { return identity_; }
  [[nodiscard]] Endpoint endpoint() const { return {IpAddress::loopback(IpFamily::v4), shell_->ports().front().port}; }

  Result<node::ConnectSuccess> connect(const PeerId& peer, const Multiaddr& address) {
    connected_ = {};
    auto result = connected_.get_future();
    shell_->post(
        [&](Instant now, node::NodeCore& core) { (void)core.connect(now, {.peer = peer, .addresses = {address}}); });
    if (result.wait_for(k_patience) != std::future_status::ready) return fail(Errc::timed_out);
    return result.get();
  }
  Result<Duration> ping(node::ConnectionId connection) {
    pinged_ = {};
    auto result = pinged_.get_future();
    shell_->post([&](Instant now, node::NodeCore& core) { (void)core.ping(now, connection); });
    if (result.wait_for(k_patience) != std::future_status::ready) return fail(Errc::timed_out);
    return result.get();
  }
  template <class Ask>
  auto on_loop(Ask ask) {
    std::promise<decltype(ask(*shell_))> answer;
    shell_->post([&](Instant, node::NodeCore&) { answer.set_value(ask(*shell_)); });
    return answer.get_future().get();
  }
  std::vector<Error> warnings() {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }

 private:
  void handle(node::NodeOutput fact) {
    if (auto* ended = std::get_if<node::ConnectEnded>(&fact)) connected_.set_value(std::move(ended->result));
    if (auto* pong = std::get_if<node::PingEnded>(&fact)) pinged_.set_value(pong->rtt);
    const auto* told = std::get_if<node::NodeFact>(&fact);
    const auto* warning = told != nullptr ? std::get_if<dignet::Warning>(&told->event) : nullptr;
    const std::lock_guard lock(mutex_);
    if (warning != nullptr) warnings_.push_back(warning->error);
  }

  crypto::SystemRng rng_;
  Identity identity_ = Identity::generate(rng_);
  std::filesystem::path home_;
  std::unique_ptr<store::LocalStore> store_;
  std::unique_ptr<NodeShell> shell_;
  std::promise<Result<node::ConnectSuccess>> connected_;
  std::promise<Result<Duration>> pinged_;
  std::mutex mutex_;
  std::vector<Error> warnings_;
};

TurnRole relay_on_loopback() {
  TurnRole role;
  const IpAddress here = IpAddress::loopback(IpFamily::v4);
  role.shard.server.relay_v4 = here;
  role.shard.relay_bind_v4 = here;
  role.shard.server.peers = turn::PeerPolicy({Cidr::parse("127.0.0.0/8").value()});
  auto users = std::make_shared<turn::StaticUsers>("dignet");
  users->add("user", "pass");
  role.credentials = users;
  return role;
}

Multiaddr address_of(const TestNode& node, Multiaddr::Carrier carrier) {
  return Multiaddr::tcp(node.endpoint(), carrier).with_peer_id(node.identity().peer_id()).value();
}

class OnePortTest : public ::testing::Test {
 protected:
  // Uses it as a TURN client does: two allocations, and data from one to the other.
  ServerHealth check(const TestNode& node, const std::string& scheme, const std::string& end,
                     std::optional<turn::Credentials> credentials) {
    const std::string uri = scheme + ":127.0.0.1:" + std::to_string(node.endpoint().port) + end;
    ServerCheckConfig config{.server = StunUri::parse(uri).value(), .credentials = std::move(credentials)};
    const auto trust = crypto::TlsTrust::check([peer = node.identity().peer_id()](BytesView leaf) -> Result<void> {
      DIG_TRY(const PeerId named, peer_of_certificate(leaf));
      return named == peer ? Result<void>() : fail(Errc::certificate_refused);
    });
    const bool is_datagram = config.server.transport == StunTransport::dtls;
    const auto kind = is_datagram ? crypto::TlsTransport::datagram : crypto::TlsTransport::stream;
    config.leg.tls =
        crypto::TlsContext::create(kind, {.role = crypto::TlsRole::client, .trust = trust, .alpn = {"stun.turn"}})
            .value();
    std::optional<ServerHealth> health;
    ServerCheck checking(loop_, resolver_, rng_, std::move(config), [&](ServerHealth found) { health = found; });
    EXPECT_TRUE(loop_.run_until([&] { return health.has_value(); }, k_patience));
    return health.value_or(ServerHealth{.error = Error(Errc::timed_out)});
  }

  Loop loop_;
  Resolver resolver_{loop_};
  crypto::SystemRng rng_;
};

TEST_F(OnePortTest, everything_is_served_at_the_same_time) {
  ShellOptions options;
  options.turn = relay_on_loopback();
  options.pages = [](const http::RequestHead&) { return PageAnswer{.content_type = "text/plain", .body = "up\n"}; };
  TestNode node(options);
  TestNode peer({.listen = false});

  // Connections that stay, of each kind.
  std::vector<node::ConnectionId> kept;
  using Carrier = Multiaddr::Carrier;
  for (const Carrier carrier : {Carrier::plain, Carrier::websocket, Carrier::secure_websocket}) {
    const Multiaddr address = address_of(node, carrier);
    const auto connected = peer.connect(node.identity().peer_id(), address);
    ASSERT_TRUE(connected) << address.to_string() << ": " << connected.error().message();
    kept.push_back(connected->connection);
  }
  PortClient idle(node.endpoint());
  idle.start_tls({"stun.turn"});
  ASSERT_TRUE(idle.finish_tls());
  EXPECT_EQ(idle.established()->alpn, "stun.turn");
  EXPECT_EQ(peer_of_certificate(idle.established()->peer_certificate).value(), node.identity().peer_id());

  for (const std::string end : {"?transport=udp", "?transport=tcp"}) {
    for (const std::string scheme : {"turn", "turns"}) {
      const ServerHealth health = check(node, scheme, end, turn::Credentials{"user", "pass"});
      EXPECT_FALSE(health.error) << scheme << end << ": " << health.error->message();
      EXPECT_TRUE(health.echo) << scheme << end;
    }
  }
  const ServerHealth wrong = check(node, "turn", "?transport=tcp", turn::Credentials{"user", "wrong"});
  EXPECT_TRUE(wrong.error);
  PortClient browser(node.endpoint());
  browser.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(browser.receive(), HasSubstr("\r\n\r\nup\n"));

  for (const node::ConnectionId connection : kept) EXPECT_TRUE(peer.ping(connection));
  const PortStreamsStatus status = node.on_loop([](NodeShell& shell) { return shell.stream_status(); });
  EXPECT_EQ(status.libp2p, 3U);
  EXPECT_EQ(status.layered, 2U);
  EXPECT_GE(status.stun, 5U);
  EXPECT_EQ(status.pages, 1U);
  EXPECT_TRUE(status.refused.empty());
  const auto router = node.on_loop([](NodeShell& shell) { return shell.datagram_status(); });
  EXPECT_GT(router.datagrams[static_cast<std::size_t>(one_port::Destination::stun_server)], 0U);
  EXPECT_GT(router.datagrams[static_cast<std::size_t>(one_port::Destination::turn_dtls)], 0U);
  // Nobody is left that counts as half open.
  EXPECT_EQ(node.on_loop([](NodeShell& shell) { return shell.core().snapshot().accepts.half_open; }), 0U);
}

TEST_F(OnePortTest, without_the_role_of_turn_binding_requests_are_answered_and_nothing_is_allocated) {
  TestNode node({});
  EXPECT_FALSE(check(node, "stun", "", std::nullopt).error);
  EXPECT_TRUE(check(node, "turn", "?transport=udp", turn::Credentials{"user", "pass"}).error);
  PortClient browser(node.endpoint());
  browser.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(browser.receive(), StartsWith("HTTP/1.1 404 "));
}

TEST_F(OnePortTest, a_port_that_cannot_be_had_is_a_warning_and_the_node_goes_on) {
  PortManager ports;
  const auto taken = ports.acquire({.purpose = "other"});
  const auto free = PortManager().acquire({.purpose = "free"})->port();
  ShellOptions options;
  options.extra_ports = {taken->port(), free};
  TestNode node(options);
  (void)node.on_loop([](NodeShell&) { return 0; });
  const auto warnings = node.warnings();
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings.front().code(), Errc::port_in_use);
  EXPECT_THAT(warnings.front().message(), HasSubstr("goes on without"));
  const auto rows = node.shell().ports();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].purpose, "one-port-" + std::to_string(free));
  EXPECT_EQ(node.shell().addresses().front(), address_of(node, Multiaddr::Carrier::plain));  // the main port first
  PortClient browser({IpAddress::loopback(IpFamily::v4), free});
  browser.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(browser.receive(), StartsWith("HTTP/1.1 404 "));
}

TEST_F(OnePortTest, addresses_tell_the_plain_way_first) {
  TestNode node({});
  const auto& addresses = node.shell().addresses();
  ASSERT_EQ(addresses.size(), 2U);
  EXPECT_EQ(addresses[0], address_of(node, Multiaddr::Carrier::plain));
  EXPECT_EQ(addresses[1], address_of(node, Multiaddr::Carrier::websocket));
}

TEST_F(OnePortTest, datagrams_of_nobody_are_counted_by_name_and_dropped) {
  TestNode node({});
  const SocketAddress server(node.endpoint());
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const std::vector<std::string> garbage = {
      "", std::string("\x00\x01\x00\x00none", 8), "\x13zrtp", "\x80rtp", "\x40quic or channel data", "\xC0quic"};
  for (int i = 0; i < 20; ++i) {
    for (const std::string& bytes : garbage) {
      ASSERT_EQ(::sendto(fd.value(), bytes.data(), bytes.size(), 0, server.get(), server.size()), std::ssize(bytes));
    }
  }
  EXPECT_FALSE(check(node, "stun", "", std::nullopt).error);  // comes behind them
  const auto router = node.on_loop([](NodeShell& shell) { return shell.datagram_status(); });
  for (const one_port::Refusal refusal :
       {one_port::Refusal::empty, one_port::Refusal::not_stun, one_port::Refusal::reserved, one_port::Refusal::rtp}) {
    EXPECT_EQ(router.refused[static_cast<std::size_t>(refusal)], 20U) << to_text(refusal);
  }
  EXPECT_EQ(router.datagrams[static_cast<std::size_t>(one_port::Destination::quic)], 40U);
}

// Storms of each kind, and a peer all the while.
TEST_F(OnePortTest, hostile_connections_leave_the_node_serving) {
  TestNode node({});
  TestNode peer({.listen = false});
  const auto connected = peer.connect(node.identity().peer_id(), address_of(node, Multiaddr::Carrier::plain));
  ASSERT_TRUE(connected);
  std::vector<std::unique_ptr<PortClient>> clients;
  for (int i = 0; i < 25; ++i) {
    for (const std::string_view bytes : {"", "G", "\x13/multi", "\x16\x03", "\x7F\x45LF"}) {
      clients.push_back(std::make_unique<PortClient>(node.endpoint()));
      clients.back()->send(bytes);
    }
  }
  EXPECT_TRUE(peer.ping(connected->connection));
  const auto accepts = node.on_loop([](NodeShell& shell) { return shell.core().snapshot().accepts; });
  EXPECT_LE(accepts.half_open, AcceptLimiter::Limits().half_open_per_source);
  EXPECT_GT(accepts.refused, 0U);
  // Somebody new, from another address: what listens there also dials from there.
  TestNode newcomer({}, "127.0.0.2");
  const auto late = newcomer.connect(node.identity().peer_id(), address_of(node, Multiaddr::Carrier::plain));
  ASSERT_TRUE(late) << late.error().message();
  EXPECT_TRUE(newcomer.ping(late->connection));
}

TEST_F(OnePortTest, the_silence_of_a_few_addresses_keeps_nobody_new_out) {
  TestNode node({});
  const AcceptLimiter::Limits limits;
  std::vector<std::unique_ptr<PortClient>> silent;
  for (std::size_t i = 0; i < limits.half_open_total; ++i) {
    const auto source = static_cast<std::uint8_t>(10 + i / limits.half_open_per_source);
    silent.push_back(std::make_unique<PortClient>(node.endpoint(), IpAddress::v4({127, 0, 0, source})));
  }
  const auto half_open = [&] {
    return node.on_loop([](NodeShell& shell) { return shell.core().snapshot().accepts.half_open; });
  };
  const Instant deadline = monotonic_now() + 5s;
  while (half_open() < limits.half_open_total && monotonic_now() < deadline) std::this_thread::yield();
  ASSERT_EQ(half_open(), limits.half_open_total);
  TestNode newcomer({}, "127.0.0.2");
  const auto connected = newcomer.connect(node.identity().peer_id(), address_of(node, Multiaddr::Carrier::plain));
  ASSERT_TRUE(connected) << connected.error().message();
  EXPECT_TRUE(newcomer.ping(connected->connection));
}

// Connections that say what they speak are no longer half open, so they are bounded otherwise.
TEST_F(OnePortTest, trickling_stun_streams_of_one_address_are_bounded_and_cost_nobody_else) {
  ShellOptions options;
  options.turn = relay_on_loopback();
  TestNode node(options);
  const std::string begun("\x00\x01\x00\x08\x21\x12\xA4\x42twelve-bytes", 20);  // eight bytes are missing
  std::vector<std::unique_ptr<PortClient>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<PortClient>(node.endpoint(), IpAddress::v4({127, 0, 0, 3})));
    clients.back()->send(begun);
  }
  const ServerHealth health = check(node, "turn", "?transport=tcp", turn::Credentials{"user", "pass"});
  EXPECT_FALSE(health.error) << health.error->message();
  EXPECT_TRUE(health.echo);
  for (auto& client : clients) client->send("x");
  const auto turn = node.on_loop([](NodeShell& shell) { return shell.turn().snapshot(); });
  EXPECT_GT(turn.streams, 0U);
  EXPECT_LE(turn.streams, TurnShardOptions().max_streams_per_source + 2) << "and the two of the check";
  EXPECT_GT(turn.streams_refused, 0U);
  const PortStreamsStatus status = node.on_loop([](NodeShell& shell) { return shell.stream_status(); });
  const auto is_limit = [](const auto& row) { return row.phase == "STUN" && row.reason == Errc::limit_reached; };
  EXPECT_TRUE(std::ranges::any_of(status.refused, is_limit));
}

}  // namespace
}  // namespace dig::net
