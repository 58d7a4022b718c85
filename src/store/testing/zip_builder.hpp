// SPDX-License-Identifier: Apache-2.0
// Test-only: builds ZIP archives byte by byte, so that a test can make any field lie.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace dig::store::testing {

// CRC-32 as ZIP uses it (ISO 3309, reflected polynomial 0xedb88320).
inline std::uint32_t crc32(BytesView bytes) {
  std::uint32_t crc = 0xffff'ffff;
  for (const std::byte b : bytes) {
    crc ^= std::to_integer<std::uint32_t>(b);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb8'8320U : 0U);
  }
  return ~crc;
}

class LittleWriter {
 public:
  explicit LittleWriter(Bytes& out) : out_(out) {}
  LittleWriter& u16(std::uint64_t value) { return integer(value, 2); }
  LittleWriter& u32(std::uint64_t value) { return integer(value, 4); }
  LittleWriter& u64(std::uint64_t value) { return integer(value, 8); }
  LittleWriter& bytes(BytesView value) {
    append(out_, value);
    return *this;
  }

 private:
  LittleWriter& integer(std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) out_.push_back(static_cast<std::byte>(value >> (8 * i)));
    return *this;
  }
  Bytes& out_;
};

// One set of header fields; an entry has two of them, and both can lie.
struct ZipHeader {
  std::string name;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint32_t stored_size = 0;
  std::uint32_t size = 0;
  Bytes extra;
};

struct ZipItem {
  ZipHeader local;
  ZipHeader central;
  Bytes data;        // as stored
  Bytes after_data;  // descriptor, or bytes that should not be there
  std::uint32_t attributes = 0100644U << 16;
  std::uint16_t disk = 0;
  std::optional<std::uint32_t> offset;  // in place of the true one

  static ZipItem file(const std::string& name, std::string_view content) {
    ZipItem item;
    item.data = to_bytes(content);
    item.local = {.name = name,
                  .flags = 0,
                  .method = 0,
                  .crc = crc32(item.data),
                  .stored_size = static_cast<std::uint32_t>(content.size()),
                  .size = static_cast<std::uint32_t>(content.size()),
                  .extra = {}};
    item.central = item.local;
    return item;
  }
  static ZipItem folder(const std::string& name) {
    ZipItem item = file(name, "");
    item.attributes = 0040755U << 16;
    return item;
  }
  // Changes the same field in both headers.
  template <class Field, class Value>
  ZipItem& both(Field ZipHeader::* field, const Value& value) {
    local.*field = static_cast<Field>(value);
    central.*field = static_cast<Field>(value);
    return *this;
  }
};

struct ZipBuilder {
  std::vector<ZipItem> items;
  Bytes before;  // first entry
  Bytes before_directory;
  std::uint16_t disk = 0;
  std::optional<std::uint16_t> entries, entries_here;
  std::optional<std::uint32_t> directory_size, directory_offset;
  Bytes between;  // directory and end record: ZIP64 records
  Bytes comment;
  std::optional<std::uint16_t> comment_size;
  Bytes after;  // the end record

  struct Places {
    std::uint64_t directory_offset = 0;
    std::uint64_t directory_size = 0;
  };
  mutable Places places;

  ZipBuilder& add(ZipItem item) {
    items.push_back(std::move(item));
    return *this;
  }

  [[nodiscard]] Bytes build() const {
    Bytes out = before;
    LittleWriter writer(out);
    std::vector<std::uint64_t> offsets;
    for (const ZipItem& item : items) {
      offsets.push_back(out.size());
      const ZipHeader& h = item.local;
      writer.u32(0x04034b50).u16(20).u16(h.flags).u16(h.method).u16(0).u16(33).u32(h.crc).u32(h.stored_size);
      writer.u32(h.size).u16(h.name.size()).u16(h.extra.size()).bytes(as_bytes(h.name)).bytes(h.extra);
      writer.bytes(item.data).bytes(item.after_data);
    }
    writer.bytes(before_directory);
    places.directory_offset = out.size();
    for (std::size_t i = 0; i < items.size(); ++i) {
      const ZipItem& item = items[i];
      const ZipHeader& h = item.central;
      writer.u32(0x02014b50).u16(0x031e).u16(20).u16(h.flags).u16(h.method).u16(0).u16(33).u32(h.crc);
      writer.u32(h.stored_size).u32(h.size).u16(h.name.size()).u16(h.extra.size()).u16(0).u16(item.disk).u16(0);
      writer.u32(item.attributes).u32(item.offset.value_or(static_cast<std::uint32_t>(offsets[i])));
      writer.bytes(as_bytes(h.name)).bytes(h.extra);
    }
    places.directory_size = out.size() - places.directory_offset;
    writer.bytes(between).u32(0x06054b50).u16(disk).u16(disk);
    writer.u16(entries_here.value_or(static_cast<std::uint16_t>(items.size())));
    writer.u16(entries.value_or(static_cast<std::uint16_t>(items.size())));
    writer.u32(directory_size.value_or(static_cast<std::uint32_t>(places.directory_size)));
    writer.u32(directory_offset.value_or(static_cast<std::uint32_t>(places.directory_offset)));
    writer.u16(comment_size.value_or(static_cast<std::uint16_t>(comment.size()))).bytes(comment).bytes(after);
    return out;
  }
};

}  // namespace dig::store::testing
