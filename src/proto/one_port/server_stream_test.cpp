// SPDX-License-Identifier: Apache-2.0
#include "proto/one_port/server_stream.hpp"

#include <gtest/gtest.h>

#include "crypto/testing/tls_pair.hpp"
#include "proto/http/response_head.hpp"

namespace dig::one_port {
namespace {

using crypto::testing::k_test_wall;

constexpr Instant k_start{1000s};
const std::string k_multistream = "\x13/multistream/1.0.0\n\x07/noise\n";
const std::string k_stun(
    "\x00\x01\x00\x00\x21\x12\xA4\x42"
    "0123456789ab",
    20);
const std::string k_get = "GET /health HTTP/1.1\r\nHost: a.example\r\n\r\n";

const std::shared_ptr<const crypto::TlsContext>& server_context() {
  static const auto context = [] {
    crypto::TlsConfig config = crypto::testing::server_config();
    config.alpn = alpn_names();
    return crypto::testing::make_context(crypto::TlsTransport::stream, config);
  }();
  return context;
}
std::shared_ptr<const crypto::TlsContext> client_context(std::vector<std::string> alpn) {
  crypto::TlsConfig config = crypto::testing::client_config();
  config.alpn = std::move(alpn);
  return crypto::testing::make_context(crypto::TlsTransport::stream, config);
}

enum class Dial : std::uint8_t { plain, tls, websocket, secure_websocket };

// A client and the server's end, with a wire between them. Both owners read what comes; the server's echoes if told to.
struct Pair {
  explicit Pair(Dial dial, std::vector<std::string> alpn = {}, const ServerStreamLimits& limits = {})
      : server(server_context(), k_start, k_test_wall, limits), client(limits.plain) {
    if (dial == Dial::tls || dial == Dial::secure_websocket) {
      client.add(k_start, crypto::TlsSession::connect(client_context(std::move(alpn)), {.server_name = "turn.example"},
                                                      k_start, k_test_wall)
                              .value());
    }
    if (dial == Dial::websocket || dial == Dial::secure_websocket) {
      client.add(k_start, websocket::Session::connect(k_start, "turn.example", masks));
    }
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void say(std::string_view text) { append(to_say, as_bytes(text)); }
  // Moves at most `size` bytes each way and lets both owners act; returns whether anything happened.
  bool step(std::size_t size = 100'000) {
    const std::size_t before = moved;
    if (const auto taken = client.write(to_say)) {
      to_say.erase(to_say.begin(), to_say.begin() + static_cast<std::ptrdiff_t>(*taken));
      moved += *taken;
    }
    Bytes wire(size);
    wire.resize(server.wants_bytes() ? client.poll_bytes(k_start, wire) : 0);
    server.handle_bytes(k_start, wire);
    moved += wire.size();
    act_server();
    wire.resize(size);
    wire.resize(client.wants_bytes() ? server.poll_bytes(k_start, wire) : 0);
    client.handle_bytes(k_start, wire);
    moved += wire.size();
    act_client();
    return moved > before;
  }
  void run(std::size_t size = 100'000) {
    for (int i = 0; i < 100'000 && step(size); ++i) {
    }
  }
  void act_server() {
    while (const auto event = server.poll_event()) {
      EXPECT_FALSE(server_closed) << "Closed is the last event";
      if (const auto* what = std::get_if<Identified>(&*event)) identified = *what;
      is_told |= std::holds_alternative<Readable>(*event);
      EXPECT_TRUE(identified || std::holds_alternative<Closed>(*event));
      if (const auto* closed = std::get_if<Closed>(&*event)) server_closed = *closed;
    }
    Bytes buffer(3000);
    while (std::exchange(is_told, false)) {
      const auto got = server.read(k_start, buffer);
      is_told = got && got->size > 0;  // until there is less than there was room for
      if (!is_told) break;
      append(server_read, BytesView(buffer).first(got->size));
      if (echoes) append(to_echo, BytesView(buffer).first(got->size));
    }
    if (to_echo.empty()) return;
    const std::size_t taken = server.write(to_echo).value_or(0);
    to_echo.erase(to_echo.begin(), to_echo.begin() + static_cast<std::ptrdiff_t>(taken));
    moved += taken;
  }
  void act_client() {
    while (const auto event = client.poll_event()) {
      EXPECT_FALSE(client_closed) << "Closed is the last event";
      is_open |= std::holds_alternative<Opened>(*event);
      if (const auto* closed = std::get_if<Closed>(&*event)) client_closed = *closed;
    }
    Bytes buffer(3000);
    for (;;) {
      const auto got = client.read(k_start, buffer);
      if (!got || got->size == 0) break;
      append(client_read, BytesView(buffer).first(got->size));
    }
  }

  SeededRng masks{7};
  ServerStream server;
  StreamLayers client;
  Bytes to_say;
  Bytes to_echo;
  bool echoes = false;
  bool is_told = false;  // that there is something to read
  bool is_open = false;
  std::size_t moved = 0;
  std::optional<Identified> identified;
  std::optional<Closed> server_closed;
  std::optional<Closed> client_closed;
  Bytes server_read;
  Bytes client_read;
};

// --- what is spoken -------------------------------------------------------------------------------------------------

struct Case {
  Dial dial;
  std::string says;
  Application application;
  std::vector<std::string> alpn{};
};
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {Dial::plain, k_multistream, Application::libp2p},
      {Dial::plain, k_stun, Application::stun},
      {Dial::plain, k_get, Application::page},
      {Dial::websocket, k_multistream, Application::libp2p},
      {Dial::tls, k_multistream, Application::libp2p},
      {Dial::tls, k_stun, Application::stun},
      {Dial::tls, k_get, Application::page},
      {Dial::secure_websocket, k_multistream, Application::libp2p},
      {Dial::tls, k_multistream, Application::libp2p, {"libp2p"}},
      {Dial::tls, k_stun, Application::stun, {"stun.turn"}},
      {Dial::tls, k_stun, Application::stun, {"stun.nat-discovery"}},
      {Dial::tls, k_get, Application::page, {"h2", "http/1.1"}},
      {Dial::secure_websocket, k_multistream, Application::libp2p, {"http/1.1"}},
  };
  return all;
}

TEST(ServerStream, FindsOutWhatIsSpokenAndLosesNothing) {
  for (std::size_t i = 0; i < cases().size(); ++i) {
    const Case& one = cases()[i];
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100'000}}) {
      Pair pair(one.dial, one.alpn);
      pair.say(one.says + "and more");
      pair.run(piece);
      ASSERT_TRUE(pair.identified) << i << " " << piece;
      EXPECT_TRUE(pair.is_open) << i;
      EXPECT_EQ(pair.identified->application, one.application) << i;
      EXPECT_EQ(pair.identified->is_tls, one.dial == Dial::tls || one.dial == Dial::secure_websocket) << i;
      EXPECT_EQ(pair.identified->is_websocket, one.dial == Dial::websocket || one.dial == Dial::secure_websocket) << i;
      const bool is_page = one.application == Application::page;
      EXPECT_EQ(pair.identified->request.has_value(), is_page);
      EXPECT_EQ(as_text(pair.server_read), is_page ? "and more" : one.says + "and more") << i << " " << piece;
      EXPECT_EQ(pair.server.snapshot().phase, "open");
      EXPECT_FALSE(pair.server.next_timeout()) << "no deadline once it is open";
    }
  }
}

TEST(ServerStream, CarriesBothWaysHoweverItIsCut) {
  SeededRng rng(5);
  for (const Case& one : cases()) {
    if (one.application == Application::page) continue;
    Pair pair(one.dial, one.alpn);
    pair.echoes = true;
    Bytes text = to_bytes(one.says);
    text.resize(text.size() + 300'000);
    rng.fill(MutableBytes(text).subspan(one.says.size()));
    pair.to_say = text;
    for (int i = 0; i < 100'000 && pair.client_read.size() < text.size(); ++i) (void)pair.step(1 + rng.below(20'000));
    EXPECT_EQ(pair.client_read, text);
    pair.client.close(k_start);
    pair.act_client();
    pair.run();
    if (one.dial != Dial::plain) {
      ASSERT_TRUE(pair.server_closed);
      EXPECT_TRUE(pair.server_closed->is_clean) << pair.server_closed->error.message();
    }
    EXPECT_TRUE(pair.client_closed);
    EXPECT_FALSE(pair.client.wants_bytes()) << "every layer is closed";
  }
}

TEST(ServerStream, AnswersAPageAndCloses) {
  for (const Dial dial : {Dial::plain, Dial::tls}) {
    Pair pair(dial);
    pair.say(k_get);
    pair.run();
    ASSERT_TRUE(pair.identified && pair.identified->request);
    EXPECT_EQ(pair.identified->request->path, "/health");
    EXPECT_EQ(pair.identified->request->host, "a.example");
    Bytes page;
    http::append_page(page, {.body = "well"}, false);
    EXPECT_EQ(pair.server.write(page).value(), page.size());
    pair.server.close(k_start);
    pair.run();
    EXPECT_EQ(pair.client_read, page);
    EXPECT_TRUE(pair.server_closed->is_clean);
  }
}

TEST(ServerStream, TheServerMayCloseFirst) {
  Pair pair(Dial::secure_websocket);
  pair.say(k_multistream);
  pair.run();
  EXPECT_TRUE(pair.server.write(as_bytes("last words")));
  pair.server.close(k_start);
  pair.run();
  EXPECT_EQ(as_text(pair.client_read), "last words");
  ASSERT_TRUE(pair.client_closed && pair.server_closed);
  EXPECT_TRUE(pair.client_closed->is_clean) << pair.client_closed->error.message();
}

// --- refusals -------------------------------------------------------------------------------------------------------

std::string refusal(std::string_view bytes, std::shared_ptr<const crypto::TlsContext> tls = server_context()) {
  ServerStream stream(std::move(tls), k_start, k_test_wall);
  stream.handle_bytes(k_start, as_bytes(bytes));
  const auto event = stream.poll_event();
  if (!event || !std::holds_alternative<Closed>(*event)) return "not refused";
  EXPECT_FALSE(stream.wants_bytes());
  EXPECT_FALSE(stream.next_timeout());
  EXPECT_EQ(stream.snapshot().phase, "over");
  stream.handle_bytes(k_start, as_bytes("more"));
  stream.handle_eof(k_start);
  stream.handle_timeout(k_start + 1h);
  EXPECT_FALSE(stream.poll_event());
  const Closed closed = std::get<Closed>(*event);
  EXPECT_FALSE(closed.is_clean);
  Bytes out(2000);
  out.resize(stream.poll_bytes(k_start, out));
  return std::string(as_text(out).substr(0, as_text(out).find("\r\n"))) + "|" + closed.error.detail();
}

TEST(ServerStream, RefusesByName) {
  EXPECT_EQ(refusal("SSH-2.0-OpenSSH\r\n"), "|SSH");
  EXPECT_EQ(refusal("\x40"), "|ChannelData or text before anything was agreed on");
  EXPECT_EQ(refusal(std::string("\x16\x03\x01", 3), nullptr), "|TLS, for which there is no certificate here");
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 Bad Request|a request needs one Host");
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "HTTP/1.1 405 Method Not Allowed|a method of HTTP that is not served here");
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
            "HTTP/1.1 426 Upgrade Required|version 13 of WebSocket is spoken here");
  EXPECT_EQ(refusal("GET / HTTP/1.1\n"), "HTTP/1.1 400 Bad Request|a line of HTTP ends with CR LF");
  EXPECT_NE(refusal(std::string("\x16\x03\x01\x00\x05hello", 10)).find("|"), std::string::npos);
}

TEST(ServerStream, RefusesInsideTlsToo) {
  const auto inside = [](std::string_view text) {
    Pair pair(Dial::tls);
    pair.say(text);
    pair.run();
    EXPECT_FALSE(pair.identified);
    EXPECT_TRUE(pair.client_closed) << "and TLS is ended in order";
    return pair.server_closed ? pair.server_closed->error.detail() : "not refused";
  };
  EXPECT_EQ(inside("SSH-2.0-OpenSSH\r\n"), "SSH");
  EXPECT_EQ(inside(std::string("\x16\x03\x01", 3)), "TLS inside TLS");
  EXPECT_EQ(inside("GET / HTTP/1.1\r\n\r\n"), "a request needs one Host");
}

TEST(ServerStream, AnAlpnNameThatDoesNotKeepItsPromiseIsForTheApplicationToRefuse) {
  Pair pair(Dial::tls, {"stun.turn"});
  pair.say("SSH-2.0-OpenSSH\r\n");
  pair.run();
  EXPECT_EQ(pair.identified.value().application, Application::stun);
  EXPECT_EQ(as_text(pair.server_read), "SSH-2.0-OpenSSH\r\n");
}

// --- the slow and the silent ----------------------------------------------------------------------------------------

// What ends a connection on which the client stops after `text`, and when.
std::pair<std::string, Duration> waited_for(ServerStream& stream) {
  Instant now = k_start;
  for (int i = 0; i < 100; ++i) {
    while (const auto event = stream.poll_event()) {
      if (const auto* closed = std::get_if<Closed>(&*event)) return {closed->error.message(), now - k_start};
    }
    const auto next = stream.next_timeout();
    if (!next) return {"never", {}};
    now = std::max(now, *next);
    stream.handle_timeout(now);
  }
  return {"spins", {}};
}

TEST(ServerStream, DoesNotWaitForTheSilent) {
  const auto silent_after = [](std::string_view text) {
    ServerStream stream(server_context(), k_start, k_test_wall);
    stream.handle_bytes(k_start, as_bytes(text));
    return waited_for(stream);
  };
  const auto because = [](std::string_view phase) { return Error(Errc::phase_timeout, phase).message(); };
  EXPECT_EQ(silent_after(""), std::pair(because("first bytes"), Duration(15s)));
  EXPECT_EQ(silent_after("GE"), std::pair(because("first bytes"), Duration(15s)));
  EXPECT_EQ(silent_after("GET / HTTP/1.1\r\n"), std::pair(because("HTTP"), Duration(15s)));
  EXPECT_EQ(silent_after(std::string("\x16\x03\x01\x02", 4)).second, Duration(10s)) << "the handshake of TLS";

  Pair pair(Dial::tls);  // a handshake, and then nothing
  pair.run();
  EXPECT_EQ(pair.server.snapshot().phase, "first bytes inside TLS");
  EXPECT_EQ(waited_for(pair.server), std::pair(because("first bytes inside TLS"), Duration(15s)));
}

TEST(ServerStream, SlowHeadersAreAnswered) {
  ServerStream stream(server_context(), k_start, k_test_wall);
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  stream.handle_bytes(k_start, as_bytes(head));
  Instant now = k_start;
  for (int i = 0; i < 14; ++i) {  // a header a second
    now = now + 1s;
    stream.handle_timeout(now);
    stream.handle_bytes(now, as_bytes("X-Slow: 1\r\n"));
    ASSERT_FALSE(stream.poll_event());
  }
  stream.handle_timeout(k_start + 15s);
  EXPECT_EQ(std::get<Closed>(stream.poll_event().value()).error.code(), Errc::phase_timeout);
  Bytes out(2000);
  out.resize(stream.poll_bytes(now, out));
  EXPECT_TRUE(as_text(out).starts_with("HTTP/1.1 408 Request Timeout\r\n"));
}

TEST(ServerStream, EndlessHeadersAreCut) {
  ServerStream stream(server_context(), k_start, k_test_wall);
  stream.handle_bytes(k_start, as_bytes("GET / HTTP/1.1\r\nHost: a\r\n"));
  std::size_t given = 0;
  while (stream.wants_bytes() && given < 1'000'000) {
    stream.handle_bytes(k_start, as_bytes("X-Endless: 1\r\n"));
    given += 14;
  }
  EXPECT_LT(given, 9000u);
  EXPECT_EQ(std::get<Closed>(stream.poll_event().value()).error.code(), Errc::oversized);
}

TEST(ServerStream, PushesBackOnWhoSendsBeforeAnybodyReads) {
  const ServerStreamLimits limits{.plain = {.max_input = 1000, .max_input_excess = 500}};
  ServerStream stream(server_context(), k_start, k_test_wall, limits);
  stream.handle_bytes(k_start, as_bytes(k_multistream));
  while (stream.wants_bytes()) stream.handle_bytes(k_start, Bytes(100));
  EXPECT_TRUE(std::holds_alternative<Identified>(stream.poll_event().value()));
  stream.handle_bytes(k_start, Bytes(1500));
  std::optional<Closed> closed;
  while (const auto event = stream.poll_event()) {
    if (const auto* found = std::get_if<Closed>(&*event)) closed = *found;
  }
  EXPECT_EQ(closed.value().error.code(), Errc::flood);
}

TEST(ServerStream, AnEndIsToldWithItsReason) {
  ServerStream silent(server_context(), k_start, k_test_wall);
  silent.handle_eof(k_start);
  EXPECT_EQ(std::get<Closed>(silent.poll_event().value()).error.code(), Errc::connection_closed);

  Pair cut(Dial::secure_websocket);
  cut.say(k_multistream);
  cut.run();
  cut.server.handle_eof(k_start);
  cut.act_server();
  EXPECT_EQ(cut.server_closed.value().error.code(), Errc::tls_truncated) << "not just an end of the WebSocket";
  EXPECT_FALSE(cut.server_closed.value().is_clean);
}

TEST(ServerStream, GarbageInEveryPhaseEndsIt) {
  SeededRng rng(3);
  for (int i = 0; i < 300; ++i) {
    Pair pair(static_cast<Dial>(rng.below(4)));
    pair.say(k_multistream);
    for (std::uint64_t steps = rng.below(6); steps > 0; --steps) (void)pair.step(1 + rng.below(400));
    Bytes garbage(1 + rng.below(3000));
    rng.fill(garbage);
    pair.server.handle_bytes(k_start, garbage);
    pair.act_server();
    pair.server.handle_eof(k_start);
    pair.act_server();
    EXPECT_TRUE(pair.server_closed) << i;
  }
}

}  // namespace
}  // namespace dig::one_port
