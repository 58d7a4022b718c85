// SPDX-License-Identifier: Apache-2.0
// Keeps the directory of a bootstrap server durably: what the core asks to be persisted is written to SQLite on a
// thread of its own, one batch after another, and what was kept is given back at the start.
//
// Thread-safety: none; everything happens on the thread of the loop, but for open() and load(), which come before it
// runs.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

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

 private:
  DirectoryKeeper(Loop& loop, std::unique_ptr<store::DirectoryDatabase> database, OnPersisted on_persisted);

  std::shared_ptr<store::DirectoryDatabase> database_;  // used on the worker, and before there is work
  OnPersisted on_persisted_;
  Loop& loop_;
  WorkerPool worker_;
};

}  // namespace dig::net
