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
#include "wire/hash256.hpp"
#include "wire/manifest.hpp"

struct sqlite3;

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
  static constexpr int busy_timeout_ms = 10'000;
  static constexpr int schema_version = 1;

  // Errors: index_damaged (not a database, damaged pages), index_newer, the errors of files.
  [[nodiscard]] static Result<std::unique_ptr<StoreIndex>> open(const fs::path& path);
  ~StoreIndex();
  StoreIndex(const StoreIndex&) = delete;
  StoreIndex& operator=(const StoreIndex&) = delete;

  [[nodiscard]] Result<void> put(const IndexRow& row);  // replaces the row of the same store and root
  [[nodiscard]] Result<void> remove(const StoreId& store_id, const RootHash& root);
  // Newest first: the highest sequence, then the latest put.
  [[nodiscard]] Result<std::vector<IndexRow>> versions(const StoreId& store_id);
  [[nodiscard]] Result<std::optional<IndexRow>> get(const StoreId& store_id, const RootHash& root);
  [[nodiscard]] Result<std::vector<IndexRow>> all();

 private:
  class Statement;
  explicit StoreIndex(sqlite3* database) : database_(database) {}
  [[nodiscard]] Result<void> run(const char* sql);
  [[nodiscard]] Result<std::uint64_t> read_schema_version();
  [[nodiscard]] Result<void> prepare_schema();

  std::mutex mutex_;
  sqlite3* database_;
};

}  // namespace dig::store
