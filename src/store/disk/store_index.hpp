// SPDX-License-Identifier: Apache-2.0
// The SQLite index <home>/index.db: one row for each version of each store. Everything in it can be made again from the
// `.tree` files. WAL with synchronous=FULL: what was acknowledged survives a power cut.
//
// Thread-safety: any thread; one mutex guards the one database connection. Other processes may write at the same time.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "store/disk/file.hpp"
#include "store/disk/sqlite.hpp"
#include "wire/hash256.hpp"
#include "wire/manifest.hpp"

namespace dig::store {

struct IndexRow {
  StoreId store_id;
  RootHash root;
  std::uint64_t size = 0;
  std::uint64_t files = 0;
  std::uint64_t sequence = 0;
  SignedManifest manifest;
};

class StoreIndex {
 public:
  // Errors: index_damaged (not a database, damaged pages), index_newer, the errors of files.
  [[nodiscard]] static Result<std::unique_ptr<StoreIndex>> open(const fs::path& path);

  [[nodiscard]] Result<void> put(const IndexRow& row);  // replaces the row of the same store and root
  [[nodiscard]] Result<void> remove(const StoreId& store_id, const RootHash& root);
  // Newest first: the highest sequence, then the latest put.
  [[nodiscard]] Result<std::vector<IndexRow>> versions(const StoreId& store_id);
  [[nodiscard]] Result<std::optional<IndexRow>> get(const StoreId& store_id, const RootHash& root);
  [[nodiscard]] Result<std::vector<IndexRow>> all();

 private:
  StoreIndex();

  std::mutex mutex_;
  SqliteDatabase database_;
};

}  // namespace dig::store
