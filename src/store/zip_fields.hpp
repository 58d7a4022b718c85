// SPDX-License-Identifier: Apache-2.0
// The fixed records of a ZIP archive, decoded field by field (APPNOTE 6.3.10 §4.3.7-4.3.16, little-endian).
#pragma once

#include <cstdint>
#include <optional>

#include "base/byte_reader.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig::store {

struct ZipEnd {
  static constexpr std::size_t bytes = 22;  // without the comment
  std::uint16_t disk, directory_disk, entries_here, entries;
  std::uint32_t directory_size, directory_offset;
  std::uint16_t comment_size;
  [[nodiscard]] static Result<ZipEnd> decode(BytesView input);
};

struct ZipEnd64Locator {
  static constexpr std::size_t bytes = 20;
  std::uint32_t disk;
  std::uint64_t offset;
  std::uint32_t disks;
  [[nodiscard]] static Result<ZipEnd64Locator> decode(BytesView input);
};

struct ZipEnd64 {
  static constexpr std::size_t bytes = 56;  // without extensible data, which is refused
  std::uint32_t disk, directory_disk;
  std::uint64_t entries_here, entries, directory_size, directory_offset;
  [[nodiscard]] static Result<ZipEnd64> decode(BytesView input);
};

struct ZipDirectoryHeader {
  static constexpr std::size_t bytes = 46;  // without name, extra field and comment
  std::uint16_t flags, method;
  std::uint32_t crc, stored_size, size;
  std::uint16_t disk;
  std::uint32_t external_attributes, offset;
  BytesView name, extra;
  [[nodiscard]] static Result<ZipDirectoryHeader> decode(ByteReaderLittle& reader);
};

struct ZipLocalHeader {
  static constexpr std::size_t bytes = 30;  // without name and extra field
  std::uint16_t flags, method;
  std::uint32_t crc, stored_size, size;
  std::uint16_t name_size, extra_size;
  [[nodiscard]] static Result<ZipLocalHeader> decode(BytesView input);
};

// With or without a signature, with 32- or 64-bit sizes: the length tells them apart.
struct ZipDescriptor {
  static constexpr std::size_t max_bytes = 24;
  std::uint32_t crc;
  std::uint64_t stored_size, size;
  [[nodiscard]] static Result<ZipDescriptor> decode(BytesView input);
};

// Replaces all-ones 32-bit values by those of the ZIP64 field (0x0001) of `extra`. Errors: bad_archive when there is
// no such field, more than one, or one that is too short.
[[nodiscard]] Result<void> apply_zip64_extra(BytesView extra, std::uint64_t& size, std::uint64_t& stored_size,
                                             std::uint64_t* offset);

}  // namespace dig::store
