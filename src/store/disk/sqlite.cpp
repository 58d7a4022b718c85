// SPDX-License-Identifier: Apache-2.0
#include "store/disk/sqlite.hpp"

#include <fcntl.h>
#include <sqlite3.h>

#include <utility>

namespace dig::store {

// --- database ----------------------------------------------------------------------------------------------------

SqliteDatabase::~SqliteDatabase() { sqlite3_close_v2(database_); }

Error SqliteDatabase::error_of(int status) const {
  const std::string what =
      std::string(kind_.name) + ": " + (database_ != nullptr ? sqlite3_errmsg(database_) : "out of memory");
  switch (status & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(kind_.damaged, what);
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

Result<void> SqliteDatabase::open(const fs::path& path) {
  // Made here first, so that it is private whatever the umask is; SQLite gives its side files the same mode.
  DIG_CHECK(File::open(path, O_RDWR | O_CREAT));
  const int status = sqlite3_open_v2(path.c_str(), &database_,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, nullptr);
  if (status != SQLITE_OK) return std::unexpected(error_of(status));
  sqlite3_extended_result_codes(database_, 1);
  sqlite3_busy_timeout(database_, busy_timeout_ms);
  DIG_CHECK(read_schema_version());  // before anything is written: a newer database stays as it is
  DIG_CHECK(run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"));
  return prepare_schema();
}

Result<void> SqliteDatabase::run(const char* sql) {
  const int status = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  if (status != SQLITE_OK) return std::unexpected(error_of(status));
  return {};
}

Result<std::uint64_t> SqliteDatabase::read_schema_version() {
  SqliteStatement query(*this, "PRAGMA user_version");
  DIG_CHECK(query.step());
  const std::uint64_t version = query.integer(0);
  if (version > kind_.schema_version) {
    return fail(kind_.newer,
                "schema " + std::to_string(version) + ", this one knows " + std::to_string(kind_.schema_version));
  }
  return version;
}

Result<void> SqliteDatabase::prepare_schema() {
  // Two processes may open a new home at once: the second waits here and then finds the tables.
  DIG_CHECK(run("BEGIN IMMEDIATE"));
  DIG_TRY(const std::uint64_t version, read_schema_version());
  if (version == 0) DIG_CHECK(run(kind_.schema));
  return run("COMMIT");
}

// --- statement ---------------------------------------------------------------------------------------------------

SqliteStatement::SqliteStatement(SqliteDatabase& database, const std::string& sql)
    : database_(database), status_(sqlite3_prepare_v2(database.database_, sql.c_str(), -1, &statement_, nullptr)) {}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

SqliteStatement& SqliteStatement::bind(BytesView bytes) {
  const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
  return remember(sqlite3_bind_blob(statement_, ++bound_, data, static_cast<int>(bytes.size()), SQLITE_STATIC));
}

SqliteStatement& SqliteStatement::bind(std::uint64_t value) {
  return remember(sqlite3_bind_int64(statement_, ++bound_, static_cast<sqlite3_int64>(value)));
}

Result<bool> SqliteStatement::step() {
  if (status_ == SQLITE_OK) status_ = sqlite3_step(statement_);
  if (status_ != SQLITE_ROW && status_ != SQLITE_DONE) return std::unexpected(database_.error_of(status_));
  return std::exchange(status_, SQLITE_OK) == SQLITE_ROW;
}

void SqliteStatement::reset() {
  sqlite3_reset(statement_);
  bound_ = 0;
}

BytesView SqliteStatement::blob(int column) {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::uint64_t SqliteStatement::integer(int column) {
  return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column));
}

SqliteStatement& SqliteStatement::remember(int status) {
  if (status_ == SQLITE_OK) status_ = status;
  return *this;
}

}  // namespace dig::store
