// SPDX-License-Identifier: Apache-2.0
#include "store/disk/archive.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zip.h>

#include <clocale>
#include <cstdlib>
#include <ctime>

#include "crypto/hash.hpp"
#include "store/testing/disk_fixture.hpp"
#include "store/testing/zip_builder.hpp"

namespace dig::store {
namespace {

using testing::ZipBuilder;
using testing::ZipHeader;
using testing::ZipItem;

struct ArchiveTest : testing::DiskTest {
  fs::path source = folder() / "source";
  fs::path target = folder() / "out.dig";

  void make_source() {
    write(source / "index.html", "<h1>hello</h1>");
    write(source / "docs" / "b.txt", "second");
    write(source / "docs" / "a.txt", "first");
    write(source / "docs-other.txt", "sorts before docs/");
    write(source / "gr\u00fc\u00dfe.txt", "umlaut");
    write(source / "empty.bin", "");
    write(source / "big.bin", random_bytes(400'000, 5));
  }
  Errc make_error() {
    const auto made = make_archive(source, target);
    return made ? Errc::internal : made.error().code();
  }
  static std::string digest(const fs::path& path) { return Hash256{crypto::sha256(read(path))}.to_hex(); }
};

TEST_F(ArchiveTest, TheSameFolderAlwaysGivesTheSameBytes) {
  make_source();
  const auto made = make_archive(source, target);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->files, 7U);
  EXPECT_EQ(made->bytes, fs::file_size(target));
  // Changing this changes the root hash of every store that is added again.
  EXPECT_EQ(digest(target), "06819cd8442b653f6dc7a5fe3119b7b99256c8e82ca4c13e10ec02ddf32c57ff");
}

// In a child process, because time zone, locale and umask belong to the process.
std::string digest_under(const fs::path& source, const fs::path& target, const char* zone, const char* locale,
                         mode_t mask) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("TZ", zone, 1);
    ::tzset();
    const bool is_known = std::setlocale(LC_ALL, locale) != nullptr;
    ::umask(mask);
    ::_exit(is_known && make_archive(source, target) ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0 ? "made" : "failed";
}

TEST_F(ArchiveTest, TimeZoneLocaleUmaskModesAndTimesDoNotMatter) {
  make_source();
  ASSERT_TRUE(make_archive(source, target));
  const Bytes expected = read(target);
  int number = 0;
  for (const char* zone : {"UTC", "America/New_York", "Asia/Kolkata"}) {
    for (const char* locale : {"C", "C.UTF-8"}) {
      for (const mode_t mask : {mode_t{0}, mode_t{077}}) {
        const fs::path other = folder() / ("other" + std::to_string(number++) + ".dig");
        fs::last_write_time(source / "index.html",
                            fs::file_time_type::clock::now() - std::chrono::hours(1000 * number));
        fs::permissions(source / "docs" / "a.txt", number % 2 == 0 ? fs::perms::owner_all : fs::perms::owner_read);
        ASSERT_EQ(digest_under(source, other, zone, locale, mask), "made") << zone << locale << mask;
        EXPECT_TRUE(read(other) == expected) << zone << locale << mask;
        struct stat status{};
        ASSERT_EQ(::stat(other.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600U);
      }
    }
  }
}

TEST_F(ArchiveTest, WhatWeMakeWeAccept) {
  make_source();
  const auto made = make_archive(source, target);
  ASSERT_TRUE(made);
  const auto checked = check_archive(target);
  ASSERT_TRUE(checked) << checked.error().message();
  EXPECT_EQ(checked->bytes, made->bytes);
  EXPECT_EQ(checked->files, made->files);
}

TEST_F(ArchiveTest, AnEmptyFolderGivesTheEmptyArchive) {
  fs::create_directories(source / "nothing" / "here");
  const auto made = make_archive(source, target);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->bytes, 22U);
  EXPECT_EQ(made->files, 0U);
  EXPECT_TRUE(check_archive(target));
}

TEST_F(ArchiveTest, OneFileIsAnArchiveOfOneEntry) {
  write(source, "just a file");
  const auto made = make_archive(source, target);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->files, 1U);
}

TEST_F(ArchiveTest, LinksAndDevicesAreRefusedByName) {
  make_source();
  fs::create_symlink("/etc/passwd", source / "docs" / "link");
  auto made = make_archive(source, target);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::not_a_regular_file);
  EXPECT_NE(made.error().detail().find("docs/link"), std::string::npos);
  fs::remove(source / "docs" / "link");
  fs::create_directory_symlink("/etc", source / "etc");
  EXPECT_EQ(make_error(), Errc::not_a_regular_file);
  fs::remove(source / "etc");
  ASSERT_EQ(::mkfifo((source / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(make_error(), Errc::not_a_regular_file);
  EXPECT_FALSE(fs::exists(target));
}

TEST_F(ArchiveTest, NamesThatOtherSystemsCannotHoldAreRefused) {
  for (const char* name : {"a:b", "a\\b", "con.txt", "dot.", "bad\xff", "esc\x1b"}) {
    write(source / name, "x");
    EXPECT_EQ(make_error(), Errc::bad_archive) << name;
    fs::remove_all(source);
  }
  write(source / ".git" / "config", "x");
  EXPECT_EQ(make_error(), Errc::bad_archive);
  fs::remove_all(source);
  write(source / "Readme", "x");
  write(source / "README", "x");
  EXPECT_EQ(make_error(), Errc::bad_archive);
}

TEST_F(ArchiveTest, MissingAndUnwritablePathsAreErrors) {
  EXPECT_EQ(make_error(), Errc::file_not_found);
  make_source();
  const auto made = make_archive(source, folder() / "no" / "such" / "folder.dig");
  EXPECT_FALSE(made);
  EXPECT_EQ(check_archive(folder() / "missing.dig").error().code(), Errc::file_not_found);
  EXPECT_EQ(check_archive(source).error().code(), Errc::not_a_regular_file);
}

TEST_F(ArchiveTest, ProgressCanCancel) {
  make_source();
  const auto made = make_archive(source, target, [](std::uint64_t, std::uint64_t) { return false; });
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::cancelled);
  ASSERT_TRUE(make_archive(source, target));
  EXPECT_EQ(check_archive(target, [](std::uint64_t, std::uint64_t) { return false; }).error().code(), Errc::cancelled);
}

// --- foreign archives: what only shows when the content is read ------------------------------------------------------

Errc check_error(const ZipBuilder& zip) {
  const Bytes bytes = zip.build();
  MemorySource source(bytes);
  const auto checked = check_archive(source);
  return checked ? Errc::internal : checked.error().code();
}

// Deflated by libzip itself.
Bytes deflated_archive(const fs::path& path, const Bytes& content) {
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  zip_source_t* source = zip_source_buffer(zip, content.data(), content.size(), 0);
  zip_file_add(zip, "data.bin", source, 0);
  EXPECT_EQ(zip_close(zip), 0);
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return to_bytes(text);
}

TEST_F(ArchiveTest, AWrongCrcIsFound) {
  ZipItem item = ZipItem::file("a.txt", "hello");
  EXPECT_EQ(check_error(ZipBuilder{}.add(item)), Errc::internal);  // none
  item.both(&ZipHeader::crc, item.local.crc ^ 1U);
  EXPECT_EQ(check_error(ZipBuilder{}.add(item)), Errc::bad_archive);
  item = ZipItem::file("a.txt", "hello");
  item.data[2] = std::byte{'L'};
  EXPECT_EQ(check_error(ZipBuilder{}.add(item)), Errc::bad_archive);
}

TEST_F(ArchiveTest, DeflatedEntriesAreInflatedAndMeasured) {
  Bytes content;
  for (int i = 0; i < 20'000; ++i) append(content, as_bytes(std::to_string(i)));
  const Bytes good = deflated_archive(target, content);
  EXPECT_TRUE(check_archive(target));
  // The inflated size in the directory (offset 24 of its header) and in the local header (22) lies by one.
  const std::size_t directory = good.size() - 22 - 46 - 8;
  for (const int delta : {-1, 1}) {
    Bytes bad = good;
    bad[22] = static_cast<std::byte>(std::to_integer<int>(bad[22]) + delta);
    bad[directory + 24] = static_cast<std::byte>(std::to_integer<int>(bad[directory + 24]) + delta);
    MemorySource damaged(bad);
    const auto checked = check_archive(damaged);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code(), Errc::bad_archive) << checked.error().message();
  }
}

TEST_F(ArchiveTest, ABombIsRefusedBeforeItIsInflated) {
  deflated_archive(target, Bytes(10'000'000));
  const auto checked = check_archive(target);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), Errc::limit_reached);
}

TEST_F(ArchiveTest, NestedArchivesAreJustBytes) {
  make_source();
  ASSERT_TRUE(make_archive(source, target));
  write(source / "inner.zip", read(target));
  write(source / "zz.zip", read(target));  // the last entry: its end record is close to ours
  ASSERT_TRUE(make_archive(source, folder() / "outer.dig"));
  const auto checked = check_archive(folder() / "outer.dig");
  EXPECT_TRUE(checked) << checked.error().message();
}

TEST_F(ArchiveTest, EveryPrefixAndEveryFlippedByteEndsWell) {
  const Bytes whole = ZipBuilder{}.add(ZipItem::file("a.txt", "hello")).add(ZipItem::file("b", "x")).build();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    MemorySource cut(BytesView(whole).first(size));
    EXPECT_FALSE(check_archive(cut));
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    Bytes changed = whole;
    changed[i] ^= std::byte{0xff};
    MemorySource flipped(changed);
    const auto checked = check_archive(flipped);
    if (checked) {
      EXPECT_EQ(checked->files, 2U);  // a time, a version or an attribute
    }
  }
}

}  // namespace
}  // namespace dig::store
