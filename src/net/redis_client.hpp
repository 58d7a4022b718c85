// SPDX-License-Identifier: Apache-2.0
// A connection to one Redis server that is made again whenever it is lost. Commands are pipelined: answers come in the
// order of the commands. Nothing waits for a server that is gone: a command fails at once while there is no connection.
//
// Each command has a deadline. A server that lets it pass is taken for gone, since the answers behind it would come
// even later: the connection is dropped, and everything that waits on it fails.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <memory>

#include "base/rng.hpp"
#include "net/leg.hpp"
#include "net/redis_protocol.hpp"

namespace dig::net {

class RedisClient {
 public:
  struct Config {
    RedisUrl url;
    LegOptions leg{.open_timeout = 3s};  // with a TLS context for rediss://
    Duration command_timeout = 3s;
    Duration first_retry = 100ms;  // then twice as long each time, plus up to as much again at random
    Duration longest_retry = 3s;
    std::size_t max_waiting = 4096;  // commands
    std::size_t max_reply = std::size_t{16} << 20U;
  };
  // Up: the server has taken user, password and database. Down: with the reason, which is told again when it changes.
  using OnState = std::move_only_function<void(Result<void> up_or_why)>;
  using OnReply = std::move_only_function<void(Result<RedisReply>)>;

  // Everything is called from tasks of the loop; the client must not be destroyed inside them.
  RedisClient(Loop& loop, Resolver& resolver, Rng& rng, Config config, OnState on_state);
  ~RedisClient();
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;

  [[nodiscard]] bool is_up() const noexcept;
  // Errors: redis_down (no connection, or it was lost before the answer: the server may have carried it out),
  // limit_reached, redis_refused. `timeout` in place of the usual one, for commands that wait at the server.
  void command(const std::vector<std::string>& words, OnReply on_reply, std::optional<Duration> timeout = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
