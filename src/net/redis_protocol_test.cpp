// SPDX-License-Identifier: Apache-2.0
#include "net/redis_protocol.hpp"

#include <gtest/gtest.h>

namespace dig::net {
namespace {

TEST(RedisUrl, HasWhatItSaysAndDefaults) {
  const auto plain = RedisUrl::parse("redis://redis.example");
  ASSERT_TRUE(plain) << plain.error().message();
  EXPECT_EQ(plain->host, "redis.example");
  EXPECT_EQ(plain->port, 6379);
  EXPECT_EQ(plain->database, 0U);
  EXPECT_FALSE(plain->is_tls);
  EXPECT_TRUE(plain->user.empty() && plain->password.empty());
  const auto full = RedisUrl::parse("rediss://node:p%40ss@[2001:db8::1]:7000/3");
  ASSERT_TRUE(full) << full.error().message();
  EXPECT_EQ(full->host, "2001:db8::1");
  EXPECT_EQ(full->port, 7000);
  EXPECT_EQ(full->user, "node");
  EXPECT_EQ(full->password, "p@ss");
  EXPECT_EQ(full->database, 3U);
  EXPECT_TRUE(full->is_tls);
  EXPECT_EQ(RedisUrl::parse("redis://:secret@127.0.0.1/")->password, "secret");
}

TEST(RedisUrl, RefusesWhatItIsNotAndKeepsItsSecret) {
  for (const std::string text : {"", "redis://", "http://a", "127.0.0.1:6379", "redis://a:0", "redis://a:99999",
                                 "redis://:secret@a b/", "redis://:secret@a/x", "redis://:secret@a/99999999"}) {
    const auto url = RedisUrl::parse(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code(), Errc::bad_config) << text;
    EXPECT_EQ(url.error().message().find("secret"), std::string::npos) << text;
  }
}

TEST(RedisProtocol, ACommandIsAListOfItsWords) {
  EXPECT_EQ(as_text(redis_command({"SET", "a key", std::string("\0\r\n", 3)})),
            std::string_view("*3\r\n$3\r\nSET\r\n$5\r\na key\r\n$3\r\n\0\r\n\r\n", 33));
}

std::vector<Result<RedisReply>> read_all(std::string_view text, std::size_t step) {
  RedisReplyReader reader(1000);
  std::vector<Result<RedisReply>> replies;
  for (std::size_t at = 0; at < text.size(); at += step) {
    EXPECT_TRUE(reader.feed(as_bytes(text.substr(at, step))));
    for (;;) {
      auto reply = reader.next();
      EXPECT_TRUE(reply);
      if (!reply || !*reply) break;
      replies.push_back(**std::move(reply));
    }
  }
  return replies;
}

TEST(RedisProtocol, RepliesOfEveryKindInPiecesOfAnySize) {
  const std::string_view text =
      "+OK\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n$1\r\nx\r\n*1\r\n:1\r\n-ERR no\x01 such\r\n*0\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const auto replies = read_all(text, step);
    ASSERT_EQ(replies.size(), 7U) << step;
    EXPECT_EQ(*replies[0]->text(), "OK");
    EXPECT_EQ(replies[1]->number(), -7);
    EXPECT_EQ(*replies[2]->text(), "a\r\n");
    EXPECT_TRUE(std::holds_alternative<std::monostate>(replies[3]->value));
    ASSERT_EQ(replies[4]->list()->size(), 2U);
    EXPECT_EQ(*(*replies[4]->list())[0].text(), "x");
    EXPECT_EQ((*(*replies[4]->list())[1].list())[0].number(), 1);
    ASSERT_FALSE(replies[5]);
    EXPECT_EQ(replies[5].error().code(), Errc::redis_refused);
    EXPECT_EQ(replies[5].error().detail().find('\x01'), std::string::npos);
    EXPECT_TRUE(replies[6]->list()->empty());
  }
}

TEST(RedisProtocol, WhatIsNoReplyIsAnErrorAndStaysOne) {
  RedisReplyReader reader(1000);
  ASSERT_TRUE(reader.feed(as_bytes("HTTP/1.1 400 Bad Request\r\n\r\n")));
  EXPECT_EQ(reader.next().error().code(), Errc::malformed);
  EXPECT_EQ(reader.next().error().code(), Errc::malformed);
}

TEST(RedisProtocol, AReplyThatDoesNotEndIsCutOff) {
  RedisReplyReader reader(1000);
  ASSERT_TRUE(reader.feed(as_bytes("$100000\r\n")));
  ASSERT_TRUE(reader.next());
  ASSERT_TRUE(reader.feed(as_bytes(std::string(1000, 'x'))));
  EXPECT_EQ(reader.next().error().code(), Errc::oversized);
}

}  // namespace
}  // namespace dig::net
