// SPDX-License-Identifier: Apache-2.0
// A disk that fails: every call that changes the disk fails in turn, with "no space" and with "I/O error". Whatever
// happens, the error has its code, nothing incomplete is visible, and the same operation succeeds once the disk works.
//
// The functions below take the place of libc's in this program, also for SQLite. fsync does nothing: whether bytes
// reach the disk cannot be seen from here, and the tests are faster for it.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "store/disk/file.hpp"
#include "store/disk/local_store.hpp"
#include "store/testing/disk_fixture.hpp"

namespace {

constexpr int k_off = -1;
std::atomic<int> calls_left = k_off;  // this many calls still work
std::atomic<int> fault_error = 0;
std::atomic<std::size_t> write_limit = SIZE_MAX;
std::atomic<bool> can_unlink_fail = false;  // a full disk does not keep files from being removed

bool should_fail() {
  if (calls_left == k_off) return false;
  if (calls_left > 0) {
    --calls_left;
    return false;
  }
  errno = fault_error;
  return true;
}

ssize_t write_or_fail(int descriptor, const void* data, size_t size, off_t offset) {
  if (should_fail()) return -1;
  return ::syscall(SYS_pwrite64, descriptor, data, std::min<std::size_t>(size, write_limit), offset);
}

}  // namespace

extern "C" {
ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  return write_or_fail(descriptor, data, size, offset);
}
ssize_t pwrite64(int descriptor, const void* data, size_t size, off64_t offset) {
  return write_or_fail(descriptor, data, size, offset);
}
int fsync(int) { return should_fail() ? -1 : 0; }
int fdatasync(int) { return should_fail() ? -1 : 0; }
int posix_fallocate(int descriptor, off_t offset, off_t size) {
  if (should_fail()) return fault_error;
  return ::syscall(SYS_fallocate, descriptor, 0, offset, size) == 0 ? 0 : errno;
}
int rename(const char* from, const char* to) noexcept {
  return should_fail() ? -1 : static_cast<int>(::syscall(SYS_rename, from, to));
}
int unlink(const char* path) noexcept {
  return can_unlink_fail && should_fail() ? -1 : static_cast<int>(::syscall(SYS_unlink, path));
}
}

namespace dig::store {
namespace {

using testing::HeldStore;

struct FaultsTest : testing::DiskTest {
  ~FaultsTest() override {
    calls_left = k_off;
    can_unlink_fail = false;
  }

  SeededRng rng{1};
  Identity identity = Identity::generate(rng);
  fs::path home = folder() / "home";
  fs::path source = folder() / "source";
  HeldStore held{random_bytes(2 * k_chunk_size + 5, 1), StoreId{rng.array<32>()}};

  // Runs `operation` with the first, second, … call failing, until it succeeds; `check` runs after each with a disk
  // that works again.
  void fail_each_call(int error_number, const std::function<Result<void>()>& operation,
                      const std::function<void()>& check) {
    for (int call = 0; call < 300; ++call) {
      fault_error = error_number;
      calls_left = call;
      const Result<void> result = operation();
      const bool was_hit = calls_left == 0;
      calls_left = k_off;
      if (!result) {
        // SQLite knows a full disk by its writes only; a failed fsync or mapping is an I/O error to it.
        const bool is_index = result.error().detail().starts_with("index:");
        const Errc expected = error_number == ENOSPC && !is_index ? Errc::disk_full : Errc::io_failed;
        const bool is_expected = result.error().code() == expected ||
                                 (is_index && error_number == ENOSPC && result.error().code() == Errc::disk_full);
        EXPECT_TRUE(is_expected) << call << ": " << result.error().message();
      }
      check();
      if (HasFailure()) return;
      if (result && !was_hit) return;
    }
    FAIL() << "the operation never succeeds";
  }

  // Everything listed is whole, and everything whole is listed.
  void expect_consistent(LocalStore& store) {
    const auto report = store.verify();
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_TRUE(report->damaged.empty());
  }
  Result<void> fetch(LocalStore& store) {
    DIG_TRY(auto partial, store.open_partial(held.manifest));
    for (std::uint64_t i = 0; i < held.chunks(); ++i) {
      DIG_CHECK(partial->write_chunk(i, held.chunk(i), held.tree.proof(i)));
    }
    DIG_CHECK(store.complete(*partial));
    return {};
  }
};

TEST_F(FaultsTest, AFetchSurvivesAFailureOfEveryCall) {
  for (const int error_number : {ENOSPC, EIO}) {
    fs::remove_all(home);
    auto store = LocalStore::open(home);
    ASSERT_TRUE(store);
    fail_each_call(
        error_number, [&] { return fetch(**store); },
        [&] {
          store->reset();
          store = LocalStore::open(home);  // as after a crash at this point
          ASSERT_TRUE(store) << store.error().message();
          expect_consistent(**store);
          if (!(*store)->find(held.store_id)) return;
          EXPECT_TRUE((*store)->open_reader(held.store_id, held.root()));
        });
    EXPECT_TRUE((*store)->find(held.store_id, held.root()));
  }
}

TEST_F(FaultsTest, AddingSurvivesAFailureOfEveryCall) {
  write(source / "a.txt", "hello");
  for (const int error_number : {ENOSPC, EIO}) {
    fs::remove_all(home);
    auto store = LocalStore::open(home);
    ASSERT_TRUE(store);
    fail_each_call(
        error_number,
        [&]() -> Result<void> {
          DIG_CHECK((*store)->add(source, identity));
          return {};
        },
        [&] {
          expect_consistent(**store);
          EXPECT_TRUE(tree_of(home / "tmp").empty());
          // Whatever was published before the failure is taken away again, so that every round adds anew.
          const auto listed = (*store)->list();
          ASSERT_TRUE(listed);
          for (const StoreInfo& info : *listed) EXPECT_TRUE((*store)->remove(info.urn()));
        });
  }
}

// Whatever the moment: the store is whole and listed, or it is gone with all its files.
TEST_F(FaultsTest, ARemovalThatACrashInterruptsIsFinishedByTheNextStart) {
  can_unlink_fail = true;
  for (const int error_number : {ENOSPC, EIO}) {
    fs::remove_all(home);
    auto store = LocalStore::open(home);
    ASSERT_TRUE(store && fetch(**store));
    std::size_t interrupted = 0;
    fail_each_call(
        error_number, [&] { return (*store)->remove({held.store_id, held.root(), {}}); },
        [&] {
          store->reset();
          if (!tree_of(home / "partial").empty()) ++interrupted;
          store = LocalStore::open(home);
          ASSERT_TRUE(store) << store.error().message();
          EXPECT_TRUE(tree_of(home / "partial").empty());
          expect_consistent(**store);
          if ((*store)->find(held.store_id, held.root())) {
            EXPECT_TRUE((*store)->open_reader(held.store_id, held.root()));
          } else {
            EXPECT_TRUE((*store)->list()->empty());
            EXPECT_TRUE(tree_of(home / "stores").empty());
            EXPECT_TRUE(fetch(**store));
          }
        });
    EXPECT_GT(interrupted, 3u);
  }
}

// Whatever the moment: the damaged store is as it was, or its archive is in quarantine and nothing else is left of it.
TEST_F(FaultsTest, AQuarantineThatACrashInterruptsIsFinishedByTheNextStart) {
  can_unlink_fail = true;
  const std::string name = held.store_id.to_hex() + "-" + held.root().to_hex() + ".dig";
  const fs::path archive = home / "stores" / held.store_id.to_hex() / (held.root().to_hex() + ".dig");
  for (const int error_number : {ENOSPC, EIO}) {
    fs::remove_all(home);
    auto store = LocalStore::open(home);
    ASSERT_TRUE(store && fetch(**store));
    flip_byte(archive, 10);
    const Bytes damaged = read(archive);
    std::size_t interrupted = 0;
    fail_each_call(
        error_number,
        [&]() -> Result<void> {
          DIG_CHECK((*store)->verify());
          return {};
        },
        [&] {
          store->reset();
          if (!tree_of(home / "partial").empty()) ++interrupted;
          store = LocalStore::open(home);
          ASSERT_TRUE(store) << store.error().message();
          EXPECT_TRUE(tree_of(home / "partial").empty());
          if ((*store)->find(held.store_id, held.root())) {
            EXPECT_TRUE(read(archive) == damaged);
            return;
          }
          EXPECT_TRUE((*store)->list()->empty());
          EXPECT_TRUE(tree_of(home / "stores").empty());
          EXPECT_EQ(tree_of(home / "quarantine"), std::vector{name});
          EXPECT_TRUE(read(home / "quarantine" / name) == damaged);
          ASSERT_TRUE(fetch(**store));
          flip_byte(archive, 10);
        });
    EXPECT_GT(interrupted, 3u);
  }
}

TEST_F(FaultsTest, OpeningAHomeSurvivesAFailureOfEveryCall) {
  fail_each_call(
      ENOSPC,
      [&]() -> Result<void> {
        DIG_CHECK(LocalStore::open(home));
        return {};
      },
      [&] {
        EXPECT_TRUE(LocalStore::open(home));
        fs::remove_all(home);
      });
}

TEST_F(FaultsTest, AFullDiskStopsAFetchAtItsFirstChunk) {
  auto store = LocalStore::open(home);
  ASSERT_TRUE(store);
  auto partial = (*store)->open_partial(held.manifest);
  ASSERT_TRUE(partial);
  fault_error = ENOSPC;
  calls_left = 0;
  const auto refused = (*partial)->write_chunk(0, held.chunk(0), held.tree.proof(0));
  calls_left = k_off;
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::disk_full);
  EXPECT_TRUE((*partial)->have().none());
  EXPECT_TRUE((*partial)->write_chunk(0, held.chunk(0), held.tree.proof(0)));
}

TEST_F(FaultsTest, ShortWritesAreContinued) {
  write_limit = 1000;
  auto store = LocalStore::open(home);
  ASSERT_TRUE(store);
  auto partial = (*store)->open_partial(held.manifest);
  ASSERT_TRUE(partial);
  const auto written = (*partial)->write_chunk(0, held.chunk(0), held.tree.proof(0));
  write_limit = SIZE_MAX;
  EXPECT_TRUE(written);
  Bytes out(k_chunk_size);
  EXPECT_EQ(*(*partial)->read_at(0, out), k_chunk_size);
  EXPECT_TRUE(equal(out, held.chunk(0)));
}

TEST_F(FaultsTest, ExportLeavesNothingBehindWhenItFails) {
  auto store = LocalStore::open(home);
  ASSERT_TRUE(store && fetch(**store));
  const fs::path out = folder() / "out";
  write(out / "kept", "old");
  fail_each_call(
      ENOSPC,
      [&]() -> Result<void> {
        DIG_CHECK((*store)->export_archive(held.store_id, held.root(), out / "kept"));
        return {};
      },
      [&] {
        EXPECT_EQ(tree_of(out), (std::vector<std::string>{"kept"}));
        const Bytes content = read(out / "kept");
        EXPECT_TRUE(as_text(content) == "old" || content == held.content);
      });
}

TEST(SystemErrors, HaveTheirCodes) {
  EXPECT_EQ(system_error(ENOSPC, "x").code(), Errc::disk_full);
  EXPECT_EQ(system_error(EDQUOT, "x").code(), Errc::disk_full);
  EXPECT_EQ(system_error(ENOENT, "x").code(), Errc::file_not_found);
  EXPECT_EQ(system_error(EACCES, "x").code(), Errc::permission_denied);
  EXPECT_EQ(system_error(EROFS, "x").code(), Errc::permission_denied);
  EXPECT_EQ(system_error(ELOOP, "x").code(), Errc::not_a_regular_file);
  EXPECT_EQ(system_error(EIO, "x").code(), Errc::io_failed);
}

}  // namespace
}  // namespace dig::store
