// SPDX-License-Identifier: Apache-2.0
// `.dig` archives: ZIP files, made so that the same folder always gives the same bytes (design §7), and checked before
// a foreign one is accepted.
//
// Thread-safety: the functions may run on any thread and block on the disk; they share nothing.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/archive_source.hpp"
#include "store/disk/file.hpp"

namespace dig::store {

struct ArchiveInfo {
  std::uint64_t bytes = 0;  // of the archive
  std::uint64_t files = 0;  // entries that are files
};

// Makes the archive `target` (which must not exist) of a folder, or of one file. Entries are sorted bytewise and
// stored, with one fixed time, fixed attributes and no extra fields. Empty folders leave no trace.
// Errors: not_a_regular_file and bad_archive name the entry; limit_reached; the errors of files.
[[nodiscard]] Result<ArchiveInfo> make_archive(const fs::path& source, const fs::path& target,
                                               const Progress& progress = {});

// Whether an archive is acceptable: its structure (zip_directory.hpp), the local headers, and the content of every
// entry, which is read whole. Errors: bad_archive, whose detail names the entry and the reason; the errors of files.
[[nodiscard]] Result<ArchiveInfo> check_archive(ArchiveSource& archive, const Progress& progress = {});
[[nodiscard]] Result<ArchiveInfo> check_archive(const File& archive, const Progress& progress = {});
[[nodiscard]] Result<ArchiveInfo> check_archive(const fs::path& archive, const Progress& progress = {});

}  // namespace dig::store
