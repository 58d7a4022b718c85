// SPDX-License-Identifier: Apache-2.0
#include "store/disk/directory_database.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace dig::store {
namespace {

// `expires` and `kept_until` are Unix seconds; `lifetime` and `kept` are what was left when the row was written.
constexpr const char* k_schema =
    "CREATE TABLE records ("
    "  peer BLOB NOT NULL PRIMARY KEY, sequence INTEGER NOT NULL, source INTEGER NOT NULL,"
    "  expires INTEGER NOT NULL, lifetime INTEGER NOT NULL, kept_until INTEGER NOT NULL, kept INTEGER NOT NULL,"
    "  envelope BLOB NOT NULL);"
    "CREATE INDEX records_expires ON records (expires);"
    "CREATE INDEX records_kept_until ON records (kept_until);"
    "CREATE TABLE pages ("
    "  peer BLOB NOT NULL, slot INTEGER NOT NULL, sequence INTEGER NOT NULL, envelope BLOB NOT NULL,"
    "  PRIMARY KEY (peer, slot));"
    "PRAGMA user_version = 1;";

constexpr const char* k_record_columns =
    "SELECT peer, sequence, source, expires, lifetime, kept_until, kept, envelope FROM records ";
constexpr const char* k_page_columns = "SELECT peer, slot, sequence, envelope FROM pages ";

std::uint64_t seconds_of(Duration duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration / 1s));
}
std::uint64_t seconds_of(UnixTime time) { return static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.seconds)); }

// What is left until `end`, of at most `whole`.
Duration left_of(UnixTime now, std::uint64_t end, std::uint64_t whole) {
  const std::uint64_t wall = seconds_of(now);
  return std::chrono::seconds(end > wall ? std::min(end - wall, whole) : 0);
}

Result<PeerId> read_peer(SqliteStatement& query) {
  Result<PeerId> peer = PeerId::from_bytes(query.blob(0));
  if (!peer) return fail(Errc::directory_damaged, "directory: a row has no valid peer");
  return peer;
}

Result<DirectoryRow> record_of(UnixTime now, SqliteStatement& query) {
  DIG_TRY(PeerId peer, read_peer(query));
  return DirectoryRow{.peer = std::move(peer),
                      .slot = 0,
                      .sequence = query.integer(1),
                      .source = query.integer(2),
                      .lifetime = left_of(now, query.integer(3), query.integer(4)),
                      .kept = left_of(now, query.integer(5), query.integer(6)),
                      .envelope = to_bytes(query.blob(7))};
}

Result<DirectoryRow> page_of(SqliteStatement& query) {
  DIG_TRY(PeerId peer, read_peer(query));
  return DirectoryRow{.peer = std::move(peer),
                      .slot = static_cast<std::uint32_t>(query.integer(1)),
                      .sequence = query.integer(2),
                      .source = 0,
                      .lifetime = Duration(0),
                      .kept = Duration(0),
                      .envelope = to_bytes(query.blob(3))};
}

Result<void> step_once(SqliteStatement& statement) {
  DIG_CHECK(statement.step());
  statement.reset();
  return {};
}

}  // namespace

DirectoryDatabase::DirectoryDatabase()
    : database_({.name = "directory",
                 .damaged = Errc::directory_damaged,
                 .newer = Errc::directory_newer,
                 .schema_version = 1,
                 .schema = k_schema}) {}

Result<std::unique_ptr<DirectoryDatabase>> DirectoryDatabase::open(const fs::path& path) {
  std::unique_ptr<DirectoryDatabase> opened(new DirectoryDatabase());
  DIG_CHECK(opened->database_.open(path));
  SqliteStatement records(opened->database_, std::string(k_record_columns) + "LIMIT 1");
  DIG_CHECK(records.step());
  SqliteStatement pages(opened->database_, std::string(k_page_columns) + "LIMIT 1");
  DIG_CHECK(pages.step());
  return opened;
}

Result<void> DirectoryDatabase::write(UnixTime now, std::span<const DirectoryChange> changes) {
  DIG_CHECK(database_.run("BEGIN IMMEDIATE"));
  Result<void> written = apply(now, changes);
  if (written) written = prune(now);
  if (written) written = database_.run("COMMIT");
  if (written) {
    pruned_ = now;
  } else {
    // SQLite may have ended the transaction by itself; then there is nothing to roll back.
    std::ignore = database_.run("ROLLBACK");
  }
  return written;
}

Result<void> DirectoryDatabase::apply(UnixTime now, std::span<const DirectoryChange> changes) {
  SqliteStatement put_record(database_, "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  SqliteStatement put_page(database_, "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?)");
  SqliteStatement erase_record(database_, "DELETE FROM records WHERE peer = ?");
  SqliteStatement erase_pages(database_, "DELETE FROM pages WHERE peer = ? AND slot >= ?");
  for (const DirectoryChange& change : changes) {
    if (const auto* row = std::get_if<DirectoryRow>(&change)) {
      if (row->slot == 0) {
        const std::uint64_t lifetime = seconds_of(row->lifetime);
        const std::uint64_t kept = seconds_of(row->kept);
        put_record.bind(row->peer.bytes()).bind(row->sequence).bind(row->source);
        put_record.bind(seconds_of(now) + lifetime).bind(lifetime).bind(seconds_of(now) + kept).bind(kept);
        DIG_CHECK(step_once(put_record.bind(row->envelope)));
      } else {
        put_page.bind(row->peer.bytes()).bind(std::uint64_t{row->slot}).bind(row->sequence);
        DIG_CHECK(step_once(put_page.bind(row->envelope)));
      }
    } else if (const auto* gone = std::get_if<EraseRows>(&change)) {
      if (gone->first_slot == 0) DIG_CHECK(step_once(erase_record.bind(gone->peer.bytes())));
      DIG_CHECK(step_once(erase_pages.bind(gone->peer.bytes()).bind(std::uint64_t{gone->first_slot})));
    }
  }
  return {};
}

// The pages of what has expired since the last time, and the records that no longer keep anything older out.
Result<void> DirectoryDatabase::prune(UnixTime now) {
  SqliteStatement pages(
      database_, "DELETE FROM pages WHERE peer IN (SELECT peer FROM records WHERE expires > ? AND expires <= ?)");
  DIG_CHECK(pages.bind(pruned_ ? seconds_of(*pruned_) : 0).bind(seconds_of(now)).step());
  SqliteStatement records(database_, "DELETE FROM records WHERE kept_until <= ?");
  DIG_CHECK(records.bind(seconds_of(now)).step());
  return {};
}

Result<void> DirectoryDatabase::read(UnixTime now, const std::function<void(DirectoryRow)>& take) {
  SqliteStatement records(database_, std::string(k_record_columns) + "WHERE kept_until > ?");
  records.bind(seconds_of(now));
  while (true) {
    DIG_TRY(const bool more, records.step());
    if (!more) break;
    DIG_TRY(DirectoryRow record, record_of(now, records));
    take(std::move(record));
  }
  SqliteStatement pages(
      database_,
      std::string(k_page_columns) + "WHERE peer IN (SELECT peer FROM records WHERE expires > ?) ORDER BY peer, slot");
  pages.bind(seconds_of(now));
  while (true) {
    DIG_TRY(const bool more, pages.step());
    if (!more) return {};
    DIG_TRY(DirectoryRow page, page_of(pages));
    take(std::move(page));
  }
}

Result<KeptRows> DirectoryDatabase::read_some(UnixTime now, const std::optional<PeerId>& after, std::size_t max_bytes) {
  constexpr std::array<std::byte, 1> k_before_all{};
  KeptRows kept;
  std::size_t bytes = 0;
  SqliteStatement records(database_, std::string(k_record_columns) + "WHERE peer > ? AND kept_until > ? ORDER BY peer");
  records.bind(after ? after->bytes() : BytesView(k_before_all)).bind(seconds_of(now));
  SqliteStatement pages(database_, std::string(k_page_columns) + "WHERE peer = ? ORDER BY slot");
  while (true) {
    DIG_TRY(const bool more, records.step());
    if (!more) return kept;
    if (bytes >= max_bytes) {
      kept.next_after = kept.rows.back().peer;
      return kept;
    }
    DIG_TRY(DirectoryRow record, record_of(now, records));
    const PeerId peer = record.peer;
    const bool is_live = record.lifetime > 0s;
    bytes += record.envelope.size();
    kept.rows.push_back(std::move(record));
    if (!is_live) continue;
    pages.bind(peer.bytes());
    while (true) {
      DIG_TRY(const bool has_page, pages.step());
      if (!has_page) break;
      DIG_TRY(DirectoryRow page, page_of(pages));
      bytes += page.envelope.size();
      kept.rows.push_back(std::move(page));
    }
    pages.reset();
  }
}

}  // namespace dig::store
