// SPDX-License-Identifier: Apache-2.0
// The one TCP port over real sockets: what comes through, and what becomes of those who misbehave.
#include "net/port_streams.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>

#include "crypto/system_rng.hpp"
#include "net/node_shell.hpp"
#include "net/testing/port_client.hpp"
#include "proto/websocket/handshake.hpp"
#include "wire/peer_certificate.hpp"

namespace dig::net {
namespace {

using ::testing::HasSubstr;
using testing::PortClient;
using ::testing::StartsWith;

constexpr Duration k_patience = 20s;
constexpr std::string_view k_multistream = "\x13/multistream/1.0.0\n";

// Takes what libp2p would get, and answers each piece with it.
class EchoOwner final : public PortOwner {
 public:
  bool admits(Instant /*now*/, const Endpoint& /*local*/, const Endpoint& /*remote*/) override {
    ++admitted;
    return true;
  }
  void handle_accepted(Instant /*now*/, TransportId id, const Endpoint& /*local*/, const Endpoint& /*remote*/,
                       Multiaddr::Carrier carrier) override {
    accepted[id] = carrier;
  }
  void handle_not_libp2p(Instant /*now*/, const Endpoint& /*remote*/) override { ++others; }
  void handle_dialled(Instant /*now*/, DialId /*id*/, const DialOutcome& outcome) override { dialled = outcome; }
  void handle_bytes(Instant /*now*/, TransportId id, BytesView bytes) override {
    append(received[id], bytes);
    if (!echoes) return;
    append(waiting[id], bytes);
    touched = id;
  }
  void handle_eof(Instant /*now*/, TransportId id) override { ended.push_back(id); }
  void handle_error(Instant /*now*/, TransportId id, const Error& /*error*/) override { ended.push_back(id); }
  std::size_t poll_bytes(Instant /*now*/, TransportId id, MutableBytes out) override {
    Bytes& bytes = waiting[id];
    const std::size_t size = std::min(out.size(), bytes.size());
    std::copy_n(bytes.begin(), size, out.begin());
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    return size;
  }
  bool wants_bytes(TransportId /*id*/) override { return true; }
  void settle(Instant /*now*/) override {
    if (const auto id = std::exchange(touched, std::nullopt)) streams->flush(*id);
  }

  PortStreams* streams = nullptr;
  bool echoes = true;
  std::size_t admitted = 0;
  std::size_t others = 0;
  std::map<TransportId, Multiaddr::Carrier> accepted;
  std::map<TransportId, Bytes> received;
  std::map<TransportId, Bytes> waiting;
  std::vector<TransportId> ended;
  std::optional<DialOutcome> dialled;
  std::optional<TransportId> touched;
};

class PortStreamsTest : public ::testing::Test {
 protected:
  PortStreamsTest() { start(300ms, 300ms); }

  // `timeout`: until it is known what a connection speaks.
  void start(Duration page_timeout, Duration timeout) {
    PortStreams::Limits limits;
    limits.server.timeout = timeout;
    limits.page_timeout = page_timeout;
    limits.linger = 600ms;
    limits.tcp.linger = 300ms;
    streams_.emplace(loop_, owner_, rng_, limits);
    owner_.streams = &*streams_;
    far_owner_.echoes = false;
    far_.emplace(loop_, far_owner_, rng_, limits);
    streams_->set_tls(make_port_tls(identity_, {}, {}).value().stream);
    auto lease = ports_.acquire({.purpose = "one", .addresses = {IpAddress::loopback(IpFamily::v4)}});
    server_ = {IpAddress::loopback(IpFamily::v4), lease->port()};
    for (BoundSocket& socket : lease->take_tcp()) streams_->listen(std::move(socket));
  }

  // Runs `client` on a thread of its own while the loop runs here; then until nobody is unidentified any more.
  void run(const std::function<void()>& client) {
    std::atomic<bool> is_done = false;
    std::exception_ptr failure;
    std::jthread thread([&] {
      try {
        client();
      } catch (...) {
        failure = std::current_exception();
      }
      is_done = true;
      loop_.post([] {});
    });
    ASSERT_TRUE(loop_.run_until([&] { return is_done.load(); }, k_patience));
    thread.join();
    if (failure) std::rethrow_exception(failure);
    ASSERT_TRUE(loop_.run_until([&] { return owner_.admitted == owner_.accepted.size() + owner_.others; }, k_patience));
  }

  [[nodiscard]] std::uint64_t refused(std::string_view phase, Errc reason) const {
    for (const auto& entry : streams_->snapshot().refused) {
      if (entry.phase == phase && entry.reason == reason) return entry.count;
    }
    return 0;
  }
  [[nodiscard]] std::string all_refused() const {
    std::string text;
    for (const auto& entry : streams_->snapshot().refused) {
      text += std::string(entry.phase) + ": " + Error(entry.reason).message() + "; ";
    }
    return text;
  }
  [[nodiscard]] std::string host() const { return "Host: " + server_.to_string() + "\r\n"; }

  Loop loop_;
  crypto::SystemRng rng_;
  Identity identity_ = Identity::generate(rng_);
  PortManager ports_;
  EchoOwner owner_;
  std::optional<PortStreams> streams_;
  EchoOwner far_owner_;  // of one that listens nowhere
  std::optional<PortStreams> far_;
  Endpoint server_;
};

TEST_F(PortStreamsTest, bare_libp2p_passes_through_however_it_comes) {
  start(300ms, k_patience);
  const std::string text = std::string(k_multistream) + std::string(300'000, 'x');
  run([&] {
    PortClient slow(server_);
    for (const char c : text.substr(0, 40)) slow.send({&c, 1});
    EXPECT_EQ(slow.receive(40), text.substr(0, 40));
    PortClient fast(server_);
    fast.send(text);
    EXPECT_EQ(fast.receive(text.size()), text);
  });
  EXPECT_EQ(owner_.accepted.size(), 2U);
  EXPECT_EQ(streams_->snapshot().libp2p, 2U);
  EXPECT_EQ(streams_->snapshot().layered, 0U);
}

TEST_F(PortStreamsTest, libp2p_comes_out_of_tls_and_of_a_websocket_in_it) {
  start(300ms, k_patience);
  const std::string text = std::string(k_multistream) + std::string(100'000, 'y');
  run([&] {
    PortClient inside_tls(server_);
    inside_tls.start_tls({"libp2p"});
    inside_tls.send(text);
    EXPECT_EQ(inside_tls.receive(text.size()), text);
  });
  ASSERT_EQ(owner_.accepted.size(), 1U);
  EXPECT_EQ(as_text(owner_.received.begin()->second), text);
  // The other end of a WebSocket is one of ours.
  for (const auto carrier : {Multiaddr::Carrier::websocket, Multiaddr::Carrier::secure_websocket}) {
    const std::size_t known = owner_.accepted.size();
    far_owner_.dialled.reset();
    far_->dial({.id = DialId{1},
                .remote = server_,
                .carrier = carrier,
                .tls_name = "127.0.0.1",
                .http_host = server_.to_string(),
                .peer = identity_.peer_id()});
    ASSERT_TRUE(loop_.run_until([&] { return far_owner_.dialled.has_value(); }, k_patience));
    ASSERT_TRUE(far_owner_.dialled->result) << far_owner_.dialled->result.error().message();
    const TransportId dialled = far_owner_.dialled->result->transport;
    append(far_owner_.waiting[dialled], as_bytes(text));
    far_->flush(dialled);
    ASSERT_TRUE(loop_.run_until([&] { return far_owner_.received[dialled].size() == text.size(); }, k_patience));
    EXPECT_EQ(as_text(far_owner_.received[dialled]), text);
    ASSERT_EQ(owner_.accepted.size(), known + 1);
    EXPECT_EQ(owner_.accepted.rbegin()->second, carrier);
    EXPECT_EQ(far_->snapshot().layered, 1U);
    far_->close(dialled, CloseMode::graceful);
    ASSERT_TRUE(loop_.run_until([&] { return owner_.ended.size() == known + 1; }, k_patience));
    EXPECT_EQ(far_->snapshot().layered, 0U);
  }
}

TEST_F(PortStreamsTest, a_certificate_of_another_peer_is_refused) {
  start(300ms, k_patience);
  const Identity stranger = Identity::generate(rng_);
  far_->dial({.id = DialId{7},
              .remote = server_,
              .carrier = Multiaddr::Carrier::secure_websocket,
              .tls_name = "127.0.0.1",
              .http_host = "x",
              .peer = stranger.peer_id()});
  ASSERT_TRUE(loop_.run_until([&] { return far_owner_.dialled.has_value(); }, k_patience));
  ASSERT_FALSE(far_owner_.dialled->result);
  EXPECT_EQ(far_owner_.dialled->result.error().code(), Errc::certificate_self_signed);
}

TEST_F(PortStreamsTest, pages_are_answered_to_http_1_0_too) {
  start(300ms, k_patience);
  streams_->set_pages(
      [](const http::RequestHead&) { return PageAnswer{.content_type = "text/plain", .body = "up\n"}; });
  const auto ask = [&](const std::string& fields) {
    PortClient client(server_);
    client.send("GET / HTTP/1.0\r\n" + fields + "\r\n");
    return client.receive();
  };
  run([&] {
    const std::string answer = ask(host());
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\n\r\nup\n"));
    EXPECT_THAT(ask("Host: evil.example\r\n"), StartsWith("HTTP/1.1 421 "));
    EXPECT_THAT(ask(""), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask(host() + "Connection: upgrade\r\nUpgrade: websocket\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
  });
}

TEST_F(PortStreamsTest, pages_are_answered_under_names_of_ours_only) {
  start(300ms, k_patience);
  streams_->set_pages([](const http::RequestHead& request) {
    return PageAnswer{.status = 200, .content_type = "text/plain", .body = "you asked for " + request.path + "\n"};
  });
  streams_->set_hosts({"dignet.example"});
  const auto ask = [&](const std::string& line, const std::string& head, bool is_tls = false) {
    PortClient client(server_);
    if (is_tls) client.start_tls({"h2", "http/1.1"});
    client.send(line + " HTTP/1.1\r\n" + head + "\r\n");
    return client.receive();
  };
  run([&] {
    EXPECT_THAT(ask("GET /health", host()), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(ask("GET /health", host(), true), HasSubstr("\r\n\r\nyou asked for /health\n"));
    EXPECT_THAT(ask("GET /", "Host: dignet.example\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(ask("GET /", "Host: LOCALHOST:80\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(ask("GET /", "Host: evil.example\r\n"), StartsWith("HTTP/1.1 421 "));
    EXPECT_THAT(ask("GET /", "Host: 192.0.2.1\r\n"), StartsWith("HTTP/1.1 421 "));
    EXPECT_THAT(ask("POST /", host() + "Content-Length: 0\r\n"), StartsWith("HTTP/1.1 405 "));
    const std::string head = ask("HEAD /", host());
    EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  });
  EXPECT_EQ(streams_->snapshot().misdirected, 2U);
  EXPECT_TRUE(owner_.accepted.empty());
}

TEST_F(PortStreamsTest, a_large_page_arrives_whole_and_one_that_nobody_takes_is_given_up) {
  start(300ms, k_patience);
  const std::string body(3'000'000, 'p');
  streams_->set_pages([&](const http::RequestHead&) { return PageAnswer{.content_type = "text/plain", .body = body}; });
  const std::string request = "GET / HTTP/1.1\r\n" + host() + "\r\n";
  run([&] {
    for (const bool is_tls : {false, true}) {
      PortClient client(server_);
      if (is_tls) client.start_tls({});
      client.send(request);
      const std::string page = client.receive();
      EXPECT_TRUE(page.ends_with("\r\n\r\n" + body)) << page.size();
    }
  });
  const std::string large(60'000'000, 'q');  // more than the buffers of both sockets hold
  streams_->set_pages(
      [&](const http::RequestHead&) { return PageAnswer{.content_type = "text/plain", .body = large}; });
  std::optional<PortClient> lazy;
  const Instant since = monotonic_now();  // run() may wait for its end already
  run([&] {
    lazy.emplace(server_);
    lazy->send(request);
  });
  ASSERT_TRUE(loop_.run_until([&] { return streams_->snapshot().pages == 3; }, k_patience));
  ASSERT_TRUE(loop_.run_until([&] { return owner_.others == 3; }, k_patience));
  EXPECT_GE(monotonic_now() - since, 250ms);
  ASSERT_TRUE(loop_.run_until([&] { return streams_->snapshot().tcp.transports == 0; }, k_patience));
}

TEST_F(PortStreamsTest, who_has_said_all_still_gets_the_whole_page) {
  start(k_patience, k_patience);
  const std::string body(12'000'000, 'h');  // more than leaves before the end of the request is seen
  streams_->set_pages([&](const http::RequestHead&) { return PageAnswer{.content_type = "text/plain", .body = body}; });
  run([&] {
    PortClient client(server_);
    client.send("GET / HTTP/1.1\r\n" + host() + "\r\n");
    client.finish();
    const std::string page = client.receive();
    EXPECT_TRUE(page.ends_with("\r\n\r\n" + body)) << page.size();
  });
  ASSERT_TRUE(loop_.run_until([&] { return streams_->snapshot().tcp.transports == 0; }, k_patience));
}

// Bad input: each is refused by name, bounded in time, and the port goes on.
TEST_F(PortStreamsTest, silence_and_half_open_connections_are_not_waited_for) {
  run([&] {
    PortClient silent(server_);
    PortClient slow(server_);
    slow.send("\x13/mult");
    PortClient gone(server_);
    gone.finish();
    EXPECT_EQ(silent.receive(), "");
    EXPECT_EQ(slow.receive(), "");
    EXPECT_EQ(gone.receive(), "");
  });
  EXPECT_EQ(refused("first bytes", Errc::phase_timeout), 2U) << all_refused();
  EXPECT_EQ(refused("first bytes", Errc::connection_closed), 1U) << all_refused();
  EXPECT_EQ(owner_.others, 3U);
}

TEST_F(PortStreamsTest, a_byte_at_a_time_does_not_win_time) {
  run([&] {
    PortClient client(server_);
    const Instant start = monotonic_now();
    client.send("G");
    client.send("ET / HTTP/1.1\r\n");
    for (int i = 0; i < 40 && monotonic_now() - start < 2s; ++i) {
      client.send("X: y\r\n");
      std::this_thread::sleep_for(20ms);  // how slowly it comes is what is tested
    }
    EXPECT_THAT(client.receive(), StartsWith("HTTP/1.1 408 "));
  });
  EXPECT_EQ(refused("HTTP", Errc::phase_timeout), 1U) << all_refused();
}

TEST_F(PortStreamsTest, garbage_is_refused_by_name) {
  const std::vector<std::string> garbage = {"SSH-2.0-x\r\n",
                                            std::string("\x05\x01\x00", 3),
                                            std::string("\x03\x00\x00\x13", 4),
                                            "\xFF\xFE",
                                            "PRI * HTTP/2.0\r\n\r\n",
                                            std::string("\x40\x00\x00\x04test", 8),
                                            std::string("\x13/multistream/2.0.0\n"),
                                            std::string("\x00\x01\x00\x08\x00\x00\x00\x00", 8)};
  run([&] {
    for (const std::string& bytes : garbage) {
      PortClient client(server_);
      client.send(bytes);
      EXPECT_EQ(client.receive(), "");
    }
  });
  EXPECT_EQ(refused("first bytes", Errc::protocol_not_supported), garbage.size()) << all_refused();
  EXPECT_EQ(owner_.others, garbage.size());
}

TEST_F(PortStreamsTest, tls_without_data_and_tls_that_is_none) {
  run([&] {
    PortClient silent(server_);
    silent.send("\x16\x03\x01");
    EXPECT_EQ(silent.receive(), "");
    PortClient established(server_);
    established.start_tls({});
    ASSERT_TRUE(established.finish_tls());
    EXPECT_EQ(established.receive(), "");
    PortClient broken(server_);
    broken.send(std::string("\x16\x03\x01\x00\x05", 5) + "hello");
    EXPECT_NE(broken.receive(), "");  // an alert
    PortClient stranger(server_);
    stranger.start_tls({"smtp"});
    EXPECT_FALSE(stranger.finish_tls());
  });
  EXPECT_EQ(refused("TLS", Errc::phase_timeout), 1U) << all_refused();
  EXPECT_EQ(refused("first bytes inside TLS", Errc::phase_timeout), 1U) << all_refused();
  EXPECT_EQ(refused("TLS", Errc::tls_failed), 1U) << all_refused();
  EXPECT_EQ(refused("TLS", Errc::protocol_not_supported), 1U) << all_refused();
}

TEST_F(PortStreamsTest, endless_headers_and_bad_upgrades) {
  run([&] {
    PortClient endless(server_);
    endless.send("GET / HTTP/1.1\r\n");
    for (int i = 0; i < 2000; ++i) endless.send("X-Header: value\r\n");
    EXPECT_THAT(endless.receive(), StartsWith("HTTP/1.1 431 "));
    PortClient upgrade(server_);
    upgrade.send("GET / HTTP/1.1\r\n" + host() + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    EXPECT_THAT(upgrade.receive(), StartsWith("HTTP/1.1 4"));
  });
  EXPECT_EQ(refused("HTTP", Errc::oversized), 1U) << all_refused();
  EXPECT_EQ(owner_.others, 2U);
}

TEST_F(PortStreamsTest, an_upgraded_websocket_is_the_owners_even_if_it_says_nothing_or_garbage) {
  const std::string request = "GET / HTTP/1.1\r\n" + host() +
                              "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  run([&] {
    PortClient silent(server_);
    silent.send(request);
    EXPECT_THAT(silent.receive(30), StartsWith("HTTP/1.1 101 "));
    PortClient unmasked(server_);
    unmasked.send(request + std::string("\x82\x01x", 3));
    (void)unmasked.receive();  // it is closed
  });
  EXPECT_EQ(owner_.accepted.size(), 2U);
  ASSERT_TRUE(loop_.run_until([&] { return owner_.ended.size() == 2; }, k_patience));
}

TEST_F(PortStreamsTest, without_a_shard_stun_is_refused) {
  run([&] {
    PortClient client(server_);
    client.send(std::string("\x00\x01\x00\x00\x21\x12\xA4\x42twelve-bytes", 20));
    EXPECT_EQ(client.receive(), "");
  });
  EXPECT_EQ(refused("STUN", Errc::protocol_not_supported), 1U);
}

}  // namespace
}  // namespace dig::net
