// SPDX-License-Identifier: Apache-2.0
#include "proto/http/response_head.hpp"

#include <gtest/gtest.h>

namespace dig::http {
namespace {

std::string page(const Page& content, bool is_head) {
  Bytes out;
  append_page(out, content, is_head);
  return std::string(as_text(out));
}

TEST(HttpResponse, APageClosesTheConnectionAndIsKeptByNobody) {
  const std::string text = page({.content_type = "text/html", .body = "<p>well"}, false);
  const std::size_t body = text.find("\r\n\r\n") + 4;
  EXPECT_EQ(text.substr(body), "<p>well");
  const auto head = parse_response_head(text.substr(0, body), HeadLimits{});
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->fields.only("content-length").value(), "7");
  EXPECT_EQ(head->fields.only("content-type").value(), "text/html");
  EXPECT_EQ(head->fields.only("connection").value(), "close");
  EXPECT_EQ(head->fields.only("cache-control").value(), "no-store");
  EXPECT_EQ(head->fields.only("x-content-type-options").value(), "nosniff");
  EXPECT_EQ(head->fields.count("allow"), 0u);
}

TEST(HttpResponse, HeadHasTheLengthOfWhatItLeavesOut) {
  const Page content{.status = 404, .body = "nothing here"};
  const std::string whole = page(content, false);
  EXPECT_EQ(page(content, true), whole.substr(0, whole.size() - 12));
}

TEST(HttpResponse, EveryStatusThatRefusesARequestHasItsPhrase) {
  for (const auto status :
       std::initializer_list<std::uint16_t>{400, 403, 404, 405, 408, 413, 414, 417, 421, 426, 431, 501, 503, 505}) {
    EXPECT_FALSE(reason_of(status).empty()) << status;
  }
  EXPECT_TRUE(page({.status = 405}, false).starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_NE(page({.status = 405}, false).find("\r\nAllow: GET, HEAD\r\n"), std::string::npos);
  const std::string upgrade = page({.status = 426}, false);
  for (const char* line : {"Upgrade: websocket", "Sec-WebSocket-Version: 13", "Connection: close, upgrade"}) {
    EXPECT_NE(upgrade.find("\r\n" + std::string(line) + "\r\n"), std::string::npos) << line;
  }
}

TEST(HttpResponse, ARefusalSaysWhyInItsBody) {
  Bytes out;
  append_refusal(out, {.status = 414, .error = Error(Errc::oversized, "the target of a request")});
  EXPECT_TRUE(as_text(out).starts_with("HTTP/1.1 414 URI Too Long\r\n"));
  EXPECT_TRUE(as_text(out).ends_with(Error(Errc::oversized, "the target of a request").message() + "\n"));
}

TEST(HttpResponse, ReadsStatusAndFields) {
  const auto head = parse_response_head("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", HeadLimits{});
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 101);
  EXPECT_EQ(head->fields.only("upgrade").value(), "websocket");
  EXPECT_EQ(parse_response_head("HTTP/1.1 200\r\n\r\n", HeadLimits{}).value().status, 200) << "no phrase";
}

TEST(HttpResponse, RefusesOtherHeads) {
  for (const char* line :
       {"", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 99 x", "HTTP/1.1 600 x", "HTTP/1.1 2OO OK", "HTTP/1.1  200",
        "HTTP/1.0 101 x", "HTTP/2 101", "101", "http/1.1 101 x", "HTTP/1.1 0101 x"}) {
    EXPECT_FALSE(parse_response_head(std::string(line) + "\r\nA: b\r\n\r\n", HeadLimits{})) << line;
  }
  EXPECT_FALSE(parse_response_head("HTTP/1.1 101 x\r\nA : b\r\n\r\n", HeadLimits{}));
  EXPECT_FALSE(parse_response_head("HTTP/1.1 101 x\r\nA: b\r\nA: b\r\n\r\n", HeadLimits{.fields = 1}));
  EXPECT_FALSE(parse_response_head("HTTP/1.1 101 x\r\nA: b\r\n", HeadLimits{})) << "cut off";
}

}  // namespace
}  // namespace dig::http
