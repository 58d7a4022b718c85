// SPDX-License-Identifier: Apache-2.0
#include "store/disk/identity_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "store/disk/home_lock.hpp"
#include "store/testing/disk_fixture.hpp"

namespace dig::store {
namespace {

struct IdentityFileTest : testing::DiskTest {
  SeededRng rng{1};
  fs::path home = folder() / "deep" / "home";
  fs::path key = home / "identity.key";

  PeerId load() {
    const auto identity = load_or_create_identity(home, rng);
    EXPECT_TRUE(identity) << identity.error().message();
    return identity ? identity->peer_id() : PeerId{};
  }
  Errc error() {
    const auto identity = load_or_create_identity(home, rng);
    return identity ? Errc::internal : identity.error().code();
  }
};

TEST_F(IdentityFileTest, AKeyIsMadeOnceAndKept) {
  const mode_t before = ::umask(0);
  const PeerId first = load();
  ::umask(before);
  EXPECT_EQ(load(), first);
  struct stat status{};
  ASSERT_EQ(::stat(key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  ASSERT_EQ(::stat(home.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
  EXPECT_TRUE(tree_of(home / "tmp").empty());
}

TEST_F(IdentityFileTest, AKeyOpenToOthersIsRefused) {
  load();
  for (const mode_t mode : {0644U, 0640U, 0604U, 0660U, 0602U, 0601U}) {
    ASSERT_EQ(::chmod(key.c_str(), mode), 0);
    EXPECT_EQ(error(), Errc::identity_insecure) << mode;
  }
  ASSERT_EQ(::chmod(key.c_str(), 0400), 0);
  EXPECT_NE(load(), PeerId{});
}

TEST_F(IdentityFileTest, AKeyOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  load();
  ASSERT_EQ(::chown(key.c_str(), 12345, 12345), 0);
  EXPECT_EQ(error(), Errc::identity_insecure);
}

TEST_F(IdentityFileTest, ADamagedKeyIsNeverReplaced) {
  load();
  const Bytes good = read(key);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{33}, good.size() - 1, good.size() + 1}) {
    Bytes bad = good;
    bad.resize(size);
    write(key, bad);
    EXPECT_EQ(error(), Errc::identity_malformed) << size;
    EXPECT_EQ(read(key), bad);
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= std::byte{1};
    write(key, bad);
    EXPECT_EQ(error(), Errc::identity_malformed) << i;
  }
  write(key, good);
  EXPECT_NE(load(), PeerId{});
}

TEST_F(IdentityFileTest, OnlyARegularFileWithOneNameIsAKey) {
  load();
  fs::create_hard_link(key, home / "second");
  EXPECT_EQ(error(), Errc::identity_malformed);
  fs::remove(home / "second");
  fs::rename(key, home / "moved");
  fs::create_symlink(home / "moved", key);
  EXPECT_EQ(error(), Errc::identity_malformed);
  fs::remove(key);
  fs::create_symlink(home / "nowhere", key);
  EXPECT_EQ(error(), Errc::identity_malformed);
  EXPECT_FALSE(fs::exists(home / "nowhere"));
  fs::remove(key);
  fs::create_directory(key);
  EXPECT_EQ(error(), Errc::identity_malformed);
  fs::remove(key);
  ASSERT_EQ(::mkfifo(key.c_str(), 0600), 0);
  EXPECT_EQ(error(), Errc::identity_malformed);
}

TEST_F(IdentityFileTest, AHomeThatIsNoFolderIsAnError) {
  write(folder() / "deep", "a file");
  EXPECT_EQ(error(), Errc::not_a_regular_file);
}

TEST_F(IdentityFileTest, ThoseThatMakeItAtOnceGetTheSameKey) {
  std::vector<PeerId> ids(8);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      threads.emplace_back([&, i] {
        SeededRng own(i + 10);
        const auto identity = load_or_create_identity(home, own);
        if (identity) ids[i] = identity->peer_id();
      });
    }
  }
  for (const PeerId& id : ids) EXPECT_EQ(id, load());
}

struct HomeLockTest : testing::DiskTest {
  fs::path home = folder() / "home";
};

TEST_F(HomeLockTest, OnlyOneOwnsAHome) {
  {
    const auto first = HomeLock::acquire(home);
    ASSERT_TRUE(first) << first.error().message();
    const auto second = HomeLock::acquire(home);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Errc::home_in_use);
    EXPECT_NE(second.error().detail().find(std::to_string(::getpid())), std::string::npos);
  }
  EXPECT_TRUE(HomeLock::acquire(home));
}

TEST_F(HomeLockTest, AStaleLockFileIsHarmless) {
  write(home / "lock", "4194304\n and more than a process id would take");
  const auto lock = HomeLock::acquire(home);
  ASSERT_TRUE(lock);
  EXPECT_EQ(as_text(read(home / "lock")), std::to_string(::getpid()) + "\n");
}

TEST_F(HomeLockTest, ALinkIsNotFollowed) {
  fs::create_directories(home);
  fs::create_symlink(folder() / "elsewhere", home / "lock");
  EXPECT_FALSE(HomeLock::acquire(home));
  EXPECT_FALSE(fs::exists(folder() / "elsewhere"));
}

}  // namespace
}  // namespace dig::store
