// SPDX-License-Identifier: Apache-2.0
#include "store/disk/resource_reader.hpp"

#include <algorithm>

#include "store/disk/zip_handle.hpp"
#include "store/merkle.hpp"

namespace dig::store {

// Every byte of the range must be here; the first that is not and all after it is what is missing.
Result<void> ResourceReader::expect_here(std::uint64_t offset, std::uint64_t size) {
  const std::uint64_t end = offset + size;
  while (offset < end) {
    std::byte probe;
    auto got = source_.read_at(offset, std::span(&probe, 1));
    if (!got) {
      if (got.error().code() == Errc::not_here) missing_ = Missing{offset, end - offset};
      return std::unexpected(got.error());
    }
    offset = (offset / k_chunk_size + 1) * k_chunk_size;
  }
  return {};
}

Result<ZipDirectory> ResourceReader::directory() {
  missing_.reset();
  // libzip looks for the end record in the last 64 KiB.
  const std::uint64_t size = source_.size();
  const std::uint64_t tail = std::min<std::uint64_t>(size, 65'536 + 22);
  DIG_CHECK(expect_here(size - tail, tail));
  DIG_TRY(const std::uint64_t offset, zip_directory_offset(source_, limits_));
  DIG_CHECK(expect_here(offset, size - offset));
  return read_zip_directory(source_, limits_);
}

Result<std::vector<ResourceReader::Resource>> ResourceReader::list() {
  DIG_TRY(const ZipDirectory directory, this->directory());
  std::vector<Resource> out;
  for (const ZipEntry& entry : directory.entries) {
    if (!entry.is_folder) out.push_back({entry.name, entry.size});
  }
  return out;
}

Result<std::uint64_t> ResourceReader::read(std::string_view key, const Sink& sink) {
  DIG_TRY(const ZipDirectory directory, this->directory());
  const ZipEntry* entry = directory.find(key);
  if (entry == nullptr || entry->is_folder) return fail(Errc::resource_not_found, key);
  DIG_CHECK(expect_here(entry->header_offset, entry->end - entry->header_offset));
  DIG_TRY(ZipHandle handle, ZipHandle::open(source_, directory));
  DIG_CHECK(handle.read(static_cast<std::size_t>(entry - directory.entries.data()), sink));
  return entry->size;
}

Result<Bytes> ResourceReader::read_all(std::string_view key, std::uint64_t max_bytes) {
  Bytes out;
  const auto keep = [&](BytesView piece) -> Result<void> {
    if (out.size() + piece.size() > max_bytes) return fail(Errc::limit_reached, "the resource is too large");
    append(out, piece);
    return {};
  };
  DIG_CHECK(read(key, keep));
  return out;
}

}  // namespace dig::store
