// SPDX-License-Identifier: Apache-2.0
// Reads one resource out of an archive, also out of one of which only some chunks are here: reading what is not here
// stops with the missing byte range, so that the caller can fetch it and try again.
//
//   ResourceReader reader(source);
//   while (true) {
//     auto done = reader.read(key, sink);
//     if (done || !reader.missing()) return done;      // finished, or failed for good
//     fetch(chunks_of_bytes(reader.missing()->offset, reader.missing()->size));
//   }
//
// Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/archive_source.hpp"
#include "store/zip_directory.hpp"

namespace dig::store {

class ResourceReader {
 public:
  using Limits = ZipLimits;
  struct Missing {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  struct Resource {
    std::string name;
    std::uint64_t size = 0;  // inflated
  };

  explicit ResourceReader(ArchiveSource& source) : ResourceReader(source, Limits{}) {}
  ResourceReader(ArchiveSource& source, Limits limits) : source_(source), limits_(limits) {}

  // The files in the archive. Errors: bad_archive, not_here.
  [[nodiscard]] Result<std::vector<Resource>> list();
  // Hands the content of a resource to `sink`, piece by piece and in order; returns its size. A second try begins at
  // the beginning again. Errors: resource_not_found, bad_archive, limit_reached, not_here, the sink's own.
  using Sink = std::function<Result<void>(BytesView)>;
  [[nodiscard]] Result<std::uint64_t> read(std::string_view key, const Sink& sink);
  [[nodiscard]] Result<Bytes> read_all(std::string_view key, std::uint64_t max_bytes);

  // What the last call lacked, when it failed with not_here: all of the entry's bytes once its place is known, so that
  // few rounds are needed.
  [[nodiscard]] const std::optional<Missing>& missing() const noexcept { return missing_; }

 private:
  [[nodiscard]] Result<ZipDirectory> directory();
  [[nodiscard]] Result<void> expect_here(std::uint64_t offset, std::uint64_t size);

  ArchiveSource& source_;
  Limits limits_;
  std::optional<Missing> missing_;
};

}  // namespace dig::store
