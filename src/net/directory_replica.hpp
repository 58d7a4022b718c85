// SPDX-License-Identifier: Apache-2.0
// This server's part in a directory that several bootstrap servers share through Redis. Each has all rows on its own
// disk and in memory; Redis is where they meet, and one more place where the rows are kept.
//
// Whenever Redis is found (at the start, after it was gone, or when it lost its data) both sides are made equal: first
// every row there is given to the owner, then every row that the owner keeps is put there unless something newer is.
// After that changes of other servers come by a stream, within a round trip. A connection that hangs is given up, and
// what could not be written is made up for when Redis is found again: nothing waits for Redis longer than the deadline.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "net/leg.hpp"
#include "net/redis_protocol.hpp"
#include "store/directory_rows.hpp"

namespace dig::net {

struct ReplicaStatus {
  bool is_up = false;         // connected, and both sides are equal
  std::uint64_t syncs = 0;    // begun
  std::uint64_t written = 0;  // rows that Redis took or had
  std::uint64_t heard = 0;    // rows that were given to the owner
  std::uint64_t dropped = 0;  // that were none
  std::size_t waiting = 0;    // bytes on their way to Redis
};

// All of it is called from tasks of the loop.
class ReplicaOwner {
 public:
  virtual ~ReplicaOwner() = default;
  // A row of another server, unverified. limit_reached: it is given again a little later. Errors that say that nobody
  // signed it have it taken out of Redis.
  virtual Result<void> handle_shared_row(const store::DirectoryRow& row) = 0;
  // Whether the directory has this row, or something newer of the same name, so that it would not take it.
  [[nodiscard]] virtual bool has_row(const store::RowName& row) const = 0;
  // What is durable on this server; done() may be called later, on the loop.
  using OnRows = std::move_only_function<void(Result<store::KeptRows>)>;
  virtual void read_rows(const std::optional<PeerId>& after, OnRows done) = 0;
  // These are in Redis by now, though their write was answered otherwise.
  virtual void handle_replicated(std::span<const store::RowName> rows) = 0;
  // Whatever Redis had may be lost: each time, also while the state is down already.
  virtual void handle_replica_loss() = 0;
  // Once for each change. Up: Redis has all that this server has.
  virtual void handle_replica_state(const Result<void>& up_or_why) = 0;
  // Something that the operator should know, while it is up.
  virtual void handle_replica_warning(const Error& warning) = 0;
};

class DirectoryReplica {
 public:
  struct Config {
    RedisUrl url;
    LegOptions leg{.open_timeout = 1s};  // with a TLS context for rediss://
    Duration deadline = 1s;              // of an acknowledgement, and of each command
    Duration longest_retry = 1s;
    Duration block = 1s;  // how long a read waits for changes
    std::string prefix = "dignet:directory:";
    std::size_t max_waiting = std::size_t{64} << 20U;  // bytes on their way; beyond it all is written anew later
  };
  using OnWritten = std::move_only_function<void(bool is_replicated)>;

  // The owner must outlive the replica, and not destroy it inside a callback.
  DirectoryReplica(Loop& loop, Resolver& resolver, Rng& rng, Config config, ReplicaOwner& owner);
  ~DirectoryReplica();
  DirectoryReplica(const DirectoryReplica&) = delete;
  DirectoryReplica& operator=(const DirectoryReplica&) = delete;

  // Of rows that are durable on this server. True: Redis has all of them, or something newer. The answer comes within
  // the deadline, never from inside this call.
  void write(std::span<const store::DirectoryChange> changes, OnWritten done);
  [[nodiscard]] ReplicaStatus snapshot() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
