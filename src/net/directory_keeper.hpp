// SPDX-License-Identifier: Apache-2.0
// Keeps the directory of a bootstrap server durably: what the core asks to be persisted is written to SQLite on a
// thread of its own, one batch after another, and what was kept is given back at the start. Where several servers share
// the directory, each batch is put into Redis once it is on the disk: what is there is never missing here.
//
// Thread-safety: none; everything happens on the thread of the loop, but for open() and load(), which come before it
// runs.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "net/directory_replica.hpp"
#include "net/worker_pool.hpp"
#include "node/node_core.hpp"
#include "store/disk/directory_database.hpp"

namespace dig::net {

class DirectoryKeeper {
 public:
  using OnPersisted = std::function<void(directory::PersistToken, Result<directory::PersistOutcome>)>;

  // `on_persisted` answers persist(). Errors: those of DirectoryDatabase::open.
  [[nodiscard]] static Result<std::unique_ptr<DirectoryKeeper>> open(Loop& loop, const std::filesystem::path& file,
                                                                     OnPersisted on_persisted);

  // Gives every row that is kept to `core`, whose directory was started; what it does not take is of no use to anybody,
  // and gone when it expires. Errors: those of DirectoryDatabase::read.
  [[nodiscard]] Result<void> load(Instant now, node::NodeCore& core);
  void persist(node::PersistDirectory request);
  // Where batches go from now on, when they are on the disk; nullptr: nowhere. It must outlive its use.
  void write_into(DirectoryReplica* replica) { replica_ = replica; }
  // Some of what is kept, as in DirectoryDatabase::read_some; done() is called later. Errors: also limit_reached.
  void read_rows(const std::optional<PeerId>& after, ReplicaOwner::OnRows done);

 private:
  using Changes = std::shared_ptr<const std::vector<store::DirectoryChange>>;

  void handle_written(directory::PersistToken token, const Changes& changes, const Result<void>& written);
  DirectoryKeeper(Loop& loop, std::unique_ptr<store::DirectoryDatabase> database, OnPersisted on_persisted);

  std::shared_ptr<store::DirectoryDatabase> database_;  // used on the worker, and before there is work
  OnPersisted on_persisted_;
  DirectoryReplica* replica_ = nullptr;
  Loop& loop_;
  WorkerPool worker_;
};

}  // namespace dig::net
