// SPDX-License-Identifier: Apache-2.0
#include "store/disk/directory_database.hpp"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>

#include "store/testing/disk_fixture.hpp"
#include "wire/identity.hpp"

namespace dig::store {
namespace {

constexpr UnixTime k_wall{1'800'000'000};

PeerId peer_of(std::uint64_t seed) {
  SeededRng rng(seed);
  return Identity::generate(rng).peer_id();
}
DirectoryRow record_of(const PeerId& peer, std::uint64_t sequence) {
  return {.peer = peer,
          .slot = 0,
          .sequence = sequence,
          .source = AcceptLimiter::prefix_of(IpAddress::parse("ffff:ffff:ffff:ffff::").value()),
          .lifetime = 1h,
          .kept = 2h,
          .envelope = to_bytes("record " + std::to_string(sequence))};
}
DirectoryRow page_of(const PeerId& peer, std::uint32_t page, std::uint64_t sequence) {
  return {.peer = peer,
          .slot = page + 1,
          .sequence = sequence,
          .source = 0,
          .lifetime = {},
          .kept = {},
          .envelope = to_bytes("page " + std::to_string(sequence))};
}

struct DirectoryDatabaseTest : testing::DiskTest {
  fs::path path = folder() / "directory.db";
  PeerId alice = peer_of(1);
  PeerId bob = peer_of(2);

  using Rows = std::map<std::pair<PeerId, std::uint32_t>, DirectoryRow>;
  // As it is after a restart at that time; checks that records come before their pages.
  [[nodiscard]] Rows read(UnixTime now) const {
    Rows rows;
    auto database = DirectoryDatabase::open(path);
    EXPECT_TRUE(database) << database.error().message();
    if (!database) return rows;
    const auto result = (*database)->read(now, [&](const DirectoryRow& row) {
      EXPECT_TRUE(row.slot == 0 || rows.contains({row.peer, 0}));
      EXPECT_TRUE(rows.emplace(std::pair(row.peer, row.slot), row).second);
    });
    EXPECT_TRUE(result);
    return rows;
  }
  void write(UnixTime now, const std::vector<DirectoryChange>& changes) const {
    auto database = DirectoryDatabase::open(path);
    ASSERT_TRUE(database) << database.error().message();
    const auto written = (*database)->write(now, changes);
    ASSERT_TRUE(written) << written.error().message();
  }
  static UnixTime after(std::int64_t seconds) { return {k_wall.seconds + seconds}; }
};

TEST_F(DirectoryDatabaseTest, KeepsWhatWasWritten) {
  const DirectoryRow record = record_of(alice, 5);
  const DirectoryRow page = page_of(alice, 3, 7);
  write(k_wall, {record, page});
  const Rows rows = read(k_wall);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows.at({alice, 0}), record);
  EXPECT_EQ(rows.at({alice, 4}), page);
}

TEST_F(DirectoryDatabaseTest, ChangesAreAppliedInTheirOrder) {
  write(k_wall,
        {record_of(alice, 1), page_of(alice, 0, 1), page_of(alice, 1, 1), record_of(bob, 1), page_of(bob, 0, 1)});
  write(k_wall, {EraseRows{alice, 2}, record_of(alice, 2), page_of(alice, 0, 2), EraseRows{bob, 0}, record_of(bob, 2)});
  const Rows rows = read(k_wall);
  EXPECT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows.at({alice, 0}).sequence, 2u);
  EXPECT_EQ(rows.at({alice, 1}).sequence, 2u);
  EXPECT_EQ(rows.at({bob, 0}).sequence, 2u);
}

TEST_F(DirectoryDatabaseTest, WhatIsLeftOfALifeIsRightAfterARestart) {
  write(k_wall, {record_of(alice, 1), page_of(alice, 0, 1)});
  EXPECT_EQ(read(after(600)).at({alice, 0}).lifetime, 50min);
  EXPECT_EQ(read(after(600)).at({alice, 0}).kept, 110min);
  EXPECT_EQ(read(after(3599)).at({alice, 1}).sequence, 1u);
  const Rows ended = read(after(3600));
  ASSERT_EQ(ended.size(), 1u) << "no pages without a record that lives";
  EXPECT_EQ(ended.at({alice, 0}).lifetime, Duration(0));
  EXPECT_EQ(ended.at({alice, 0}).kept, 1h);
  EXPECT_TRUE(read(after(7200)).empty());
}

TEST_F(DirectoryDatabaseTest, AClockThatWasSetBackGivesNoTime) {
  write(k_wall, {record_of(alice, 1)});
  EXPECT_EQ(read(after(-100'000)).at({alice, 0}).lifetime, 1h);
  EXPECT_EQ(read(after(-100'000)).at({alice, 0}).kept, 2h);
}

TEST_F(DirectoryDatabaseTest, WhatHasEndedIsForgotten) {
  auto database = DirectoryDatabase::open(path);
  ASSERT_TRUE(database);
  ASSERT_TRUE((*database)->write(k_wall, std::vector<DirectoryChange>{record_of(alice, 1), page_of(alice, 0, 1)}));
  const auto count = [&](const char* table) {
    sqlite3* raw = nullptr;
    sqlite3_open(path.c_str(), &raw);
    sqlite3_stmt* query = nullptr;
    sqlite3_prepare_v2(raw, (std::string("SELECT COUNT(*) FROM ") + table).c_str(), -1, &query, nullptr);
    EXPECT_EQ(sqlite3_step(query), SQLITE_ROW);
    const int rows = sqlite3_column_int(query, 0);
    sqlite3_finalize(query);
    sqlite3_close(raw);
    return rows;
  };
  ASSERT_TRUE((*database)->write(after(3599), {}));
  EXPECT_EQ(count("pages"), 1);
  ASSERT_TRUE((*database)->write(after(3600), {}));
  EXPECT_EQ(count("pages"), 0);
  EXPECT_EQ(count("records"), 1);
  ASSERT_TRUE((*database)->write(after(7200), {}));
  EXPECT_EQ(count("records"), 0);
}

TEST_F(DirectoryDatabaseTest, IsReadInPiecesToo) {
  std::vector<PeerId> peers;
  std::vector<DirectoryChange> changes;
  for (std::uint64_t seed = 10; seed < 30; ++seed) {
    peers.push_back(peer_of(seed));
    changes.insert(changes.end(),
                   {record_of(peers.back(), seed), page_of(peers.back(), 0, seed), page_of(peers.back(), 4, seed)});
  }
  DirectoryRow removed = record_of(alice, 1);
  removed.lifetime = Duration(0);
  changes.insert(changes.end(), {removed, page_of(alice, 0, 1)});
  write(k_wall, changes);
  auto database = DirectoryDatabase::open(path);
  ASSERT_TRUE(database);
  Rows rows;
  std::size_t pieces = 0;
  std::optional<PeerId> after;
  do {
    const auto some = (*database)->read_some(k_wall, after, 100);
    ASSERT_TRUE(some) << some.error().message();
    for (const DirectoryRow& row : some->rows) {
      EXPECT_TRUE(row.slot == 0 || rows.contains({row.peer, 0}));
      EXPECT_TRUE(rows.emplace(std::pair(row.peer, row.slot), row).second);
    }
    ++pieces;
    after = some->next_after;
  } while (after);
  EXPECT_GT(pieces, 3U);
  EXPECT_EQ(rows.size(), 61U) << "no pages of what was removed";
  EXPECT_EQ(rows, read(k_wall));
}

TEST_F(DirectoryDatabaseTest, IsPrivate) {
  write(k_wall, {record_of(alice, 1)});
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(DirectoryDatabaseTest, DamagedAndNewerFilesHaveTheirCodes) {
  DiskTest::write(path, std::string(8192, 'x'));
  EXPECT_EQ(DirectoryDatabase::open(path).error().code(), Errc::directory_damaged);
  fs::remove(path);
  write(k_wall, {record_of(alice, 1)});
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &raw), SQLITE_OK);
  sqlite3_exec(raw, "UPDATE records SET peer = x'00'", nullptr, nullptr, nullptr);
  {
    auto database = DirectoryDatabase::open(path);
    ASSERT_TRUE(database);
    EXPECT_EQ((*database)->read(k_wall, [](const DirectoryRow&) {}).error().code(), Errc::directory_damaged);
  }
  sqlite3_exec(raw, "PRAGMA user_version = 2", nullptr, nullptr, nullptr);
  sqlite3_close(raw);
  EXPECT_EQ(DirectoryDatabase::open(path).error().code(), Errc::directory_newer);
}

// A batch has a record and three pages of the same sequence, the later ones replacing those before.
std::vector<DirectoryChange> batch_of(const PeerId& peer, std::uint64_t sequence) {
  return {record_of(peer, sequence), page_of(peer, 0, sequence), page_of(peer, 1, sequence),
          page_of(peer, 2, sequence)};
}

// Writes batch after batch and says which are durable, until it is killed.
[[noreturn]] void write_for_ever(const fs::path& path, const PeerId& peer, int out) {
  auto database = DirectoryDatabase::open(path);
  if (!database) ::_exit(1);
  for (std::uint64_t sequence = 1;; ++sequence) {
    if (!(*database)->write(k_wall, batch_of(peer, sequence))) ::_exit(1);
    if (::write(out, &sequence, sizeof sequence) != sizeof sequence) ::_exit(0);
  }
}

TEST_F(DirectoryDatabaseTest, WhatWasAcknowledgedSurvivesAKill) {
  for (std::uint64_t round = 1; round <= 5; ++round) {
    fs::remove_all(path);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_for_ever(path, alice, ends[1]);
    ::close(ends[1]);
    std::uint64_t acknowledged = 0;
    std::uint64_t next = 0;
    while (acknowledged < 7 * round && ::read(ends[0], &next, sizeof next) == sizeof next) acknowledged = next;
    ::kill(child, SIGKILL);
    while (::read(ends[0], &next, sizeof next) == sizeof next) acknowledged = next;
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_GE(acknowledged, 7 * round);
    const Rows rows = read(k_wall);
    ASSERT_EQ(rows.size(), 4u);
    const std::uint64_t kept = rows.at({alice, 0}).sequence;
    EXPECT_GE(kept, acknowledged);
    EXPECT_LE(kept, acknowledged + 1);
    for (const auto& [name, row] : rows) EXPECT_EQ(row.sequence, kept) << "a batch is there as a whole";
    for (const char* suffix : {"-wal", "-shm"}) fs::remove(fs::path(path.native() + suffix));
  }
}

}  // namespace
}  // namespace dig::store
