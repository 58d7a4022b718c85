// SPDX-License-Identifier: Apache-2.0
// Puts rows into Redis, in pieces of bounded size of which a few are on their way at a time, so that a large batch
// holds up neither Redis nor a small one behind it for long. What waits meanwhile goes together: each piece costs Redis
// a write to its disk, and the more rows share it the better.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "net/redis_client.hpp"
#include "net/redis_directory.hpp"

namespace dig::net {

// Sixteen hexadecimal digits that nobody used before.
[[nodiscard]] std::string random_word(Rng& rng);

class ReplicaWriter {
 public:
  // Called for each reply, before those who wait are.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void handle_epoch(const std::string& epoch) = 0;
    // A page was put whose record is not there, though it should be.
    virtual void handle_missing() = 0;
    // Redis refuses, or is none. The end of the connection is told by the client, not here.
    virtual void handle_trouble(const Error& why) = 0;
  };
  struct Outcome {
    bool is_all_there = true;  // or something newer
    std::vector<store::RowName> there;
  };
  using OnPut = std::move_only_function<void(const Outcome& outcome)>;

  // All outlive the writer.
  ReplicaWriter(RedisClient& client, const RedisDirectory& directory, Rng& rng, Watcher& watcher)
      : client_(client), directory_(directory), rng_(rng), watcher_(watcher) {}

  // At least one. Without a connection it fails soon; never from inside this call.
  void put(std::vector<SharedPut> puts, OnPut done);
  [[nodiscard]] std::size_t waiting_bytes() const noexcept { return waiting_bytes_; }

 private:
  // Each piece costs Redis a write to its disk that it waits for, and one of this size keeps it busy for about as long.
  static constexpr std::size_t k_max_piece = 512;  // rows; Redis does nothing else for about 10 ms
  static constexpr std::size_t k_max_piece_bytes = std::size_t{256} * 1024;
  static constexpr std::size_t k_max_in_flight = 3;

  struct Job {
    OnPut done;
    std::size_t rows = 0;  // unanswered
    Outcome outcome;
  };
  struct Waiting {
    SharedPut put;
    std::shared_ptr<Job> job;
  };
  struct Piece {
    std::vector<SharedPut> puts;
    std::vector<std::shared_ptr<Job>> jobs;  // of each
    std::size_t bytes = 0;
  };

  [[nodiscard]] Piece take_piece();
  void send();
  void handle_reply(const Piece& piece, const Result<RedisReply>& reply);

  RedisClient& client_;
  const RedisDirectory& directory_;
  Rng& rng_;
  Watcher& watcher_;
  std::deque<Waiting> waiting_;
  std::size_t in_flight_ = 0;
  std::size_t waiting_bytes_ = 0;
};

}  // namespace dig::net
