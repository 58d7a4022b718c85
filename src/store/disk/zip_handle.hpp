// SPDX-License-Identifier: Apache-2.0
// libzip over an ArchiveSource, for reading. libzip finds the directory by itself; opening compares what it found with
// our own strict reading, so that both always mean the same entries.
//
// Thread-safety: one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/archive_source.hpp"
#include "store/zip_directory.hpp"

struct zip;

namespace dig::store {

class ZipHandle {
 public:
  // `source` and `directory` must outlive the handle. Errors: bad_archive, the source's own.
  [[nodiscard]] static Result<ZipHandle> open(ArchiveSource& source, const ZipDirectory& directory);
  ~ZipHandle();
  ZipHandle(ZipHandle&& other) noexcept;
  ZipHandle& operator=(ZipHandle&&) = delete;

  // Hands the inflated content of directory.entries[index] to `sink`, piece by piece. Checks the local header, the CRC
  // and the size. Errors: bad_archive, the source's and the sink's own.
  using Sink = std::function<Result<void>(BytesView)>;
  [[nodiscard]] Result<void> read(std::size_t index, const Sink& sink);

 private:
  struct Reader;
  ZipHandle(std::unique_ptr<Reader> reader, const ZipDirectory& directory);
  [[nodiscard]] Result<void> compare() const;

  std::unique_ptr<Reader> reader_;
  const ZipDirectory* directory_;
  zip* archive_ = nullptr;
};

}  // namespace dig::store
