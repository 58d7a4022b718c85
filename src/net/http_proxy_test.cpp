// SPDX-License-Identifier: Apache-2.0
#include "net/http_proxy.hpp"

#include <gtest/gtest.h>

#include <array>

namespace dig::net {
namespace {

BytesView bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string request_of(HttpConnect& connect) {
  std::array<std::byte, 1024> buffer;
  const std::size_t size = connect.poll_bytes(buffer);
  return {reinterpret_cast<const char*>(buffer.data()), size};
}

TEST(HttpProxyTest, ParsesWhatTheVariablesHold) {
  const auto plain = HttpProxy::parse("http://Proxy.Example.org:3128");
  ASSERT_TRUE(plain) << plain.error().message();
  EXPECT_EQ(plain->host, "proxy.example.org");
  EXPECT_EQ(plain->port, 3128);
  EXPECT_TRUE(plain->authorization.empty());

  const auto with_login = HttpProxy::parse("http://alice:p%40ss@192.0.2.1/");
  ASSERT_TRUE(with_login) << with_login.error().message();
  EXPECT_EQ(with_login->host, "192.0.2.1");
  EXPECT_EQ(with_login->port, 8080);
  EXPECT_EQ(with_login->authorization, "alice:p@ss");

  EXPECT_EQ(HttpProxy::parse("proxy:8080")->host, "proxy");
  EXPECT_EQ(HttpProxy::parse("http://[2001:db8::1]:8080")->host, "2001:db8::1");
}

TEST(HttpProxyTest, RefusesWhatIsNoHttpProxy) {
  for (const std::string text : {"", "socks5://proxy:1080", "https://proxy:443", "http://", "http://proxy:0",
                                 "http://proxy:65536", "http://pro xy:1", "http://proxy:80\r\nX: y"}) {
    const auto proxy = HttpProxy::parse(text);
    ASSERT_FALSE(proxy) << text;
    EXPECT_EQ(proxy.error().code(), Errc::bad_config);
  }
  EXPECT_FALSE(HttpProxy::parse("http://" + std::string(2000, 'a')));
  const auto with_password = HttpProxy::parse("http://alice:pa#ss@proxy:8080");
  ASSERT_FALSE(with_password);
  EXPECT_EQ(with_password.error().message().find("pa#ss"), std::string::npos);
}

TEST(ProxyExceptionsTest, HoldForNamesAndWhatIsBelowThem) {
  const ProxyExceptions exceptions("localhost, .example.org,192.0.2.1");
  EXPECT_TRUE(exceptions.contains("LOCALHOST"));
  EXPECT_TRUE(exceptions.contains("example.org"));
  EXPECT_TRUE(exceptions.contains("turn.example.org"));
  EXPECT_TRUE(exceptions.contains("192.0.2.1"));
  EXPECT_FALSE(exceptions.contains("badexample.org"));
  EXPECT_FALSE(exceptions.contains("192.0.2.10"));
  EXPECT_FALSE(ProxyExceptions("").contains("example.org"));
  EXPECT_TRUE(ProxyExceptions("*").contains("anything"));
}

TEST(HttpConnectTest, AsksForTheServerAndOpens) {
  HttpConnect connect({.host = "proxy", .port = 8080, .authorization = "alice:secret"}, "turn.example.org", 443);
  EXPECT_EQ(request_of(connect),
            "CONNECT turn.example.org:443 HTTP/1.1\r\nHost: turn.example.org:443\r\n"
            "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n");
  EXPECT_EQ(request_of(connect), "");
  EXPECT_TRUE(connect.handle_bytes(bytes_of("HTTP/1.0 200 Connection es")));
  EXPECT_FALSE(connect.is_open());
  const auto rest = connect.handle_bytes(bytes_of("tablished\r\n\r\n\x16\x03"));
  ASSERT_TRUE(rest);
  EXPECT_TRUE(connect.is_open());
  EXPECT_EQ(rest->size(), 2U);

  HttpConnect v6({.host = "proxy", .port = 8080, .authorization = {}}, "2001:db8::1", 3478);
  EXPECT_EQ(request_of(v6), "CONNECT [2001:db8::1]:3478 HTTP/1.1\r\nHost: [2001:db8::1]:3478\r\n\r\n");
}

TEST(HttpConnectTest, SaysWhyTheProxyDoesNot) {
  const struct {
    std::string_view answer;
    Errc code;
  } rows[] = {{"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Errc::proxy_unauthorized},
              {"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!", Errc::proxy_refused},
              {"HTTP/1.1 502 Bad Gateway\r\n\r\n", Errc::proxy_refused},
              {"\x15\x03\x01 what", Errc::malformed}};
  for (const auto& row : rows) {
    HttpConnect connect({.host = "proxy", .port = 8080, .authorization = {}}, "turn.example.org", 443);
    const auto answer = connect.handle_bytes(bytes_of(row.answer));
    ASSERT_FALSE(answer) << row.answer;
    EXPECT_EQ(answer.error().code(), row.code) << row.answer;
  }
}

}  // namespace
}  // namespace dig::net
