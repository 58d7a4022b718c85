// SPDX-License-Identifier: Apache-2.0
#include "store/disk/store_index.hpp"

#include <string>
#include <utility>

namespace dig::store {
namespace {

constexpr const char* k_schema =
    "CREATE TABLE stores ("
    "  store_id BLOB NOT NULL, root BLOB NOT NULL, size INTEGER NOT NULL, files INTEGER NOT NULL,"
    "  sequence INTEGER NOT NULL, manifest BLOB NOT NULL, signature BLOB NOT NULL, added INTEGER NOT NULL,"
    "  PRIMARY KEY (store_id, root)) WITHOUT ROWID;"
    "CREATE INDEX stores_added ON stores (added);"
    "PRAGMA user_version = 1;";

constexpr const char* k_columns = "SELECT store_id, root, size, files, sequence, manifest, signature FROM stores ";

Result<IndexRow> read_row(SqliteStatement& query) {
  const auto store_id = StoreId::from_bytes(query.blob(0));
  const auto root = RootHash::from_bytes(query.blob(1));
  if (!store_id || !root) return fail(Errc::index_damaged, "index: a row has no valid store id or root");
  return IndexRow{*store_id,        *root,
                  query.integer(2), query.integer(3),
                  query.integer(4), {to_bytes(query.blob(5)), to_bytes(query.blob(6))}};
}

Result<std::vector<IndexRow>> read_rows(SqliteStatement& query) {
  std::vector<IndexRow> out;
  while (true) {
    DIG_TRY(const bool more, query.step());
    if (!more) return out;
    DIG_TRY(IndexRow next, read_row(query));
    out.push_back(std::move(next));
  }
}

}  // namespace

StoreIndex::StoreIndex()
    : database_({.name = "index",
                 .damaged = Errc::index_damaged,
                 .newer = Errc::index_newer,
                 .schema_version = 1,
                 .schema = k_schema}) {}

Result<std::unique_ptr<StoreIndex>> StoreIndex::open(const fs::path& path) {
  std::unique_ptr<StoreIndex> index(new StoreIndex());
  DIG_CHECK(index->database_.open(path));
  SqliteStatement check(index->database_, std::string(k_columns) + "LIMIT 1");
  DIG_CHECK(check.step());
  return index;
}

Result<void> StoreIndex::put(const IndexRow& row) {
  const std::lock_guard lock(mutex_);
  SqliteStatement statement(database_,
                            "INSERT OR REPLACE INTO stores VALUES (?, ?, ?, ?, ?, ?, ?,"
                            " (SELECT COALESCE(MAX(added), 0) + 1 FROM stores))");
  statement.bind(row.store_id.bytes).bind(row.root.bytes).bind(row.size).bind(row.files).bind(row.sequence);
  statement.bind(row.manifest.manifest).bind(row.manifest.signature);
  DIG_CHECK(statement.step());
  return {};
}

Result<void> StoreIndex::remove(const StoreId& store_id, const RootHash& root) {
  const std::lock_guard lock(mutex_);
  SqliteStatement statement(database_, "DELETE FROM stores WHERE store_id = ? AND root = ?");
  DIG_CHECK(statement.bind(store_id.bytes).bind(root.bytes).step());
  return {};
}

Result<std::vector<IndexRow>> StoreIndex::versions(const StoreId& store_id) {
  const std::lock_guard lock(mutex_);
  SqliteStatement statement(database_,
                            std::string(k_columns) + "WHERE store_id = ? ORDER BY sequence DESC, added DESC");
  return read_rows(statement.bind(store_id.bytes));
}

Result<std::optional<IndexRow>> StoreIndex::get(const StoreId& store_id, const RootHash& root) {
  const std::lock_guard lock(mutex_);
  SqliteStatement statement(database_, std::string(k_columns) + "WHERE store_id = ? AND root = ?");
  DIG_TRY(const bool found, statement.bind(store_id.bytes).bind(root.bytes).step());
  if (!found) return std::nullopt;
  DIG_TRY(IndexRow row, read_row(statement));
  return row;
}

Result<std::vector<IndexRow>> StoreIndex::all() {
  const std::lock_guard lock(mutex_);
  SqliteStatement statement(database_, std::string(k_columns) + "ORDER BY store_id, sequence DESC, added DESC");
  return read_rows(statement);
}

}  // namespace dig::store
