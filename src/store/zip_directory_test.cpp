// SPDX-License-Identifier: Apache-2.0
#include "store/zip_directory.hpp"

#include <gtest/gtest.h>

#include "store/testing/zip_builder.hpp"

namespace dig::store {
namespace {

using testing::LittleWriter;
using testing::ZipBuilder;
using testing::ZipHeader;
using testing::ZipItem;

// The directory and every local entry.
Result<ZipDirectory> check(BytesView bytes, const ZipLimits& limits = {}) {
  MemorySource source(bytes);
  DIG_TRY(ZipDirectory directory, read_zip_directory(source, limits));
  for (const ZipEntry& entry : directory.entries) DIG_CHECK(check_local_entry(source, entry));
  return directory;
}

void expect_bad(const ZipBuilder& zip, std::string_view reason, Errc code = Errc::bad_archive) {
  const auto result = check(zip.build());
  ASSERT_FALSE(result) << reason;
  EXPECT_EQ(result.error().code(), code) << result.error().message();
  EXPECT_NE(result.error().detail().find(reason), std::string::npos) << result.error().message();
}

void expect_bad(const ZipItem& item, std::string_view reason, Errc code = Errc::bad_archive) {
  expect_bad(ZipBuilder{}.add(item), reason, code);
}

ZipBuilder two_files() {
  return ZipBuilder{}.add(ZipItem::file("a.txt", "hello")).add(ZipItem::file("b/c.txt", "world"));
}

Bytes zip64_extra(std::initializer_list<std::uint64_t> values) {
  Bytes out;
  LittleWriter writer(out);
  writer.u16(1).u16(values.size() * 8);
  for (const std::uint64_t value : values) writer.u64(value);
  return out;
}

TEST(ZipDirectory, AnOrdinaryArchiveIsRead) {
  ZipBuilder zip = two_files();
  zip.add(ZipItem::folder("b/"));
  const auto directory = check(zip.build());
  ASSERT_TRUE(directory) << directory.error().message();
  EXPECT_EQ(directory->entries.size(), 3U);
  EXPECT_EQ(directory->files, 2U);
  ASSERT_NE(directory->find("b/c.txt"), nullptr);
  EXPECT_EQ(directory->find("b/c.txt")->size, 5U);
  EXPECT_EQ(directory->find("missing"), nullptr);
}

TEST(ZipDirectory, TheEmptyArchiveIsAccepted) {
  const auto directory = check(ZipBuilder{}.build());
  ASSERT_TRUE(directory);
  EXPECT_TRUE(directory->entries.empty());
}

TEST(ZipDirectory, NoPrefixOfAnArchiveIsAnArchive) {
  const Bytes whole = two_files().build();
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(check(BytesView(whole).first(size))) << size;
}

TEST(ZipDirectory, NothingMayStandBeforeBetweenOrAfter) {
  ZipBuilder zip = two_files();
  zip.before = to_bytes("#!/bin/sh\n");
  expect_bad(zip, "before the first entry");
  zip = two_files();
  zip.items[0].after_data = to_bytes("x");
  expect_bad(zip, "between two entries");
  zip = two_files();
  zip.items[1].after_data = to_bytes(std::string(70'000, 'x'));
  expect_bad(zip, "between two entries");
  zip = two_files();
  zip.before_directory = to_bytes("x");
  expect_bad(zip, "between two entries");
  zip = two_files();
  zip.between = to_bytes("x");
  expect_bad(zip, "does not reach up to the end record");
  zip = two_files();
  zip.after = to_bytes("x");
  expect_bad(zip, "end record");
}

TEST(ZipDirectory, CommentsAreRefusedBecauseTheyCouldHideASecondEndRecord) {
  ZipBuilder zip = two_files();
  zip.comment = to_bytes("hello");
  expect_bad(zip, "end record");
  zip.comment = ZipBuilder{}.build();
  expect_bad(zip, "does not reach up to the end record");
  zip.comment = to_bytes(std::string(65'535, 'c'));
  expect_bad(zip, "end record");
  zip = two_files();
  zip.comment_size = 1;
  expect_bad(zip, "end record");
}

TEST(ZipDirectory, LiesOfTheEndRecordAreNoticed) {
  for (const int delta : {-1, 1, 1000}) {
    ZipBuilder zip = two_files();
    (void)zip.build();
    zip.directory_size = static_cast<std::uint32_t>(static_cast<int>(zip.places.directory_size) + delta);
    EXPECT_FALSE(check(zip.build()));
    zip = two_files();
    (void)zip.build();
    zip.directory_offset = static_cast<std::uint32_t>(static_cast<int>(zip.places.directory_offset) + delta);
    EXPECT_FALSE(check(zip.build()));
  }
  for (const int count : {0, 1, 3, 65'535}) {
    ZipBuilder zip = two_files();
    zip.entries = zip.entries_here = static_cast<std::uint16_t>(count);
    EXPECT_FALSE(check(zip.build())) << count;
  }
  ZipBuilder zip = two_files();
  zip.entries_here = 1;
  expect_bad(zip, "several disks");
  zip = two_files();
  zip.disk = 1;
  expect_bad(zip, "several disks");
  zip = two_files();
  zip.items[0].disk = 1;
  expect_bad(zip, "several disks");
  zip = two_files();
  zip.directory_offset = zip.directory_size = 0xffff'ffff;
  expect_bad(zip, "does not reach up to the end record");
}

Bytes zip64_records(std::uint64_t entries, std::uint64_t size, std::uint64_t offset, std::uint64_t record_offset,
                    std::uint64_t record_size = 44) {
  Bytes out;
  LittleWriter writer(out);
  writer.u32(0x06064b50).u64(record_size).u16(45).u16(45).u32(0).u32(0).u64(entries).u64(entries).u64(size).u64(offset);
  writer.u32(0x07064b50).u32(0).u64(record_offset).u32(1);
  return out;
}

TEST(ZipDirectory, Zip64EndRecordsAreReadAndChecked) {
  ZipBuilder zip = two_files();
  (void)zip.build();
  const auto [offset, size] = zip.places;
  const std::uint64_t record = offset + size;
  zip.directory_offset = zip.directory_size = 0xffff'ffff;
  zip.entries = zip.entries_here = 0xffff;
  zip.between = zip64_records(2, size, offset, record);
  EXPECT_TRUE(check(zip.build())) << check(zip.build()).error().message();
  zip.between = zip64_records(2, size, offset, record + 1);
  expect_bad(zip, "not where it must be");
  zip.between = zip64_records(2, size, offset, UINT64_MAX);
  expect_bad(zip, "not where it must be");
  zip.between = zip64_records(2, size, offset, record, 45);
  expect_bad(zip, "damaged");
  for (const std::uint64_t lie : {std::uint64_t{0}, size + 1, std::uint64_t{1} << 63, UINT64_MAX}) {
    zip.between = zip64_records(2, lie, offset, record);
    EXPECT_FALSE(check(zip.build()));
    zip.between = zip64_records(2, size, lie, record);
    EXPECT_FALSE(check(zip.build()));
    zip.between = zip64_records(lie, size, offset, record);
    EXPECT_FALSE(check(zip.build()));
  }
  zip.directory_size = static_cast<std::uint32_t>(size - 1);
  zip.between = zip64_records(2, size, offset, record);
  expect_bad(zip, "disagree");
}

TEST(ZipDirectory, Zip64SizesOfEntriesAreRead) {
  ZipItem item = ZipItem::file("a", "hello");
  item.both(&ZipHeader::size, 0xffff'ffff).both(&ZipHeader::stored_size, 0xffff'ffff);
  item.both(&ZipHeader::extra, zip64_extra({5, 5}));
  EXPECT_TRUE(check(ZipBuilder{}.add(item).build()));
  item.central.extra = zip64_extra({5});
  expect_bad(item, "ZIP64");
  item.central.extra = {};
  expect_bad(item, "ZIP64");
  item.central.extra = zip64_extra({5, 5});
  append(item.central.extra, zip64_extra({5, 5}));
  expect_bad(item, "two ZIP64 fields");
  for (const std::uint64_t lie : {std::uint64_t{4}, std::uint64_t{1} << 41, std::uint64_t{1} << 63, UINT64_MAX}) {
    item.central.extra = zip64_extra({lie, lie});
    EXPECT_FALSE(check(ZipBuilder{}.add(item).build())) << lie;
  }
}

TEST(ZipDirectory, LocalHeaderAndDirectoryMustAgree) {
  const auto differs = [](auto change) {
    ZipItem item = ZipItem::file("a.txt", "hello");
    change(item.local);
    expect_bad(item, "disagree");
  };
  differs([](ZipHeader& h) { h.name = "b.txt"; });
  differs([](ZipHeader& h) { h.crc ^= 1; });
  differs([](ZipHeader& h) { h.size = 4; });
  differs([](ZipHeader& h) { h.stored_size = 6; });
  differs([](ZipHeader& h) { h.method = 8; });
  differs([](ZipHeader& h) { h.flags = 1U << 3; });
  differs([](ZipHeader& h) { h.flags = 1U << 11; });
  differs([](ZipHeader& h) { h.flags = 1U << 0; });
}

TEST(ZipDirectory, DataDescriptorsAreAcceptedWhenTheyAreRight) {
  for (const bool has_signature : {false, true}) {
    for (const bool is_wide : {false, true}) {
      for (const std::uint64_t lie : {0U, 1U}) {
        ZipItem item = ZipItem::file("a.txt", "hello");
        item.both(&ZipHeader::flags, 1U << 3);
        const std::uint32_t crc = item.local.crc;
        item.local.crc = item.local.size = item.local.stored_size = 0;
        LittleWriter writer(item.after_data);
        if (has_signature) writer.u32(0x08074b50);
        writer.u32(crc);
        is_wide ? writer.u64(5).u64(5 + lie) : writer.u32(5).u32(5 + lie);
        EXPECT_EQ(check(ZipBuilder{}.add(item).build()).has_value(), lie == 0);
        item.after_data.pop_back();
        EXPECT_FALSE(check(ZipBuilder{}.add(item).build()));
      }
    }
  }
  ZipItem missing = ZipItem::file("a.txt", "hello");
  missing.both(&ZipHeader::flags, 1U << 3);
  expect_bad(missing, "data descriptor");
}

TEST(ZipDirectory, OverlappingEntriesAreRefused) {
  ZipBuilder zip = two_files();
  zip.items[1].offset = 0;
  expect_bad(zip, "overlap");
  zip = two_files();
  zip.items[1].offset = 10;  // inside the first
  expect_bad(zip, "overlap");
  zip = two_files();
  zip.items[0].central.stored_size = zip.items[0].central.size = 60;  // quotes the second's header
  expect_bad(zip, "overlap");
  zip = two_files();
  zip.items[1].offset = 0xffff'fff0;
  EXPECT_FALSE(check(zip.build()));
  zip = two_files();
  zip.items[1].offset = 1'000'000;
  EXPECT_FALSE(check(zip.build()));
  Bytes bytes = ZipBuilder{}.add(ZipItem::file("a", "x")).build();
  bytes[28] = std::byte{0xff};  // the length of the extra field reaches past the entry
  EXPECT_FALSE(check(bytes));
}

TEST(ZipDirectory, HostileNamesAreRefused) {
  for (const std::string name : {"", "../x", "a/../../x", "/abs", "C:x", "..\\x", ".", "..", "./x", "dot.", "space ",
                                 "CON", ".git/config", "a//b", "\xff", "\xc0\xae", "a\u202e", "a\x1b[0m"}) {
    EXPECT_FALSE(check(ZipBuilder{}.add(ZipItem::file(name, "x")).build())) << name;
    ZipItem utf8 = ZipItem::file(name, "x");
    utf8.both(&ZipHeader::flags, 1U << 11);
    EXPECT_FALSE(check(ZipBuilder{}.add(utf8).build())) << name;
    EXPECT_FALSE(check(ZipBuilder{}.add(ZipItem::folder(name + "/")).build())) << name;
  }
  EXPECT_FALSE(check(ZipBuilder{}.add(ZipItem::file(std::string("a\0b", 3), "x")).build()));
  EXPECT_FALSE(check(ZipBuilder{}.add(ZipItem::file(std::string(256, 'a'), "x")).build()));
  EXPECT_TRUE(check(ZipBuilder{}.add(ZipItem::file(std::string(255, 'a'), "x")).build()));
}

TEST(ZipDirectory, CollidingNamesAreRefused) {
  const auto pair = [](const ZipItem& a, const ZipItem& b) { return ZipBuilder{}.add(a).add(b); };
  const auto file = [](const std::string& name) { return ZipItem::file(name, ""); };
  expect_bad(pair(file("a"), file("a")), "same name");
  expect_bad(pair(file("README"), file("readme")), "same name");
  expect_bad(pair(file("\u00e9"), file("e\u0301")), "same name");
  expect_bad(pair(file("x"), ZipItem::folder("x/")), "same name");
  expect_bad(pair(ZipItem::folder("x/"), ZipItem::folder("X/")), "same name");
  expect_bad(pair(file("a"), file("a/b")), "in the path");
  expect_bad(pair(file("a/b/c"), file("A/B")), "in the path");
  expect_bad(ZipBuilder{}.add(file("a")).add(file("a.x")).add(file("a b")).add(file("a/b")), "in the path");
  EXPECT_TRUE(check(pair(ZipItem::folder("a/"), file("a/b")).build()));
  EXPECT_TRUE(check(pair(file("a"), file("ab/c")).build()));
}

TEST(ZipDirectory, LinksDevicesAndSetIdBitsAreRefused) {
  for (const std::uint32_t mode : {0120777U, 0020666U, 0060666U, 0010666U, 0140666U, 0040755U}) {
    ZipItem item = ZipItem::file("a", "x");
    item.attributes = mode << 16;
    expect_bad(item, "no links or devices");
  }
  for (const std::uint32_t mode : {0104755U, 0102755U, 0101755U}) {
    ZipItem item = ZipItem::file("a", "x");
    item.attributes = mode << 16;
    expect_bad(item, "set-id");
  }
  ZipItem folder = ZipItem::folder("a/");
  folder.attributes = 0100644U << 16;
  expect_bad(folder, "no links or devices");
  ZipItem dos = ZipItem::file("a", "x");
  dos.attributes = 0x20;
  EXPECT_TRUE(check(ZipBuilder{}.add(dos).build()));
}

TEST(ZipDirectory, FeaturesThatAreNotSupportedAreRefused) {
  for (const int bit : {0, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15}) {
    ZipItem item = ZipItem::file("a", "x");
    item.both(&ZipHeader::flags, 1U << bit);
    EXPECT_FALSE(check(ZipBuilder{}.add(item).build())) << bit;
  }
  for (const int method : {1, 6, 9, 12, 14, 93, 95, 98, 99, 65'535}) {
    ZipItem item = ZipItem::file("a", "x");
    item.both(&ZipHeader::method, method);
    expect_bad(item, "compression method");
  }
}

TEST(ZipDirectory, ExtraFieldsAreChecked) {
  const auto with_extra = [](std::initializer_list<int> bytes) {
    ZipItem item = ZipItem::file("a", "x");
    for (const int b : bytes) item.central.extra.push_back(static_cast<std::byte>(b));
    return item;
  };
  EXPECT_TRUE(check(ZipBuilder{}.add(with_extra({0x55, 0x54, 1, 0, 7})).build()));
  expect_bad(with_extra({0x55}), "extra field");
  expect_bad(with_extra({0x55, 0x54, 1}), "extra field");
  expect_bad(with_extra({0x55, 0x54, 2, 0, 7}), "extra field");
  expect_bad(with_extra({0x55, 0x54, 0xff, 0xff}), "extra field");
  expect_bad(with_extra({0x75, 0x70, 0, 0}), "Unicode path");
  expect_bad(with_extra({0x75, 0x63, 0, 0}), "Unicode path");
  expect_bad(with_extra({0x01, 0x99, 0, 0}), "encrypted");
  expect_bad(with_extra({0x17, 0x00, 0, 0}), "encrypted");
}

TEST(ZipDirectory, SizesThatLieAreRefused) {
  ZipItem item = ZipItem::file("a", "hello");
  item.both(&ZipHeader::size, 6);
  expect_bad(item, "sizes of a stored entry differ");
  item = ZipItem::file("a", "hello");
  item.both(&ZipHeader::size, 4).both(&ZipHeader::stored_size, 4);
  expect_bad(item, "between two entries");
  item = ZipItem::file("a", "hello");
  item.both(&ZipHeader::size, 6).both(&ZipHeader::stored_size, 6);
  expect_bad(item, "overlap");
  ZipItem folder = ZipItem::folder("a/");
  folder.both(&ZipHeader::size, 1).both(&ZipHeader::stored_size, 1);
  folder.data = to_bytes("x");
  expect_bad(folder, "folder has content");
}

TEST(ZipDirectory, BombsAreRefusedByRatioAndSize) {
  ZipItem item = ZipItem::file("a", std::string(1000, 'x'));
  item.both(&ZipHeader::method, 8);
  item.both(&ZipHeader::size, 200'199);
  EXPECT_TRUE(check(ZipBuilder{}.add(item).build()));
  item.both(&ZipHeader::size, 201'000);
  expect_bad(item, "200 times", Errc::limit_reached);
  item.both(&ZipHeader::size, 0xffff'fffe);
  expect_bad(item, "200 times", Errc::limit_reached);
  const Bytes ordinary = two_files().build();
  EXPECT_TRUE(check(ordinary, {.entry_bytes = 5}));
  EXPECT_EQ(check(ordinary, {.entry_bytes = 4}).error().code(), Errc::limit_reached);
  EXPECT_TRUE(check(ordinary, {.content_bytes = 10}));
  EXPECT_EQ(check(ordinary, {.content_bytes = 9}).error().code(), Errc::limit_reached);
  EXPECT_TRUE(check(ordinary, {.entries = 2}));
  EXPECT_EQ(check(ordinary, {.entries = 1}).error().code(), Errc::limit_reached);
  EXPECT_EQ(check(ordinary, {.directory_bytes = 90}).error().code(), Errc::limit_reached);
}

TEST(ZipDirectory, NoSingleChangedByteMakesItReadOutside) {
  const Bytes whole = two_files().build();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      Bytes changed = whole;
      changed[i] = static_cast<std::byte>(value);
      const auto directory = check(changed);
      if (!directory) continue;
      for (const ZipEntry& entry : directory->entries) {
        EXPECT_LE(entry.end, whole.size());
        EXPECT_LE(entry.header_offset + 30 + entry.name.size() + entry.stored_size, entry.end);
      }
    }
  }
}

}  // namespace
}  // namespace dig::store
