// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_transports.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>

#include "base/rng.hpp"
#include "net/clock.hpp"
#include "net/sockaddr.hpp"

namespace dig::net {
namespace {

constexpr Duration k_patience = 10s;

// Plays the machines: what is sent is queued here, what comes is kept here.
class TestOwner final : public TransportOwner {
 public:
  struct Peer {
    Bytes outgoing;
    std::size_t sent = 0;
    Bytes received;
    bool has_eof = false;
    bool wants = true;
    std::optional<Errc> error{};
    Endpoint local{};
    Endpoint remote{};
  };

  bool admits(Instant, const Endpoint&, const Endpoint&) override { return admit; }
  void handle_accepted(Instant, TransportId id, const Endpoint& local, const Endpoint& remote) override {
    accepted.push_back(id);
    peers[id].local = local;
    peers[id].remote = remote;
    if (on_accepted) on_accepted(id);
  }
  void handle_dialled(Instant, DialId id, const DialOutcome& outcome) override {
    dialled.emplace(id, outcome);
    if (!outcome.result) return;
    peers[outcome.result->transport].local = outcome.result->local;
    peers[outcome.result->transport].remote = outcome.result->remote;
  }
  void handle_bytes(Instant, TransportId id, BytesView bytes) override {
    append(peers[id].received, bytes);
    if (is_echo) append(peers[id].outgoing, bytes);
    if (on_bytes) on_bytes(id);
  }
  void handle_eof(Instant, TransportId id) override { peers[id].has_eof = true; }
  void handle_error(Instant, TransportId id, const Error& error) override { peers[id].error = error.code(); }
  std::size_t poll_bytes(Instant, TransportId id, MutableBytes out) override {
    Peer& peer = peers[id];
    const std::size_t size = std::min(out.size(), peer.outgoing.size() - peer.sent);
    std::copy_n(peer.outgoing.begin() + static_cast<std::ptrdiff_t>(peer.sent), size, out.begin());
    peer.sent += size;
    return size;
  }
  bool wants_bytes(TransportId id) override { return peers[id].wants; }
  void settle(Instant) override { ++settles; }

  std::map<TransportId, Peer> peers;
  std::vector<TransportId> accepted;
  std::map<DialId, DialOutcome> dialled;
  std::function<void(TransportId)> on_accepted;
  std::function<void(TransportId)> on_bytes;
  bool admit = true;
  bool is_echo = false;
  int settles = 0;
};

class TcpTransportsTest : public testing::TestWithParam<IpFamily> {
 protected:
  Endpoint listen(TcpTransports& transports, IpAddress address) {
    auto lease = ports.acquire({.purpose = "test", .udp = false, .addresses = {address}});
    EXPECT_TRUE(lease) << lease.error().message();
    auto sockets = lease->take_tcp();
    const Endpoint local = sockets.at(0).local;
    last_listener = transports.listen(std::move(sockets.at(0)));
    return local;
  }
  Endpoint listen() { return listen(server, IpAddress::loopback(GetParam())); }

  // Both ends of a new connection.
  std::pair<TransportId, TransportId> connect(const Endpoint& remote, const DialOptions& options = {}) {
    const DialId id{++last_dial};
    const std::size_t before = server_owner.accepted.size();
    client.dial(id, {remote}, options);
    EXPECT_TRUE(loop.run_until(
        [&] { return client_owner.dialled.contains(id) && server_owner.accepted.size() > before; }, k_patience));
    const DialOutcome& outcome = client_owner.dialled.at(id);
    EXPECT_TRUE(outcome.result) << outcome.result.error().message();
    return {outcome.result->transport, server_owner.accepted.back()};
  }
  DialOutcome dial_alone(std::vector<Endpoint> candidates, const DialOptions& options = {}) {
    const DialId id{++last_dial};
    client.dial(id, std::move(candidates), options);
    EXPECT_FALSE(client_owner.dialled.contains(id)) << "answered from inside dial()";
    EXPECT_TRUE(loop.run_until([&] { return client_owner.dialled.contains(id); }, k_patience));
    return client_owner.dialled.at(id);
  }
  // An RST right after accept() may come before or after the dialler sees its connection.
  bool is_cut_off(const DialOutcome& outcome) {
    if (!outcome.result) return outcome.result.error().code() == Errc::connection_reset;
    const TestOwner::Peer& peer = client_owner.peers[outcome.result->transport];
    return run([&] { return peer.error.has_value(); });
  }
  bool run(const std::function<bool()>& done) { return loop.run_until(done, k_patience); }

  Loop loop;
  PortManager ports;
  TestOwner server_owner;
  TestOwner client_owner;
  TcpTransports server{loop, server_owner};
  TcpTransports client{loop, client_owner};
  ListenerId last_listener;
  std::uint64_t last_dial = 0;
};

Bytes random_bytes(std::size_t size) {
  SeededRng rng(size);
  Bytes bytes(size);
  rng.fill(bytes);
  return bytes;
}

INSTANTIATE_TEST_SUITE_P(Families, TcpTransportsTest, testing::Values(IpFamily::v4, IpFamily::v6),
                         [](const auto& item) { return item.param == IpFamily::v4 ? "V4" : "V6"; });

TEST_P(TcpTransportsTest, BytesArriveInOrderAndWholeBothWays) {
  server_owner.is_echo = true;
  const auto [near, far] = connect(listen());
  const Bytes sent = random_bytes(5'000'001);
  client_owner.peers[near].outgoing = sent;
  client.flush(near);
  ASSERT_TRUE(run([&] { return client_owner.peers[near].received.size() == sent.size(); }));
  EXPECT_EQ(client_owner.peers[near].received, sent);
  EXPECT_EQ(client_owner.peers[near].remote, server_owner.peers[far].local);
  EXPECT_EQ(client_owner.peers[near].local, server_owner.peers[far].remote);
  const auto status = client.status(near);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->bytes_sent, sent.size());
  EXPECT_EQ(status->bytes_received, sent.size());
  EXPECT_EQ(status->unsent_bytes, 0u);
  EXPECT_TRUE(status->rtt.has_value());
  EXPECT_GT(client_owner.settles, 0);
}

TEST_P(TcpTransportsTest, GracefulCloseDeliversEverythingThenEof) {
  const auto [near, far] = connect(listen());
  const Bytes sent = random_bytes(3'000'000);
  client_owner.peers[near].outgoing = sent;
  client.close(near, CloseMode::graceful);
  EXPECT_FALSE(client.status(near));
  ASSERT_TRUE(run([&] { return server_owner.peers[far].has_eof; }));
  EXPECT_EQ(server_owner.peers[far].received, sent);
  EXPECT_EQ(client.snapshot().transports, 1u) << "waits for the peer's FIN";
  server.close(far, CloseMode::graceful);
  EXPECT_TRUE(run([&] { return client.snapshot().transports == 0 && server.snapshot().transports == 0; }));
  EXPECT_EQ(client_owner.peers[near].error, std::nullopt);
  EXPECT_FALSE(client_owner.peers[near].has_eof) << "nothing is reported after close()";
}

TEST_P(TcpTransportsTest, GracefulCloseIsBoundedWhenThePeerNeverReads) {
  TcpTransports hasty(loop, client_owner, {.linger = 50ms});
  const Endpoint remote = listen();
  server_owner.on_accepted = [&](TransportId id) { server_owner.peers[id].wants = false; };
  hasty.dial(DialId{1}, {remote});
  ASSERT_TRUE(run([&] { return client_owner.dialled.contains(DialId{1}) && !server_owner.accepted.empty(); }));
  const TransportId id = client_owner.dialled.at(DialId{1}).result->transport;
  client_owner.peers[id].outgoing.resize(20'000'000);
  hasty.close(id, CloseMode::graceful);
  EXPECT_EQ(hasty.snapshot().transports, 1u);
  EXPECT_TRUE(run([&] { return hasty.snapshot().transports == 0; }));
}

TEST_P(TcpTransportsTest, AbortIsAResetForThePeer) {
  const auto [near, far] = connect(listen());
  client.close(near, CloseMode::abort);
  ASSERT_TRUE(run([&] { return server_owner.peers[far].error.has_value(); }));
  EXPECT_EQ(server_owner.peers[far].error, Errc::connection_reset);
  EXPECT_EQ(server.snapshot().transports, 0u);
}

TEST_P(TcpTransportsTest, LastWordsBeforeAFailureAreDelivered) {
  const auto [near, far] = connect(listen());
  server_owner.peers[far].outgoing = to_bytes("why");
  server.flush(far);
  server.close(far, CloseMode::abort);
  client_owner.peers[near].outgoing = random_bytes(10);
  client.flush(near);
  ASSERT_TRUE(run([&] { return client_owner.peers[near].error.has_value(); }));
  EXPECT_EQ(client_owner.peers[near].error, Errc::connection_reset);
  EXPECT_EQ(client_owner.peers[near].received, to_bytes("why"));
}

TEST_P(TcpTransportsTest, HalfCloseStillSends) {
  const auto [near, far] = connect(listen());
  client.close(near, CloseMode::graceful);
  ASSERT_TRUE(run([&] { return server_owner.peers[far].has_eof; }));
  server_owner.peers[far].outgoing = random_bytes(100'000);
  server.flush(far);
  ASSERT_TRUE(run([&] { return server.status(far)->bytes_sent == 100'000; }));
  EXPECT_EQ(server_owner.peers[far].error, std::nullopt);
}

TEST_P(TcpTransportsTest, BackpressureStopsReadingAndBoundsMemory) {
  const Endpoint remote = listen();
  server_owner.on_accepted = [&](TransportId id) { server_owner.peers[id].wants = false; };
  const auto [near, far] = connect(remote);
  client_owner.peers[near].outgoing = random_bytes(30'000'000);
  client.flush(near);
  loop.run_for(50ms);
  EXPECT_TRUE(server_owner.peers[far].received.empty());
  EXPECT_FALSE(server.status(far)->is_reading);
  const std::size_t taken = client_owner.peers[near].sent;
  EXPECT_LT(taken, 30'000'000u) << "the kernel's buffers are smaller than this";
  EXPECT_LE(client.status(near)->unsent_bytes, 256u * 1024u);
  server_owner.peers[far].wants = true;
  server.flush(far);
  ASSERT_TRUE(run([&] { return server_owner.peers[far].received.size() == 30'000'000; }));
  EXPECT_EQ(server_owner.peers[far].received, client_owner.peers[near].outgoing);
}

TEST_P(TcpTransportsTest, OwnerMayCloseAndFlushFromInsideCallbacks) {
  server_owner.on_bytes = [&](TransportId id) {
    server_owner.peers[id].outgoing = to_bytes("bye");
    server.flush(id);
    server.close(id, CloseMode::graceful);
  };
  const auto [near, far] = connect(listen());
  client_owner.peers[near].outgoing = random_bytes(1'000'000);
  client.flush(near);
  ASSERT_TRUE(run([&] { return client_owner.peers[near].has_eof; }));
  EXPECT_EQ(client_owner.peers[near].received, to_bytes("bye"));
  client.close(near, CloseMode::abort);

  server_owner.on_accepted = [&](TransportId id) { server.close(id, CloseMode::abort); };
  EXPECT_TRUE(is_cut_off(dial_alone(server.listening())));
  EXPECT_EQ(server_owner.accepted.size(), 2u);
  EXPECT_FALSE(server.status(server_owner.accepted.back()));
}

TEST_P(TcpTransportsTest, RefusedByTheOwnerIsClosedAtOnce) {
  server_owner.admit = false;
  const Endpoint remote = listen();
  EXPECT_TRUE(is_cut_off(dial_alone({remote})));
  EXPECT_EQ(server.snapshot().rejected, 1u);
  EXPECT_TRUE(server_owner.accepted.empty());
}

TEST_P(TcpTransportsTest, TableOfTransportsIsBounded) {
  TcpTransports small(loop, server_owner, {.max_transports = 2});
  const Endpoint remote = listen(small, IpAddress::loopback(GetParam()));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(dial_alone({remote}).result);
  EXPECT_TRUE(is_cut_off(dial_alone({remote})));
  EXPECT_EQ(small.snapshot().rejected, 1u);
  EXPECT_EQ(small.snapshot().transports, 2u);
  small.dial(DialId{99}, {listen(client, IpAddress::loopback(GetParam()))});
  ASSERT_TRUE(run([&] { return server_owner.dialled.contains(DialId{99}); }));
  EXPECT_EQ(server_owner.dialled.at(DialId{99}).result.error().code(), Errc::limit_reached);
}

TEST_P(TcpTransportsTest, RefusedDialSaysSo) {
  const Endpoint remote = listen();
  server.stop_listening(last_listener);
  EXPECT_TRUE(server.listening().empty());
  const DialOutcome outcome = dial_alone({remote});
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code(), Errc::connection_refused);
  ASSERT_EQ(outcome.attempts.size(), 1u);
  EXPECT_EQ(outcome.attempts[0].outcome, dial::Outcome::failed);
  EXPECT_EQ(outcome.attempts[0].error->code(), Errc::connection_refused);
}

TEST_P(TcpTransportsTest, DeadCandidateCostsNothingWhenAnotherAnswers) {
  const Endpoint dead = listen();
  server.stop_listening(last_listener);
  const Endpoint alive = listen();
  const DialOutcome outcome = dial_alone({dead, alive});
  ASSERT_TRUE(outcome.result) << outcome.result.error().message();
  EXPECT_EQ(outcome.result->remote, alive);
  EXPECT_EQ(outcome.attempts[0].outcome, dial::Outcome::failed);
  EXPECT_EQ(outcome.attempts[1].outcome, dial::Outcome::won);
}

// A listener whose queue is full answers no SYN: the only silent address that loopback offers.
TEST_P(TcpTransportsTest, SilentAddressTimesOut) {
  const SocketAddress any(Endpoint{IpAddress::loopback(GetParam()), 0});
  const UniqueFd listener(::socket(any.family(), SOCK_STREAM, 0));
  ASSERT_EQ(::bind(listener.value(), any.get(), any.size()), 0);
  ASSERT_EQ(::listen(listener.value(), 0), 0);
  const Endpoint silent = local_endpoint(listener.value()).value();
  std::vector<UniqueFd> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.emplace_back(::socket(any.family(), SOCK_STREAM | SOCK_NONBLOCK, 0));
    const SocketAddress address(silent);
    ::connect(fillers.back().value(), address.get(), address.size());
  }
  const DialOutcome outcome = dial_alone({silent}, {.limits = {.attempt_timeout = 50ms}});
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code(), Errc::connect_timeout);
}

TEST_P(TcpTransportsTest, EmptyDialFailsAndCancelledDialStaysSilent) {
  EXPECT_EQ(dial_alone({}).result.error().code(), Errc::address_not_dialable);
  const Endpoint remote = listen();
  client.dial(DialId{500}, {remote});
  client.cancel_dial(DialId{500});
  client.cancel_dial(DialId{501});
  loop.run_for(20ms);
  EXPECT_FALSE(client_owner.dialled.contains(DialId{500}));
  EXPECT_EQ(client.snapshot().dials, 0u);
}

TEST_P(TcpTransportsTest, OutgoingConnectionLeavesFromTheListeningPortWhileListening) {
  const Endpoint own = listen(client, IpAddress::any(GetParam()));
  const Endpoint remote = listen();
  const auto [near, far] = connect(remote, {.from_listener = true});
  EXPECT_EQ(server_owner.peers[far].remote.port, own.port);
  EXPECT_EQ(client_owner.peers[near].local.port, own.port);

  // The port still takes connections, and a second one from it to the same place falls back to another port.
  const auto [second, second_far] = connect(remote, {.from_listener = true});
  EXPECT_NE(client_owner.peers[second].local.port, own.port);
  server.dial(DialId{1}, {{IpAddress::loopback(GetParam()), own.port}});
  ASSERT_TRUE(run([&] { return server_owner.dialled.contains(DialId{1}) && !client_owner.accepted.empty(); }));
  EXPECT_TRUE(server_owner.dialled.at(DialId{1}).result);

  UniqueFd foreign(::socket(GetParam() == IpFamily::v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0));
  const int on = 1;
  ::setsockopt(foreign.value(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const SocketAddress address(own);
  EXPECT_NE(::bind(foreign.value(), address.get(), address.size()), 0);
  EXPECT_EQ(errno, EADDRINUSE);
}

TEST_P(TcpTransportsTest, DiallingOwnPortFromItselfIsNoticed) {
  const Endpoint own = listen(client, IpAddress::loopback(GetParam()));
  const DialOutcome outcome = dial_alone({own}, {.from_listener = true});
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(outcome.result.error().code(), Errc::dialled_self);
}

TEST_P(TcpTransportsTest, ManyConnectionsAtOnceAllCarryTheirOwnBytes) {
  constexpr std::size_t k_count = 100;
  server_owner.is_echo = true;
  const Endpoint remote = listen();
  for (std::size_t i = 1; i <= k_count; ++i) client.dial(DialId{i}, {remote});
  ASSERT_TRUE(run([&] { return client_owner.dialled.size() == k_count; }));
  for (const auto& [id, outcome] : client_owner.dialled) {
    ASSERT_TRUE(outcome.result);
    client_owner.peers[outcome.result->transport].outgoing = random_bytes(10'000 + id.value);
    client.flush(outcome.result->transport);
  }
  ASSERT_TRUE(run([&] {
    return std::ranges::all_of(client_owner.peers, [](const auto& item) {
      return item.second.received.size() >= item.second.outgoing.size();
    });
  }));
  for (const auto& [id, peer] : client_owner.peers) EXPECT_EQ(peer.received, peer.outgoing);
}

TEST_P(TcpTransportsTest, OutOfDescriptorsPausesAcceptingAndRecovers) {
  const Endpoint remote = listen();
  const SocketAddress address(remote);
  const UniqueFd waiting(::socket(address.family(), SOCK_STREAM, 0));
  ASSERT_EQ(::connect(waiting.value(), address.get(), address.size()), 0);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  const UniqueFd probe(::dup(waiting.value()));
  rlimit tight = old;
  tight.rlim_cur = static_cast<rlim_t>(probe.value());  // no descriptor from here on
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  EXPECT_TRUE(run([&] { return server.snapshot().accept_pauses > 0; }));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_TRUE(run([&] { return server_owner.accepted.size() == 1; }));
}

TEST_P(TcpTransportsTest, DestructionInTheMiddleOfEverythingIsSafe) {
  const Endpoint remote = listen();
  {
    TestOwner owner;
    TcpTransports passing(loop, owner);
    listen(passing, IpAddress::loopback(GetParam()));
    passing.dial(DialId{1}, {remote});
    loop.poll();
    passing.dial(DialId{2}, {remote});
  }
  loop.run_for(20ms);
  EXPECT_LE(server_owner.accepted.size(), 1u);
}

TEST_P(TcpTransportsTest, UnknownIdsDoNothing) {
  client.flush(TransportId{77});
  client.close(TransportId{77}, CloseMode::graceful);
  client.stop_listening(ListenerId{77});
  EXPECT_FALSE(client.status(TransportId{77}));
  EXPECT_EQ(client.snapshot().transports, 0u);
}

TEST(NetworkError, SystemErrorsGetTheirCodes) {
  const Endpoint remote{IpAddress::v4({192, 0, 2, 1}), 4001};
  EXPECT_EQ(network_error(ECONNREFUSED, remote).code(), Errc::connection_refused);
  EXPECT_EQ(network_error(ENETUNREACH, remote).code(), Errc::no_route);
  EXPECT_EQ(network_error(EHOSTUNREACH, remote).code(), Errc::no_route);
  EXPECT_EQ(network_error(ETIMEDOUT, remote).code(), Errc::connect_timeout);
  EXPECT_EQ(network_error(ECONNRESET, remote).code(), Errc::connection_reset);
  EXPECT_EQ(network_error(EPIPE, remote).code(), Errc::connection_reset);
  EXPECT_EQ(network_error(EIO, remote).code(), Errc::network_error);
  EXPECT_THAT(network_error(EIO, remote).detail(), testing::HasSubstr("192.0.2.1:4001"));
}

}  // namespace
}  // namespace dig::net
