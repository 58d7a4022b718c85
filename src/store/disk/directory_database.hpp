// SPDX-License-Identifier: Apache-2.0
// The rows of a bootstrap server's directory in the SQLite database <home>/directory.db. A batch is one transaction:
// after a crash or a power cut it is there as a whole, or not at all if it was not acknowledged.
//
// Lifetimes are kept by the wall clock, the only one that goes on while nothing runs: what is left after a restart is
// right as far as that clock is, and never more than it was when the row was written.
//
// Thread-safety: one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "base/result.hpp"
#include "base/time.hpp"
#include "store/directory_rows.hpp"
#include "store/disk/file.hpp"
#include "store/disk/sqlite.hpp"

namespace dig::store {

class DirectoryDatabase {
 public:
  // Errors: directory_damaged, directory_newer, the errors of files.
  [[nodiscard]] static Result<std::unique_ptr<DirectoryDatabase>> open(const fs::path& path);

  // All changes in their order and durable, or none. Also forgets what has ended by now.
  [[nodiscard]] Result<void> write(UnixTime now, std::span<const DirectoryChange> changes);
  // Every row that is still kept: all records, then the pages of those that live.
  [[nodiscard]] Result<void> read(UnixTime now, const std::function<void(DirectoryRow)>& take);
  // The same in pieces of about `max_bytes`, of the peers after this one; removals are told, records that have merely
  // expired may be too.
  [[nodiscard]] Result<KeptRows> read_some(UnixTime now, const std::optional<PeerId>& after, std::size_t max_bytes);

 private:
  DirectoryDatabase();
  [[nodiscard]] Result<void> apply(UnixTime now, std::span<const DirectoryChange> changes);
  [[nodiscard]] Result<void> prune(UnixTime now);

  SqliteDatabase database_;
  std::optional<UnixTime> pruned_;
};

}  // namespace dig::store
