// SPDX-License-Identifier: Apache-2.0
// Writing what was fetched to where the user wants it. Blocks on the disk: for workers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "dignet/error.hpp"
#include "store/disk/local_store.hpp"
#include "store/disk/resource_reader.hpp"

namespace dignet {

struct Exported {
  std::uint64_t bytes = 0;
  std::string sha256;            // hex; empty when not asked for
  std::filesystem::path output;  // where it was written; empty when nowhere
};

// Copies a whole archive out of the local store, as it is there. A folder as `output` gets the file <store id>.dig.
[[nodiscard]] Result<Exported> export_store(dig::store::LocalStore& store, const dig::store::StoreInfo& info,
                                            const std::filesystem::path& output);
// Writes one resource out of an archive, complete or not; `missing` says what is not here when that is why it failed.
// A folder as `output` gets a file named as the last part of the key. Nothing is visible there before it is complete.
[[nodiscard]] Result<Exported> export_resource(dig::store::ArchiveSource& archive, std::string_view key,
                                               const std::filesystem::path& output, bool want_sha256,
                                               std::optional<dig::store::ResourceReader::Missing>& missing);

}  // namespace dignet
