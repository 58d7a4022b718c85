// SPDX-License-Identifier: Apache-2.0
// Between the directory of this server and its replica in Redis: rows go from the keeper's disk into Redis, and from
// Redis into the core.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>

#include "dignet/events.hpp"
#include "net/directory_keeper.hpp"
#include "net/directory_replica.hpp"

namespace dig::net {

class DirectorySharing final : private ReplicaOwner {
 public:
  struct Hooks {
    std::function<void(Instant now)> pump;  // the core was told something
    std::function<void(const dignet::NodeEvent& event)> tell;
  };

  // A config without the TLS context that rediss:// needs gets one that trusts the system's authorities and those of
  // `authorities` (PEM). All must outlive the sharing; from now on the keeper writes into Redis too. Errors:
  // certificate_unreadable.
  [[nodiscard]] static Result<std::unique_ptr<DirectorySharing>> start(Loop& loop, Resolver& resolver, Rng& rng,
                                                                       DirectoryReplica::Config config,
                                                                       std::string_view authorities,
                                                                       DirectoryKeeper& keeper, node::NodeCore& core,
                                                                       Hooks hooks);
  ~DirectorySharing() override;
  // As the last DirectorySharingChanged said.
  [[nodiscard]] bool is_up() const noexcept { return is_up_; }

 private:
  DirectorySharing(Loop& loop, Resolver& resolver, Rng& rng, DirectoryReplica::Config config, DirectoryKeeper& keeper,
                   node::NodeCore& core, Hooks hooks);

  // ReplicaOwner
  Result<void> handle_shared_row(const store::DirectoryRow& row) override;
  [[nodiscard]] bool has_row(const store::RowName& row) const override;
  void read_rows(const std::optional<PeerId>& after, OnRows done) override;
  void handle_replicated(std::span<const store::RowName> rows) override;
  void handle_replica_loss() override;
  void handle_replica_state(const Result<void>& up_or_why) override;
  void handle_replica_warning(const Error& warning) override;

  DirectoryKeeper& keeper_;
  node::NodeCore& core_;
  Hooks hooks_;
  bool is_up_ = false;
  DirectoryReplica replica_;
};

}  // namespace dig::net
