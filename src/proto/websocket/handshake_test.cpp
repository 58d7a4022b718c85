// SPDX-License-Identifier: Apache-2.0
#include "proto/websocket/handshake.hpp"

#include <gtest/gtest.h>

namespace dig::websocket {
namespace {

constexpr std::string_view k_key = "dGhlIHNhbXBsZSBub25jZQ==";         // RFC 6455 §1.3
constexpr std::string_view k_accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";  // RFC 6455 §1.3

http::RequestHead request(std::string_view lines, std::string_view method = "GET") {
  const std::string text = std::string(method) + " / HTTP/1.1\r\nHost: a.example\r\n" + std::string(lines) + "\r\n";
  const auto head = http::parse_request_head(text, {});
  EXPECT_TRUE(head) << text;
  return head.value_or(http::RequestHead{});
}
std::string upgrade(std::string_view key = k_key, std::string_view version = "13") {
  return "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: " + std::string(key) +
         "\r\nSec-WebSocket-Version: " + std::string(version) + "\r\n";
}
int refusal(const http::RequestHead& head) {
  const auto key = key_of(head);
  return key ? 0 : key.error().status;
}
std::string answer(std::string_view lines, std::string_view status = "101 Switching Protocols") {
  return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(lines) + "\r\n";
}
std::string acceptance(std::string_view accept = k_accept) {
  return "Upgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: " + std::string(accept) + "\r\n";
}
std::optional<Errc> answer_error(std::string_view head) {
  const auto checked = check_answer(head, k_key, {});
  return checked ? std::nullopt : std::optional(checked.error().code());
}

TEST(WebsocketHandshake, AcceptsTheKeyOfTheRfc) {
  EXPECT_EQ(accept_of(k_key), k_accept);
  Bytes out;
  append_acceptance(out, k_key);
  EXPECT_EQ(
      as_text(out),
      answer("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + std::string(k_accept) + "\r\n"));
  EXPECT_FALSE(answer_error(as_text(out)));
}

// As browsers and Node.js ask: with extensions, which are passed over.
TEST(WebsocketHandshake, UnderstandsRequestsOfBrowsers) {
  const auto head = request(upgrade() +
                            "Origin: https://app.example\r\nSec-WebSocket-Extensions: permessage-deflate; "
                            "client_max_window_bits\r\nPragma: no-cache\r\nUser-Agent: x\r\n");
  EXPECT_TRUE(asks_for_websocket(head));
  EXPECT_EQ(key_of(head).value(), k_key);
}

TEST(WebsocketHandshake, OfHttp10NobodyAsksForIt) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n" + upgrade() + "\r\n";
  EXPECT_TRUE(asks_for_websocket(http::parse_request_head(text, {}).value()));
  text.replace(text.find("/1.1"), 4, "/1.0");
  const auto old = http::parse_request_head(text, {});
  ASSERT_TRUE(old);
  EXPECT_FALSE(asks_for_websocket(*old));
  EXPECT_EQ(refusal(*old), 426);
}

TEST(WebsocketHandshake, TellsPagesFromWebsockets) {
  EXPECT_FALSE(asks_for_websocket(request("")));
  EXPECT_FALSE(asks_for_websocket(request("Upgrade: websocket\r\n")));
  EXPECT_FALSE(asks_for_websocket(request("Connection: upgrade\r\n")));
  EXPECT_FALSE(asks_for_websocket(request("Upgrade: h2c\r\nConnection: upgrade\r\n")));
  EXPECT_TRUE(asks_for_websocket(request("Upgrade: h2c, WebSocket\r\nConnection: UPGRADE\r\n")));
  EXPECT_EQ(refusal(request("")), 426);
}

TEST(WebsocketHandshake, RefusesRequestsByName) {
  EXPECT_EQ(refusal(request(upgrade())), 0);
  EXPECT_EQ(refusal(request(upgrade(), "HEAD")), 405);
  for (const char* version : {"8", "0", "", "013", "13, 8", "14"}) {
    EXPECT_EQ(refusal(request(upgrade(k_key, version))), 426) << version;
  }
  EXPECT_EQ(refusal(request(upgrade() + "Sec-WebSocket-Version: 13\r\n")), 426) << "twice";
  for (const char* key : {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j",
                          "dGhlIHNhbXBsZSBub25jZR==", "not base64!!", "dGhlIHNhbXBsZSBub25jZXM="}) {
    EXPECT_EQ(refusal(request(upgrade(key))), 400) << key;
  }
  EXPECT_EQ(refusal(request(upgrade() + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")), 400) << "twice";
}

TEST(WebsocketHandshake, OurRequestIsOneThatWeAccept) {
  SeededRng rng(1);
  const std::string key = make_key(rng);
  EXPECT_NE(make_key(rng), key);
  Bytes out;
  append_request(out, "[2001:db8::1]:8080", key);
  const auto head = http::parse_request_head(as_text(out), {});
  ASSERT_TRUE(head);
  EXPECT_EQ(head->path, "/");
  EXPECT_EQ(head->host, "[2001:db8::1]");
  EXPECT_EQ(key_of(*head).value(), key);
}

TEST(WebsocketHandshake, RefusesAnswersThatAcceptSomethingElse) {
  EXPECT_FALSE(answer_error(answer(acceptance())));
  EXPECT_EQ(answer_error(answer(acceptance(), "200 OK")), Errc::protocol_not_supported);
  EXPECT_EQ(answer_error(answer("", "404 Not Found")), Errc::protocol_not_supported);
  EXPECT_EQ(answer_error(answer("")), Errc::protocol_not_supported);
  EXPECT_EQ(answer_error(answer(acceptance(accept_of("dGhlIHNhbXBsZSBub25jZXM=")))), Errc::protocol_not_supported);
  EXPECT_EQ(answer_error(answer(acceptance("S3PPLMBITXAQ9KYGZZHZRBK+XOO="))), Errc::protocol_not_supported)
      << "the case";
  EXPECT_EQ(answer_error(answer(acceptance() + "Sec-WebSocket-Accept: " + std::string(k_accept) + "\r\n")),
            Errc::protocol_not_supported)
      << "twice";
  EXPECT_EQ(answer_error(answer("Upgrade: websocket\r\nSec-WebSocket-Accept: " + std::string(k_accept) + "\r\n")),
            Errc::protocol_not_supported)
      << "no Connection";
  EXPECT_EQ(answer_error(answer("Connection: upgrade\r\nSec-WebSocket-Accept: " + std::string(k_accept) + "\r\n")),
            Errc::protocol_not_supported)
      << "no Upgrade";
  EXPECT_EQ(answer_error(answer(acceptance() + "Sec-WebSocket-Extensions: permessage-deflate\r\n")),
            Errc::protocol_violation);
  EXPECT_EQ(answer_error(answer(acceptance() + "Sec-WebSocket-Protocol: chat\r\n")), Errc::protocol_violation);
  EXPECT_EQ(answer_error("\x13/multistream/1.0.0\n\r\n\r\n"), Errc::protocol_not_supported);
}

}  // namespace
}  // namespace dig::websocket
