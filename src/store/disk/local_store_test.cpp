// SPDX-License-Identifier: Apache-2.0
#include "store/disk/local_store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <thread>

#include "crypto/hash.hpp"
#include "store/disk/resource_reader.hpp"
#include "store/testing/disk_fixture.hpp"

namespace dig::store {
namespace {

using testing::HeldStore;

struct LocalStoreTest : testing::DiskTest {
  SeededRng rng{5};
  Identity identity = Identity::generate(rng);
  fs::path home = folder() / "home";
  fs::path source = folder() / "source";
  std::unique_ptr<LocalStore> store = open();

  std::unique_ptr<LocalStore> open() {
    auto opened = LocalStore::open(home);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  AddedStore add(const std::optional<StoreId>& id = std::nullopt) {
    auto added = store->add(source, identity, id);
    EXPECT_TRUE(added) << added.error().message();
    return added ? *added : AddedStore{};
  }
  void make_source() {
    write(source / "index.html", "<h1>hello</h1>");
    write(source / "data.bin", random_bytes(900'000, 3));
  }
  static std::string name_of(const StoreInfo& info, const char* extension) {
    return info.store_id.to_hex() + "-" + info.root.to_hex() + extension;
  }
  // What remove() (".removal") and verify() (".quarantine") leave when a crash stops them at once.
  fs::path mark(const StoreInfo& info, const char* extension) const {
    const fs::path mark = home / "partial" / name_of(info, extension);
    write(mark, "");
    return mark;
  }
  void run_sql(const char* sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open((home / "index.db").c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  fs::path place(const StoreInfo& info, const char* extension) const {
    return home / "stores" / info.store_id.to_hex() / (info.root.to_hex() + extension);
  }
  Errc find_error(const StoreId& id) {
    const auto found = store->find(id);
    return found ? Errc::internal : found.error().code();
  }
};

TEST_F(LocalStoreTest, AnAddedFolderIsListedFoundAndRead) {
  make_source();
  const AddedStore added = add();
  EXPECT_EQ(added.info.files, 2U);
  EXPECT_TRUE(added.info.is_signed);
  EXPECT_EQ(added.info.sequence, 1U);
  EXPECT_FALSE(added.was_here);
  ASSERT_EQ(store->list()->size(), 1U);
  EXPECT_EQ(store->find(added.info.store_id)->root, added.info.root);
  EXPECT_EQ(store->find(added.info.store_id, added.info.root)->size, added.info.size);
  const auto checked = verify_manifest(*store->manifest(added.info.store_id), added.info.store_id, added.info.root);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->trust, Trust::owner_signed);

  const auto reader = store->open_reader(added.info.store_id, added.info.root);
  ASSERT_TRUE(reader);
  Bytes chunk(k_chunk_size);
  for (std::uint64_t index = 0; index < (*reader)->chunks(); ++index) {
    const auto size = (*reader)->read_chunk(index, chunk);
    ASSERT_TRUE(size);
    EXPECT_TRUE(verify_chunk(added.info.root, added.info.size, index, leaf_hash(BytesView(chunk).first(*size)),
                             *(*reader)->proof(index)));
    EXPECT_TRUE((*reader)->read_chunk(index, chunk));
  }
  EXPECT_EQ((*reader)->read_chunk(4, chunk).error().code(), Errc::chunk_mismatch);
  EXPECT_EQ((*reader)->proof(UINT64_MAX).error().code(), Errc::chunk_mismatch);
  EXPECT_EQ((*reader)->sha256()->bytes, crypto::sha256(read(place(added.info, ".dig"))));
}

TEST_F(LocalStoreTest, AddingTheSameFolderTwiceGivesTheSameStore) {
  make_source();
  const AddedStore first = add();
  const AddedStore second = add();
  EXPECT_TRUE(second.was_here);
  EXPECT_EQ(second.info.store_id, first.info.store_id);
  EXPECT_EQ(second.manifest, first.manifest);
  EXPECT_EQ(store->list()->size(), 1U);
}

TEST_F(LocalStoreTest, AnOwnStoreGetsNewVersions) {
  make_source();
  const AddedStore first = add();
  write(source / "index.html", "changed");
  const AddedStore second = add(first.info.store_id);
  EXPECT_EQ(second.info.store_id, first.info.store_id);
  EXPECT_NE(second.info.root, first.info.root);
  EXPECT_EQ(second.info.sequence, 2U);
  EXPECT_TRUE(second.info.is_signed);
  EXPECT_EQ(store->find(first.info.store_id)->root, second.info.root);
  EXPECT_EQ(store->list()->size(), 2U);
  EXPECT_TRUE(store->find(first.info.store_id, first.info.root));
}

TEST_F(LocalStoreTest, AForeignStoreIdGetsNoSignature) {
  make_source();
  const StoreId foreign{rng.array<32>()};
  const AddedStore added = add(foreign);
  EXPECT_EQ(added.info.store_id, foreign);
  EXPECT_FALSE(added.info.is_signed);
  Identity other = Identity::generate(rng);
  const AddedStore own = add();
  const auto by_other = store->add(source, other, own.info.store_id);
  ASSERT_TRUE(by_other);  // the same content is here already, signed by its owner
  EXPECT_TRUE(by_other->was_here);
}

TEST_F(LocalStoreTest, AnArchiveIsKeptAsItIs) {
  make_source();
  ASSERT_TRUE(make_archive(source, folder() / "made.dig"));
  const AddedStore from_folder = add();
  const auto from_archive = store->add(folder() / "made.dig", identity);
  ASSERT_TRUE(from_archive);
  EXPECT_EQ(from_archive->info.root, from_folder.info.root);
  EXPECT_TRUE(read(place(from_folder.info, ".dig")) == read(folder() / "made.dig"));
}

TEST_F(LocalStoreTest, WhatCannotBeAddedLeavesNothing) {
  write(folder() / "bad.dig", "this is not an archive");
  EXPECT_EQ(store->add(folder() / "bad.dig", identity).error().code(), Errc::bad_archive);
  EXPECT_EQ(store->add(folder() / "missing", identity).error().code(), Errc::file_not_found);
  fs::create_directories(source);
  fs::create_symlink("/etc/passwd", source / "link");
  EXPECT_EQ(store->add(source, identity).error().code(), Errc::not_a_regular_file);
  EXPECT_TRUE(store->list()->empty());
  EXPECT_TRUE(tree_of(home / "stores").empty());
  EXPECT_TRUE(tree_of(home / "tmp").empty());
}

TEST_F(LocalStoreTest, TheProgressOfAnAddGrowsToTheSizeOfTheStore) {
  make_source();
  ASSERT_TRUE(make_archive(source, folder() / "made.dig"));
  for (const fs::path& path : {source, folder() / "made.dig"}) {
    std::vector<std::uint64_t> seen;
    std::uint64_t last_total = 0;
    const auto follow = [&](std::uint64_t done, std::uint64_t total) {
      EXPECT_LE(done, total);
      EXPECT_LE(last_total, total);
      last_total = total;
      seen.push_back(done);
      return true;
    };
    const auto added = store->add(path, identity, {}, follow);
    ASSERT_TRUE(added);
    EXPECT_TRUE(std::ranges::is_sorted(seen));
    EXPECT_GT(seen.size(), 6U);
    EXPECT_EQ(seen.back(), added->info.size);
    EXPECT_EQ(last_total, added->info.size);
  }
}

TEST_F(LocalStoreTest, AnAddCanBeCancelledAtAnyMomentAndLeavesNothing) {
  make_source();
  ASSERT_TRUE(make_archive(source, folder() / "made.dig"));
  for (const fs::path& path : {source, folder() / "made.dig"}) {
    for (int allowed = 0;; ++allowed) {
      const auto count = [left = allowed](std::uint64_t, std::uint64_t) mutable { return left-- > 0; };
      const auto added = store->add(path, identity, {}, count);
      EXPECT_TRUE(tree_of(home / "tmp").empty());
      if (added) {
        EXPECT_GT(allowed, 6);
        EXPECT_TRUE(store->remove(added->info.urn()));
        break;
      }
      ASSERT_EQ(added.error().code(), Errc::cancelled) << added.error().message();
      EXPECT_TRUE(tree_of(home / "stores").empty());
    }
  }
}

// Making it durable and waiting for the lock come after the last byte, and may take long.
TEST_F(LocalStoreTest, AnAddCanBeCancelledUntilItIsPublished) {
  make_source();
  bool is_hashed = false;
  const auto after_the_last_byte = [&](std::uint64_t done, std::uint64_t total) {
    return !std::exchange(is_hashed, done == total);
  };
  const auto added = store->add(source, identity, {}, after_the_last_byte);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code(), Errc::cancelled);
  EXPECT_TRUE(tree_of(home / "stores").empty());
  EXPECT_TRUE(tree_of(home / "tmp").empty());
}

TEST_F(LocalStoreTest, RemovingTakesFilesAndRowsButNotOpenReaders) {
  make_source();
  const AddedStore added = add();
  const auto reader = store->open_reader(added.info.store_id, added.info.root);
  ASSERT_TRUE(reader);
  EXPECT_EQ(store->remove(*Urn::parse(added.info.urn().to_string() + "/index.html")).error().code(),
            Errc::invalid_argument);
  EXPECT_TRUE(store->remove(added.info.urn()));
  EXPECT_EQ(find_error(added.info.store_id), Errc::store_not_found);
  EXPECT_TRUE(tree_of(home / "stores").empty());
  Bytes chunk(k_chunk_size);
  EXPECT_TRUE((*reader)->read_chunk(0, chunk));
  EXPECT_EQ(store->remove(added.info.urn()).error().code(), Errc::store_not_found);
  EXPECT_FALSE(store->open_reader(added.info.store_id, added.info.root));
}

TEST_F(LocalStoreTest, ARemovalIsFinishedWhereverItStopped) {
  make_source();
  for (const auto& extensions : std::vector<std::vector<const char*>>{{}, {".dig"}, {".dig", ".tree"}}) {
    const AddedStore added = add();
    mark(added.info, ".removal");
    for (const char* extension : extensions) fs::remove(place(added.info, extension));
    store = open();
    EXPECT_TRUE(store->list()->empty());
    EXPECT_FALSE(store->find(added.info.store_id, added.info.root));
    EXPECT_TRUE(tree_of(home / "stores").empty());
    EXPECT_TRUE(tree_of(home / "partial").empty());
  }
}

TEST_F(LocalStoreTest, AnInterruptedRemovalDoesNotTakeWhatIsAddedAfterIt) {
  make_source();
  const AddedStore first = add();
  const fs::path left = mark(first.info, ".removal");
  EXPECT_FALSE(add().was_here);
  EXPECT_FALSE(fs::exists(left));
  mark(first.info, ".removal");
  EXPECT_TRUE(store->remove(first.info.urn()));
  const HeldStore held(read(folder() / "source" / "data.bin"), StoreId{rng.array<32>()});
  auto partial = store->open_partial(held.manifest);
  for (std::uint64_t i = 0; i < held.chunks(); ++i) {
    ASSERT_TRUE((*partial)->write_chunk(i, held.chunk(i), held.tree.proof(i)));
  }
  mark({held.store_id, held.root()}, ".removal");
  ASSERT_TRUE(store->complete(**partial));
  store = open();
  EXPECT_TRUE(store->open_reader(held.store_id, held.root()));
}

TEST_F(LocalStoreTest, AQuarantineIsFinishedWhereverItStopped) {
  make_source();
  const auto delete_row = [this](const StoreInfo&) { run_sql("DELETE FROM stores"); };
  const auto move_archive = [this](const StoreInfo& info) {
    fs::rename(place(info, ".dig"), home / "quarantine" / name_of(info, ".dig"));
  };
  const auto remove_tree = [this](const StoreInfo& info) { fs::remove(place(info, ".tree")); };
  const auto remove_folder = [this](const StoreInfo& info) { fs::remove(place(info, "").parent_path()); };
  const std::vector<std::function<void(const StoreInfo&)>> steps = {delete_row, move_archive, remove_tree,
                                                                    remove_folder};
  for (std::size_t done = 0; done <= steps.size(); ++done) {
    fs::remove_all(home / "quarantine");
    store = open();
    const AddedStore added = add();
    flip_byte(place(added.info, ".dig"), 300'000);
    const Bytes damaged = read(place(added.info, ".dig"));
    mark(added.info, ".quarantine");
    for (std::size_t step = 0; step < done; ++step) steps[step](added.info);
    store = open();
    EXPECT_TRUE(store->list()->empty()) << done;
    EXPECT_TRUE(tree_of(home / "stores").empty()) << done;
    EXPECT_TRUE(tree_of(home / "partial").empty()) << done;
    EXPECT_EQ(tree_of(home / "quarantine"), std::vector{name_of(added.info, ".dig")}) << done;
    EXPECT_TRUE(read(home / "quarantine" / name_of(added.info, ".dig")) == damaged) << done;
  }
}

TEST_F(LocalStoreTest, AnInterruptedQuarantineDoesNotTakeWhatIsAddedAfterIt) {
  make_source();
  const AddedStore first = add();
  flip_byte(place(first.info, ".dig"), 300'000);
  const Bytes damaged = read(place(first.info, ".dig"));
  mark(first.info, ".quarantine");
  EXPECT_FALSE(add().was_here);
  EXPECT_TRUE(read(home / "quarantine" / name_of(first.info, ".dig")) == damaged);
  store = open();
  EXPECT_EQ(store->list()->size(), 1U);
  EXPECT_TRUE(store->verify()->damaged.empty());
}

TEST_F(LocalStoreTest, VerifyTakesAwayATreeWithoutItsArchive) {
  make_source();
  const AddedStore added = add();
  run_sql("DELETE FROM stores");
  fs::remove(place(added.info, ".dig"));
  EXPECT_TRUE(store->verify()->damaged.empty());
  EXPECT_TRUE(tree_of(home / "stores").empty());
}

TEST_F(LocalStoreTest, AnotherProcessSeesChangesAtOnce) {
  make_source();
  const auto other = open();
  const AddedStore added = add();
  EXPECT_TRUE(other->find(added.info.store_id));
  EXPECT_TRUE(other->remove(added.info.urn()));
  EXPECT_EQ(find_error(added.info.store_id), Errc::store_not_found);
}

TEST_F(LocalStoreTest, EverythingIsThereAfterReopening) {
  make_source();
  const AddedStore added = add();
  store = open();
  EXPECT_EQ(store->find(added.info.store_id)->root, added.info.root);
  struct stat status{};
  for (const fs::path& path : {home / "index.db", place(added.info, ".dig"), place(added.info, ".tree")}) {
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 077, 0U) << path;
  }
}

TEST_F(LocalStoreTest, VerifyFindsEveryKindOfDamageAndQuarantines) {
  make_source();
  const AddedStore good = add();
  EXPECT_TRUE(store->verify()->damaged.empty());
  const std::vector<std::function<void(const fs::path&)>> harms = {
      [](const fs::path& path) { flip_byte(path, 300'000); },
      [](const fs::path& path) { fs::resize_file(path, k_chunk_size); },
      [](const fs::path& path) { fs::resize_file(path, fs::file_size(path) + 1); },
      [](const fs::path& path) { fs::remove(path); },
      [](const fs::path& path) {
        fs::remove(path);
        fs::create_directory(path);
      },
      [](const fs::path& path) {
        fs::remove(path);
        fs::create_symlink("/etc/passwd", path);
      },
  };
  for (std::size_t i = 0; i < harms.size(); ++i) {
    write(source / "number.txt", std::to_string(i));
    const AddedStore added = add();
    harms[i](place(added.info, ".dig"));
    const auto report = store->verify();
    ASSERT_TRUE(report) << i << report.error().message();
    ASSERT_EQ(report->damaged.size(), 1U) << i;
    EXPECT_EQ(report->damaged[0].root, added.info.root);
    EXPECT_EQ(find_error(added.info.store_id), Errc::store_not_found);
    EXPECT_TRUE(store->verify()->damaged.empty());
  }
  EXPECT_TRUE(store->find(good.info.store_id));
  EXPECT_EQ(store->verify(good.info.urn())->stores, 1U);
}

TEST_F(LocalStoreTest, VerifyRepairsADamagedTree) {
  make_source();
  const AddedStore added = add();
  const Bytes tree = read(place(added.info, ".tree"));
  for (const std::uint64_t offset : {0U, 100U, 4096U, 4196U}) {
    flip_byte(place(added.info, ".tree"), offset);
    EXPECT_TRUE(store->verify()->damaged.empty());
    EXPECT_TRUE(read(place(added.info, ".tree")) == tree);
  }
  fs::remove(place(added.info, ".tree"));
  EXPECT_TRUE(store->verify()->damaged.empty());
  EXPECT_TRUE(read(place(added.info, ".tree")) == tree);
}

TEST_F(LocalStoreTest, ADamagedChunkIsNotHandedOutAsChecked) {
  make_source();
  const AddedStore added = add();
  flip_byte(place(added.info, ".dig"), 10);
  const auto reader = store->open_reader(added.info.store_id, added.info.root);
  Bytes chunk(k_chunk_size);
  EXPECT_EQ((*reader)->read_chunk(0, chunk).error().code(), Errc::store_damaged);
  EXPECT_TRUE((*reader)->read_chunk(1, chunk));
  fs::resize_file(place(added.info, ".dig"), 100);
  EXPECT_EQ((*reader)->read_chunk(1, chunk).error().code(), Errc::store_damaged);
  EXPECT_EQ(store->open_reader(added.info.store_id, added.info.root).error().code(), Errc::store_damaged);
}

TEST_F(LocalStoreTest, ADamagedIndexIsReportedAndRebuilt) {
  make_source();
  const AddedStore added = add();
  store.reset();
  write(home / "index.db", std::string(8192, 'x'));
  const auto damaged = LocalStore::open(home);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code(), Errc::index_damaged);
  auto rebuilt = LocalStore::open_rebuilding_index(home);
  ASSERT_TRUE(rebuilt) << rebuilt.error().message();
  const auto found = (*rebuilt)->find(added.info.store_id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->root, added.info.root);
  EXPECT_EQ(found->files, added.info.files);
  EXPECT_EQ(*(*rebuilt)->manifest(added.info.store_id), added.manifest);
  EXPECT_TRUE((*rebuilt)->verify()->damaged.empty());
}

TEST_F(LocalStoreTest, TheIndexOfANewerVersionIsLeftAsItIs) {
  make_source();
  const AddedStore added = add();
  store.reset();
  run_sql("ALTER TABLE stores RENAME TO stores_of_tomorrow; PRAGMA user_version = 2;");
  const Bytes index = read(home / "index.db");
  for (const auto& opened : {LocalStore::open(home), LocalStore::open_rebuilding_index(home)}) {
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), Errc::index_newer);
  }
  EXPECT_TRUE(read(home / "index.db") == index);
  EXPECT_TRUE(tree_of(home / "quarantine").empty());
  run_sql("ALTER TABLE stores_of_tomorrow RENAME TO stores; PRAGMA user_version = 1;");
  store = open();
  EXPECT_TRUE(store->open_reader(added.info.store_id, added.info.root));
}

TEST_F(LocalStoreTest, AFetchedStoreMovesIntoPlace) {
  make_source();
  ASSERT_TRUE(make_archive(source, folder() / "made.dig"));
  const HeldStore held(read(folder() / "made.dig"), StoreId{rng.array<32>()});
  {
    auto partial = store->open_partial(held.manifest);
    ASSERT_TRUE(partial);
    ASSERT_TRUE((*partial)->write_chunk(0, held.chunk(0), held.tree.proof(0)));
    EXPECT_EQ(store->complete(**partial).error().code(), Errc::not_here);
  }
  auto partial = store->open_partial(held.manifest);
  ASSERT_TRUE(partial);
  EXPECT_EQ((*partial)->have().count(), 1U);
  for (std::uint64_t i = 1; i < held.chunks(); ++i) {
    ASSERT_TRUE((*partial)->write_chunk(i, held.chunk(i), held.tree.proof(i)));
  }
  EXPECT_EQ(find_error(held.store_id), Errc::store_not_found);
  const auto done = store->complete(**partial);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->root, held.root());
  EXPECT_EQ(done->files, 2U);
  EXPECT_TRUE(read(place(*done, ".dig")) == held.content);
  EXPECT_TRUE(tree_of(home / "partial").empty());
  EXPECT_TRUE(tree_of(home / "tmp").empty());
  EXPECT_EQ(*store->manifest(held.store_id), held.manifest);
  EXPECT_TRUE(store->verify()->damaged.empty());
  const auto reader = store->open_reader(held.store_id, held.root());
  EXPECT_EQ(*(*reader)->proof(2), held.tree.proof(2));
}

TEST_F(LocalStoreTest, LeavesThatDoNotMakeTheRootAreNotCompleted) {
  const HeldStore held(random_bytes(2 * k_chunk_size, 8), StoreId{rng.array<32>()});
  auto partial = store->open_partial(held.manifest);
  for (std::uint64_t i = 0; i < 2; ++i) ASSERT_TRUE((*partial)->write_chunk(i, held.chunk(i), held.tree.proof(i)));
  for (const auto& entry : fs::directory_iterator(home / "partial")) {
    if (entry.path().extension() == ".leaves") flip_byte(entry.path(), 130);
  }
  EXPECT_EQ(store->complete(**partial).error().code(), Errc::store_damaged);
  EXPECT_EQ(find_error(held.store_id), Errc::store_not_found);
  EXPECT_TRUE((*partial)->have().none());
  EXPECT_TRUE((*partial)->write_chunk(0, held.chunk(0), held.tree.proof(0)));
}

TEST_F(LocalStoreTest, AStoreWhoseIndexRowACrashLostIsAdopted) {
  const HeldStore held(random_bytes(2 * k_chunk_size, 8), StoreId{rng.array<32>()});
  {
    auto partial = store->open_partial(held.manifest);
    for (std::uint64_t i = 0; i < 2; ++i) ASSERT_TRUE((*partial)->write_chunk(i, held.chunk(i), held.tree.proof(i)));
    ASSERT_TRUE(store->complete(**partial));
  }
  store.reset();
  for (const char* name : {"index.db", "index.db-wal", "index.db-shm"}) fs::remove(home / name);
  write(home / "partial" / (held.store_id.to_hex() + "-" + held.root().to_hex() + ".leaves"), "");
  store = open();
  EXPECT_TRUE(store->find(held.store_id, held.root()));
  EXPECT_TRUE(tree_of(home / "partial").empty());
}

TEST_F(LocalStoreTest, AStoreThatIsInPlaceIsFoundWithoutItsRow) {
  make_source();
  const AddedStore added = add();
  store.reset();
  for (const char* name : {"index.db", "index.db-wal", "index.db-shm"}) fs::remove(home / name);
  store = open();
  EXPECT_TRUE(store->list()->empty());
  EXPECT_EQ(find_error(added.info.store_id), Errc::store_not_found);
  EXPECT_TRUE(store->find(added.info.store_id, added.info.root));
  EXPECT_TRUE(store->find(added.info.store_id));
}

TEST_F(LocalStoreTest, AnExportReplacesAFileOnlyWhenItIsComplete) {
  make_source();
  const AddedStore added = add();
  const fs::path out = folder() / "out";
  fs::create_directories(out);
  write(out / "whole.dig", "old content");
  EXPECT_EQ(*store->export_archive(added.info.store_id, added.info.root, out / "whole.dig"), added.info.size);
  EXPECT_TRUE(read(out / "whole.dig") == read(place(added.info, ".dig")));
  EXPECT_FALSE(store->export_archive(added.info.store_id, added.info.root, out / "no" / "folder"));
  fs::create_directories(out / "folder" / "used");
  EXPECT_FALSE(store->export_archive(added.info.store_id, added.info.root, out / "folder"));
  EXPECT_EQ(tree_of(out), (std::vector<std::string>{"folder", "folder/used", "whole.dig"}));
  fs::create_symlink(folder() / "elsewhere", out / "link");
  EXPECT_TRUE(store->export_archive(added.info.store_id, added.info.root, out / "link"));
  EXPECT_FALSE(fs::exists(folder() / "elsewhere"));  // the link was replaced, not followed
}

TEST_F(LocalStoreTest, AnExportedFileHasTheModeThatTheUserAsksFor) {
  make_source();
  const AddedStore added = add();
  const mode_t before = ::umask(027);
  EXPECT_TRUE(store->export_archive(added.info.store_id, added.info.root, folder() / "out.dig"));
  ::umask(before);
  struct stat status{};
  ASSERT_EQ(::stat((folder() / "out.dig").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
}

TEST_F(LocalStoreTest, ManyThreadsMayUseItAtOnce) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      const fs::path mine = folder() / ("source" + std::to_string(t));
      for (int i = 0; i < 3; ++i) {
        write(mine / "file.txt", std::to_string(t * 100 + i));
        const auto added = store->add(mine, identity);
        ASSERT_TRUE(added) << added.error().message();
        EXPECT_TRUE(store->open_reader(added->info.store_id, added->info.root));
        EXPECT_TRUE(store->list());
        if (i == 0) continue;
        EXPECT_TRUE(store->remove(added->info.urn()));
      }
    });
  }
  threads.clear();
  EXPECT_EQ(store->list()->size(), 4U);
}

}  // namespace
}  // namespace dig::store
