// SPDX-License-Identifier: Apache-2.0
#include "net/http_response.hpp"

#include <gtest/gtest.h>

namespace dig::net {
namespace {

BytesView bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string text_of(BytesView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

HttpResponseReader reader(HttpResponseReader::Limits limits = {}) {
  return {HttpResponseReader::Body::expected, limits};
}

TEST(HttpResponseTest, IsReadWhereverItIsCut) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    auto one = reader();
    ASSERT_TRUE(one.put(bytes_of(text.substr(0, cut)))) << cut;
    ASSERT_TRUE(one.put(bytes_of(text.substr(cut)))) << cut;
    ASSERT_TRUE(one.is_complete()) << cut;
    EXPECT_EQ(one.status(), 200U);
    EXPECT_EQ(one.take_body(), "hello");
  }
  auto bytewise = reader();
  for (const char c : text) ASSERT_TRUE(bytewise.put(bytes_of({&c, 1})));
  EXPECT_TRUE(bytewise.is_complete());
}

TEST(HttpResponseTest, TakesChunksAndABodyThatEndsWithTheConnection) {
  auto chunked = reader();
  ASSERT_TRUE(chunked.put(
      bytes_of("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")));
  ASSERT_TRUE(chunked.is_complete());
  EXPECT_EQ(chunked.take_body(), "abcde");

  auto open = reader();
  ASSERT_TRUE(open.put(bytes_of("HTTP/1.0 200 OK\r\n\r\nabc")));
  EXPECT_FALSE(open.is_complete());
  ASSERT_TRUE(open.put_end());
  EXPECT_EQ(open.take_body(), "abc");
}

TEST(HttpResponseTest, OfConnectLeavesWhatFollowsTheHead) {
  HttpResponseReader tunnel(HttpResponseReader::Body::none, {});
  const auto rest = tunnel.put(bytes_of("HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\nserver!"));
  ASSERT_TRUE(rest);
  EXPECT_TRUE(tunnel.is_complete());
  EXPECT_EQ(text_of(*rest), "server!");
}

TEST(HttpResponseTest, RefusesWhatIsNotHttpOrTooLarge) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: ";
  const struct {
    std::string text;
    Errc code;
  } rows[] = {
      {"SSH-2.0-OpenSSH_9.2\r\n", Errc::malformed},
      {"HTTP/1.1 abc\r\n\r\n", Errc::malformed},
      {head + "-1\r\n\r\n", Errc::malformed},
      {head + "18446744073709551616\r\n\r\n", Errc::malformed},
      {head + "65537\r\n\r\n", Errc::oversized},
      {"HTTP/1.1 200 OK\r\nX: " + std::string(8200, 'a') + "\r\n\r\n", Errc::oversized},
      {"HTTP/1.1 200 " + std::string(9000, 'a'), Errc::oversized},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Errc::malformed},
  };
  for (const auto& row : rows) {
    auto one = reader();
    const auto taken = one.put(bytes_of(row.text));
    ASSERT_FALSE(taken) << row.text.substr(0, 60);
    EXPECT_EQ(taken.error().code(), row.code) << row.text.substr(0, 60) << taken.error().message();
  }
  auto many = reader({.max_head = 8192, .max_body = 100});
  Result<BytesView> taken = many.put(bytes_of("HTTP/1.1 200 OK\r\n\r\n"));
  for (int i = 0; i < 11 && taken; ++i) taken = many.put(bytes_of("0123456789"));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), Errc::oversized);
}

TEST(HttpResponseTest, InterimOnesComeBeforeTheRealOne) {
  const std::string interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  auto one = reader();
  ASSERT_TRUE(one.put(bytes_of("HTTP/1.1 100 Continue\r\n\r\n" + interim)));
  EXPECT_FALSE(one.is_complete());
  ASSERT_TRUE(one.put(bytes_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")));
  ASSERT_TRUE(one.is_complete());
  EXPECT_EQ(one.status(), 200U);
  EXPECT_EQ(one.take_body(), "ok");

  auto endless = reader();
  Result<BytesView> taken = BytesView{};
  for (int i = 0; i < 5 && taken; ++i) taken = endless.put(bytes_of(interim));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), Errc::malformed);
}

TEST(HttpResponseTest, IsTruncatedWhenItEndsEarly) {
  for (const std::string_view text : {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"}) {
    auto one = reader();
    ASSERT_TRUE(one.put(bytes_of(text)));
    const auto end = one.put_end();
    ASSERT_FALSE(end) << text;
    EXPECT_EQ(end.error().code(), Errc::truncated);
  }
}

}  // namespace
}  // namespace dig::net
