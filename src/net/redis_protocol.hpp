// SPDX-License-Identifier: Apache-2.0
// What is said to and by a Redis server (RESP, by hiredis), as values. Transport and deadlines: net/redis_client.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

struct redisReader;

namespace dig::net {

// redis://[[user]:password@]host[:port][/database], or rediss:// for TLS.
struct RedisUrl {
  std::string host;
  std::uint16_t port = 6379;
  std::string user;
  std::string password;
  std::uint32_t database = 0;
  bool is_tls = false;

  // bad_config; the message does not hold the text, which may have a password in it.
  [[nodiscard]] static Result<RedisUrl> parse(std::string_view text);
};

struct RedisReply {
  using List = std::vector<RedisReply>;
  std::variant<std::monostate, std::string, std::int64_t, List> value;  // nothing: Redis' nil

  [[nodiscard]] const std::string* text() const noexcept { return std::get_if<std::string>(&value); }
  [[nodiscard]] const List* list() const noexcept { return std::get_if<List>(&value); }
  [[nodiscard]] std::optional<std::int64_t> number() const noexcept;
};

[[nodiscard]] Bytes redis_command(const std::vector<std::string>& words);

// Finds the replies in a stream of bytes.
class RedisReplyReader {
 public:
  // `max_reply`: bytes of one reply.
  explicit RedisReplyReader(std::size_t max_reply);
  ~RedisReplyReader();
  RedisReplyReader(const RedisReplyReader&) = delete;
  RedisReplyReader& operator=(const RedisReplyReader&) = delete;

  // Errors are final: malformed, oversized.
  [[nodiscard]] Result<void> feed(BytesView bytes);
  // The next reply that is here as a whole; redis_refused inside of it is what the server says of that command. Errors
  // of the outer result are final: malformed, oversized.
  [[nodiscard]] Result<std::optional<Result<RedisReply>>> next();

 private:
  struct Free {
    void operator()(redisReader* reader) const noexcept;
  };
  std::unique_ptr<redisReader, Free> reader_;
  std::size_t max_reply_;
  std::size_t waiting_ = 0;  // fed since the last whole reply
};

}  // namespace dig::net
