// SPDX-License-Identifier: Apache-2.0
#include "store/disk/store_index.hpp"

#include <fcntl.h>
#include <sqlite3.h>

#include <string>
#include <utility>

namespace dig::store {
namespace {

Error sqlite_error(sqlite3* database, int status) {
  const std::string what = std::string("index: ") + (database != nullptr ? sqlite3_errmsg(database) : "out of memory");
  switch (status & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(Errc::index_damaged, what);
    case SQLITE_FULL:
      return Error(Errc::disk_full, what);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return Error(Errc::permission_denied, what);
    default:
      return Error(Errc::io_failed, what);
  }
}

constexpr const char* k_schema =
    "CREATE TABLE stores ("
    "  store_id BLOB NOT NULL, root BLOB NOT NULL, size INTEGER NOT NULL, files INTEGER NOT NULL,"
    "  sequence INTEGER NOT NULL, manifest BLOB NOT NULL, signature BLOB NOT NULL, added INTEGER NOT NULL,"
    "  PRIMARY KEY (store_id, root)) WITHOUT ROWID;"
    "CREATE INDEX stores_added ON stores (added);"
    "PRAGMA user_version = 1;";

constexpr const char* k_columns = "SELECT store_id, root, size, files, sequence, manifest, signature FROM stores ";

}  // namespace

class StoreIndex::Statement {
 public:
  Statement(sqlite3* database, const std::string& sql) : database_(database) {
    status_ = sqlite3_prepare_v2(database, sql.c_str(), -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // The bytes must outlive the statement.
  Statement& bind(BytesView bytes) {
    const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
    return remember(sqlite3_bind_blob(statement_, ++bound_, data, static_cast<int>(bytes.size()), SQLITE_STATIC));
  }
  Statement& bind(std::uint64_t value) {
    return remember(sqlite3_bind_int64(statement_, ++bound_, static_cast<sqlite3_int64>(value)));
  }
  // True when there is a row.
  Result<bool> step() {
    if (status_ == SQLITE_OK) status_ = sqlite3_step(statement_);
    if (status_ != SQLITE_ROW && status_ != SQLITE_DONE) return std::unexpected(sqlite_error(database_, status_));
    return std::exchange(status_, SQLITE_OK) == SQLITE_ROW;
  }
  BytesView blob(int column) {
    const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
    return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  std::uint64_t integer(int column) { return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column)); }

  Result<IndexRow> row() {
    const auto store_id = StoreId::from_bytes(blob(0));
    const auto root = RootHash::from_bytes(blob(1));
    if (!store_id || !root) return fail(Errc::index_damaged, "index: a row has no valid store id or root");
    return IndexRow{*store_id, *root, integer(2), integer(3), integer(4), {to_bytes(blob(5)), to_bytes(blob(6))}};
  }
  Result<std::vector<IndexRow>> rows() {
    std::vector<IndexRow> out;
    while (true) {
      DIG_TRY(const bool more, step());
      if (!more) return out;
      DIG_TRY(IndexRow next, row());
      out.push_back(std::move(next));
    }
  }

 private:
  Statement& remember(int status) {
    if (status_ == SQLITE_OK) status_ = status;
    return *this;
  }
  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
  int status_ = SQLITE_OK;
  int bound_ = 0;
};

Result<std::unique_ptr<StoreIndex>> StoreIndex::open(const fs::path& path) {
  // Made here first, so that it is private whatever the umask is; SQLite gives its side files the same mode.
  DIG_CHECK(File::open(path, O_RDWR | O_CREAT));
  sqlite3* database = nullptr;
  const int status = sqlite3_open_v2(path.c_str(), &database,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, nullptr);
  std::unique_ptr<StoreIndex> index(new StoreIndex(database));
  if (status != SQLITE_OK) return std::unexpected(sqlite_error(database, status));
  sqlite3_extended_result_codes(database, 1);
  sqlite3_busy_timeout(database, busy_timeout_ms);
  DIG_CHECK(index->read_schema_version());  // before anything is written: a newer index stays as it is
  DIG_CHECK(index->run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"));
  DIG_CHECK(index->prepare_schema());
  return index;
}

StoreIndex::~StoreIndex() { sqlite3_close_v2(database_); }

Result<void> StoreIndex::run(const char* sql) {
  const int status = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) return std::unexpected(sqlite_error(database_, status));
  return {};
}

Result<std::uint64_t> StoreIndex::read_schema_version() {
  Statement query(database_, "PRAGMA user_version");
  DIG_CHECK(query.step());
  const std::uint64_t version = query.integer(0);
  if (version > schema_version) {
    return fail(Errc::index_newer,
                "schema " + std::to_string(version) + ", this one knows " + std::to_string(schema_version));
  }
  return version;
}

Result<void> StoreIndex::prepare_schema() {
  // Two processes may open a new home at once: the second waits here and then finds the table.
  DIG_CHECK(run("BEGIN IMMEDIATE"));
  DIG_TRY(const std::uint64_t version, read_schema_version());
  if (version == 0) DIG_CHECK(run(k_schema));
  DIG_CHECK(run("COMMIT"));
  Statement check(database_, std::string(k_columns) + "LIMIT 1");
  DIG_CHECK(check.step());
  return {};
}

Result<void> StoreIndex::put(const IndexRow& row) {
  const std::lock_guard lock(mutex_);
  Statement statement(database_,
                      "INSERT OR REPLACE INTO stores VALUES (?, ?, ?, ?, ?, ?, ?,"
                      " (SELECT COALESCE(MAX(added), 0) + 1 FROM stores))");
  statement.bind(row.store_id.bytes).bind(row.root.bytes).bind(row.size).bind(row.files).bind(row.sequence);
  statement.bind(row.manifest.manifest).bind(row.manifest.signature);
  DIG_CHECK(statement.step());
  return {};
}

Result<void> StoreIndex::remove(const StoreId& store_id, const RootHash& root) {
  const std::lock_guard lock(mutex_);
  Statement statement(database_, "DELETE FROM stores WHERE store_id = ? AND root = ?");
  DIG_CHECK(statement.bind(store_id.bytes).bind(root.bytes).step());
  return {};
}

Result<std::vector<IndexRow>> StoreIndex::versions(const StoreId& store_id) {
  const std::lock_guard lock(mutex_);
  Statement statement(database_, std::string(k_columns) + "WHERE store_id = ? ORDER BY sequence DESC, added DESC");
  return statement.bind(store_id.bytes).rows();
}

Result<std::optional<IndexRow>> StoreIndex::get(const StoreId& store_id, const RootHash& root) {
  const std::lock_guard lock(mutex_);
  Statement statement(database_, std::string(k_columns) + "WHERE store_id = ? AND root = ?");
  DIG_TRY(const bool found, statement.bind(store_id.bytes).bind(root.bytes).step());
  if (!found) return std::nullopt;
  DIG_TRY(IndexRow row, statement.row());
  return row;
}

Result<std::vector<IndexRow>> StoreIndex::all() {
  const std::lock_guard lock(mutex_);
  Statement statement(database_, std::string(k_columns) + "ORDER BY store_id, sequence DESC, added DESC");
  return statement.rows();
}

}  // namespace dig::store
