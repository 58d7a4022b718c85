// SPDX-License-Identifier: Apache-2.0
#include "proto/http/request_head.hpp"

#include <gtest/gtest.h>

namespace dig::http {
namespace {

constexpr Instant k_start{1000s};

// What became of a request, and how many of its bytes were taken.
struct Read {
  std::optional<std::expected<RequestHead, Refusal>> result;
  std::size_t taken = 0;
};
Read read(std::string_view text, std::size_t piece = ~std::size_t{0}) {
  RequestReader reader(k_start);
  Read out;
  for (BytesView rest = as_bytes(text); !rest.empty() && !reader.result();) {
    const std::size_t size = std::min(piece, rest.size());
    out.taken += reader.handle_bytes(rest.first(size));
    rest = rest.subspan(size);
  }
  out.result = reader.result();
  return out;
}
RequestHead accepted(std::string_view text) {
  const Read out = read(text);
  EXPECT_TRUE(out.result && *out.result) << text;
  return out.result && *out.result ? **out.result : RequestHead{};
}
// The status that refuses the request; 0 when it is not refused.
int refusal(std::string_view text) {
  const Read whole = read(text);
  const Read bytewise = read(text, 1);
  const auto status = [](const Read& one) { return one.result && !*one.result ? one.result->error().status : 0; };
  EXPECT_EQ(status(whole), status(bytewise)) << text;
  return status(whole);
}
std::string get(std::string_view lines) {
  return "GET / HTTP/1.1\r\nHost: a.example\r\n" + std::string(lines) + "\r\n";
}
std::string get_target(std::string_view target) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a.example\r\n\r\n";
}
std::string of_host(std::string_view host) { return "GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"; }

TEST(HttpRequest, IsReadUpToItsEmptyLine) {
  const std::string text = "GET /metrics?all=1 HTTP/1.1\r\nHost: A.Example:8080\r\nAccept: */*\r\n\r\nbehind";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, text.size()}) {
    const Read out = read(text, piece);
    ASSERT_TRUE(out.result && *out.result);
    EXPECT_EQ(out.taken, text.size() - 6);
    EXPECT_EQ((*out.result)->path, "/metrics");
    EXPECT_EQ((*out.result)->host, "a.example");
    EXPECT_FALSE((*out.result)->is_head);
    EXPECT_EQ((*out.result)->fields.only("accept").value(), "*/*");
  }
}

TEST(HttpRequest, TakesNothingOnceItIsOver) {
  RequestReader reader(k_start);
  const std::string text = get("");
  EXPECT_EQ(reader.handle_bytes(as_bytes(text)), text.size());
  EXPECT_EQ(reader.handle_bytes(as_bytes("GET ")), 0u);
  EXPECT_FALSE(reader.next_timeout());
  reader.handle_eof();
  reader.handle_timeout(k_start + 1h);
  EXPECT_TRUE(*reader.result());
}

TEST(HttpRequest, KnowsHead) { EXPECT_TRUE(accepted("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").is_head); }

TEST(HttpRequest, AnsweredMethodsAreGetAndHead) {
  for (const char* method : {"POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}) {
    EXPECT_EQ(refusal(std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n"), 405) << method;
  }
  for (const char* method : {"get", "GETX", "PRI", "M-SEARCH", "G"}) {
    EXPECT_EQ(refusal(std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n"), 501) << method;
  }
  EXPECT_EQ(refusal("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
}

TEST(HttpRequest, RequestLinesHaveThreeParts) {
  for (const char* line :
       {"GET /", "GET", " / HTTP/1.1", "GET  HTTP/1.1", "GET / ", "GET /  HTTP/1.1", "G@T / HTTP/1.1",
        "GET / x HTTP/1.1", "GET /\tHTTP/1.1", "GET / http/1.1", "GET / FTP/1.1"}) {
    EXPECT_EQ(refusal(std::string(line) + "\r\nHost: a\r\n\r\n"), 400) << line;
  }
}

TEST(HttpRequest, ReadsHttp10AsItReadsHttp11) {
  const RequestHead old = accepted("GET /health HTTP/1.0\r\nHost: A.example:80\r\n\r\n");
  EXPECT_TRUE(old.is_http_1_0);
  EXPECT_EQ(old.path, "/health");
  EXPECT_EQ(old.host, "a.example");
  EXPECT_TRUE(accepted("HEAD / HTTP/1.0\r\nHost: a\r\n\r\n").is_head);
  EXPECT_FALSE(accepted(get("")).is_http_1_0);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\n\r\n"), 400) << "no Host";
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400) << "two";
  EXPECT_EQ(refusal("POST / HTTP/1.0\r\nHost: a\r\n\r\n"), 405);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\n"), 413);
}

TEST(HttpRequest, SpeaksNoOtherVersion) {
  for (const char* version : {"HTTP/0.9", "HTTP/1.00", "HTTP/2.0", "HTTP/1.10", "HTTP/1.2", "HTTP/"}) {
    EXPECT_EQ(refusal("GET / " + std::string(version) + "\r\nHost: a\r\n\r\n"), 505) << version;
  }
  EXPECT_EQ(refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
}

TEST(HttpRequest, TargetsArePaths) {
  EXPECT_EQ(accepted(get_target("/")).path, "/");
  EXPECT_EQ(accepted(get_target("/a/%2E%2e/b;c=d?x=/?&y")).path, "/a/%2E%2e/b;c=d") << "nothing is decoded";
  EXPECT_EQ(accepted(get_target("//evil/..%2f")).path, "//evil/..%2f");
  for (const char* target : {"http://evil/", "*", "a", "/a b", "/#x", "/%", "/%4", "/%zz", "/\x80", "/\"", "/<", "/\\",
                             "/|", "/^", "/`", "/{"}) {
    EXPECT_EQ(refusal(get_target(target)), 400) << target;
  }
  EXPECT_EQ(accepted(get_target("/" + std::string(2047, 'a'))).path.size(), 2048u);
  EXPECT_EQ(refusal(get_target("/" + std::string(2048, 'a'))), 414);
}

TEST(HttpRequest, GivesOutOneHost) {
  EXPECT_EQ(accepted(of_host("localhost")).host, "localhost");
  EXPECT_EQ(accepted(of_host("127.0.0.1:80")).host, "127.0.0.1");
  EXPECT_EQ(accepted(of_host("[2001:DB8::1]:443")).host, "[2001:db8::1]");
  EXPECT_EQ(accepted(of_host("[::1]")).host, "[::1]");
  EXPECT_EQ(accepted(of_host("localhost.")).host, "localhost.") << "not the same as without the dot";
  for (const char* host :
       {"",    " ",   ":80",  "a:",          "a:b", "a:65536", "a:080",  "a:80:80", "user@a", "a/b",
        "a,b", "a b", "[::1", "[127.0.0.1]", "[]",  "[::1]x",  "[::1]:", "::1",     "a\x80",  "http://a"}) {
    EXPECT_EQ(refusal(of_host(host)), 400) << host;
  }
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), 400) << "no Host";
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), 400) << "two";
  EXPECT_EQ(accepted(of_host(std::string(253, 'a'))).host.size(), 253u);
  EXPECT_EQ(refusal(of_host(std::string(254, 'a'))), 400);
}

TEST(HttpRequest, LinesAreStrict) {
  for (const char* lines :
       {"A : b\r\n", " folded\r\n", "A: b\r\n folded\r\n", "A: b\r\n\tfolded\r\n", "no colon\r\n", ": b\r\n",
        "A\xC3: b\r\n", "A: b\n", "A: b\r\r\n", "A: b\rc\r\n", "A: \x01\r\n", "A: \x7f\r\n", "A(: b\r\n"}) {
    EXPECT_EQ(refusal(get(lines)), 400) << lines;
  }
  EXPECT_EQ(refusal(get(std::string_view("A: \0\r\n", 7))), 400);
  EXPECT_EQ(refusal("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal("\n"), 400) << "at once";
  EXPECT_EQ(refusal("GET / HTTP/1.1\n"), 400) << "at once";
  EXPECT_EQ(accepted(get("A:\t b \t c\t \r\n")).fields.only("a").value(), "b \t c");
  EXPECT_EQ(accepted(get("A:\r\n")).fields.only("a").value(), "");
  EXPECT_EQ(accepted(get("A: \xC3\xA9\r\n")).fields.only("a").value(), "\xC3\xA9");
}

TEST(HttpRequest, ABodyIsRefusedInEveryForm) {
  EXPECT_EQ(refusal(get("Content-Length: 0\r\n")), 0);
  EXPECT_EQ(refusal(get("Content-Length: 5\r\n")), 413);
  EXPECT_EQ(refusal(get("Content-Length: 18446744073709551615\r\n")), 413);
  for (const char* length : {"5, 5", "0, 0", "+5", "-1", "5abc", "18446744073709551616", "", "00", "0x0"}) {
    EXPECT_EQ(refusal(get("Content-Length: " + std::string(length) + "\r\n")), 400) << length;
  }
  EXPECT_EQ(refusal(get("Content-Length: 0\r\nContent-Length: 0\r\n")), 400);
  for (const char* coding : {"chunked", "xchunked", "chunked, identity", "identity", ""}) {
    EXPECT_EQ(refusal(get("Transfer-Encoding: " + std::string(coding) + "\r\n")), 501) << coding;
  }
  EXPECT_EQ(refusal(get("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n")), 501);
  EXPECT_EQ(refusal(get("Expect: 100-continue\r\n")), 417);
}

TEST(HttpRequest, HeadsAreBounded) {
  std::string lines;
  for (int i = 1; i < 64; ++i) lines += "A: b\r\n";  // and Host
  EXPECT_EQ(accepted(get(lines)).fields.count("a"), 63u);
  EXPECT_EQ(refusal(get(lines + "A: b\r\n")), 431);
  const std::size_t others = get("A: \r\n").size();
  EXPECT_EQ(accepted(get("A: " + std::string(8192 - others, 'x') + "\r\n")).fields.count("a"), 1u);
  EXPECT_EQ(refusal(get("A: " + std::string(8192 - others + 1, 'x') + "\r\n")), 431);
  EXPECT_EQ(refusal(std::string(1'000'000, 'G')), 431);

  RequestReader endless(k_start);
  for (int i = 0; i < 100'000 && !endless.result(); ++i) (void)endless.handle_bytes(as_bytes("X-Endless: 1\r\n"));
  ASSERT_TRUE(endless.result());
  EXPECT_LE(endless.snapshot().buffered_bytes, 8192u);
}

TEST(HttpRequest, SlowOnesMeetTheDeadlineOfTheWhole) {
  RequestReader reader(k_start);
  const std::string text = get("A: and so on, a byte every now and then\r\n");
  Instant now = k_start;
  for (const char c : text.substr(0, text.size() - 1)) {
    (void)reader.handle_bytes(as_bytes(std::string_view(&c, 1)));
    now = now + 200ms;
    reader.handle_timeout(now);
    EXPECT_EQ(reader.result().has_value(), now >= k_start + 10s);
    if (reader.result()) break;
    EXPECT_EQ(reader.next_timeout(), k_start + 10s);
  }
  ASSERT_TRUE(reader.result() && !*reader.result());
  EXPECT_EQ(reader.result()->error().status, 408);
  EXPECT_EQ(reader.result()->error().error.code(), Errc::phase_timeout);
}

TEST(HttpRequest, TheEndCutsItOff) {
  RequestReader reader(k_start);
  (void)reader.handle_bytes(as_bytes("GET / HT"));
  reader.handle_eof();
  ASSERT_TRUE(reader.result() && !*reader.result());
  EXPECT_EQ(reader.result()->error().error.code(), Errc::connection_closed);
}

TEST(HttpRequest, FindsTokensInLists) {
  const Fields fields =
      accepted(get("Connection: keep-alive , UPGRADE\r\nConnection: x\r\nUpgrade: websocketx\r\n")).fields;
  EXPECT_TRUE(fields.has_token("connection", "upgrade"));
  EXPECT_TRUE(fields.has_token("connection", "keep-alive"));
  EXPECT_TRUE(fields.has_token("connection", "X"));
  EXPECT_FALSE(fields.has_token("connection", "keep"));
  EXPECT_FALSE(fields.has_token("upgrade", "websocket"));
  EXPECT_FALSE(fields.has_token("te", ""));
  EXPECT_EQ(fields.count("connection"), 2u);
  EXPECT_FALSE(fields.only("connection")) << "two are not one";
}

}  // namespace
}  // namespace dig::http
