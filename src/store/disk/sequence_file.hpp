// SPDX-License-Identifier: Apache-2.0
// <home>/record.sequence: the highest sequence number that this identity has signed its node records with, in decimal.
// Whatever the clock says at the next start, what is signed then is newer.
//
// Thread-safety: any thread; write() by one at a time.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "store/disk/file.hpp"

namespace dig::store {

[[nodiscard]] fs::path sequence_file(const fs::path& home);
// 0 where there is no file. Errors: malformed, the errors of files.
[[nodiscard]] Result<std::uint64_t> read_sequence(const fs::path& file);
// Durably.
[[nodiscard]] Result<void> write_sequence(const fs::path& file, std::uint64_t sequence);

}  // namespace dig::store
