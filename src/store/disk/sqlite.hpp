// SPDX-License-Identifier: Apache-2.0
// What the databases of this layer share: opened privately, WAL with synchronous=FULL (what was acknowledged survives a
// power cut), a schema version, and SQLite's errors as ours. Nothing here locks.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/disk/file.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace dig::store {

class SqliteDatabase {
 public:
  struct Kind {
    const char* name;  // at the beginning of every error's detail
    Errc damaged;
    Errc newer;
    std::uint64_t schema_version;
    const char* schema;  // makes it; ends with PRAGMA user_version
  };
  static constexpr int busy_timeout_ms = 10'000;

  explicit SqliteDatabase(const Kind& kind) : kind_(kind) {}
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  // Once, before anything else. Errors: `damaged` (not a database, damaged pages), `newer`, the errors of files.
  [[nodiscard]] Result<void> open(const fs::path& path);
  [[nodiscard]] Result<void> run(const char* sql);
  [[nodiscard]] const Kind& kind() const noexcept { return kind_; }

 private:
  friend class SqliteStatement;
  [[nodiscard]] Error error_of(int status) const;
  [[nodiscard]] Result<std::uint64_t> read_schema_version();
  [[nodiscard]] Result<void> prepare_schema();

  Kind kind_;
  sqlite3* database_ = nullptr;
};

class SqliteStatement {
 public:
  SqliteStatement(SqliteDatabase& database, const std::string& sql);
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  // The bytes must outlive the statement, or its reset().
  SqliteStatement& bind(BytesView bytes);
  SqliteStatement& bind(std::uint64_t value);
  // True when there is a row.
  [[nodiscard]] Result<bool> step();
  // To be bound and stepped again.
  void reset();

  // Of the row.
  [[nodiscard]] BytesView blob(int column);
  [[nodiscard]] std::uint64_t integer(int column);

 private:
  SqliteStatement& remember(int status);

  SqliteDatabase& database_;
  sqlite3_stmt* statement_ = nullptr;
  int status_;
  int bound_ = 0;
};

}  // namespace dig::store
