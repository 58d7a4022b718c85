// SPDX-License-Identifier: Apache-2.0
// A strict reading of a ZIP archive's structure (APPNOTE 6.3.10 §4.3), so that no two programs can see different
// contents in an archive that passes. Names follow resource_name.hpp.
//
// Refused, each with a message that names the entry: anything before the first entry, between two entries or after the
// end record; archive comments; several disks; entries that overlap; entries that collide in name, in case or in
// normalisation form, or where one is a folder in the other's path; encryption; methods other than stored and deflate;
// links, devices and set-id bits; Unicode path fields; sizes that lie; more than `ratio` bytes out of one.
//
// Thread-safety: functions of their arguments.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/archive_source.hpp"

namespace dig::store {

struct ZipLimits {
  std::size_t entries = 65'535;
  std::size_t directory_bytes = std::size_t{1} << 25;    // 32 MiB, held in memory while it is read
  std::uint64_t entry_bytes = std::uint64_t{1} << 40;    // inflated, of one entry
  std::uint64_t content_bytes = std::uint64_t{1} << 42;  // inflated, of all entries
  std::uint64_t ratio = 200;                             // inflated bytes for one stored byte
  std::uint64_t ratio_from = 65'536;                     // smaller entries may have any ratio
};

struct ZipEntry {
  std::string name;  // a folder's ends in '/'
  bool is_folder = false;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;  // 0 stored, 8 deflate
  std::uint32_t crc = 0;
  std::uint64_t stored_size = 0;
  std::uint64_t size = 0;
  std::uint64_t header_offset = 0;
  std::uint64_t end = 0;  // where the next entry or the directory begins
};

struct ZipDirectory {
  std::vector<ZipEntry> entries;  // in the order of the directory
  std::uint64_t files = 0;        // entries that are not folders

  [[nodiscard]] const ZipEntry* find(std::string_view name) const;
};

// Reads the end record and the central directory, nothing else. Errors: bad_archive, limit_reached, the source's own.
[[nodiscard]] Result<ZipDirectory> read_zip_directory(ArchiveSource& source, const ZipLimits& limits = {});

// Where the central directory begins; reads only the end records.
[[nodiscard]] Result<std::uint64_t> zip_directory_offset(ArchiveSource& source, const ZipLimits& limits = {});

// Compares the entry's local header (and data descriptor) with the directory, and that the data fills the space up to
// entry.end exactly; returns where the data begins.
[[nodiscard]] Result<std::uint64_t> check_local_entry(ArchiveSource& source, const ZipEntry& entry);

}  // namespace dig::store
