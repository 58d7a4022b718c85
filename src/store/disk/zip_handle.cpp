// SPDX-License-Identifier: Apache-2.0
#include "store/disk/zip_handle.hpp"

#include <zip.h>

#include <cstdio>
#include <string>
#include <utility>

namespace dig::store {

// What libzip sees as a seekable file. The first error of the source is kept, because libzip has no room for it.
struct ZipHandle::Reader {
  ArchiveSource& source;
  std::uint64_t position = 0;
  std::optional<Error> failure;

  zip_int64_t read(void* data, zip_uint64_t size) {
    auto got = source.read_at(position, {static_cast<std::byte*>(data), static_cast<std::size_t>(size)});
    if (!got) {
      if (!failure) failure = got.error();
      return -1;
    }
    position += *got;
    return static_cast<zip_int64_t>(*got);
  }

  zip_int64_t seek(void* data, zip_uint64_t size) {
    const auto* arguments = ZIP_SOURCE_GET_ARGS(zip_source_args_seek_t, data, size, nullptr);
    if (arguments == nullptr) return -1;
    std::uint64_t base = 0;
    if (arguments->whence == SEEK_CUR) base = position;
    if (arguments->whence == SEEK_END) base = source.size();
    const std::int64_t target = static_cast<std::int64_t>(base) + arguments->offset;
    if (target < 0 || static_cast<std::uint64_t>(target) > source.size()) return -1;
    position = static_cast<std::uint64_t>(target);
    return 0;
  }

  zip_int64_t status(void* data) const {
    auto* stat = static_cast<zip_stat_t*>(data);
    zip_stat_init(stat);
    stat->size = source.size();
    stat->valid = ZIP_STAT_SIZE;
    return sizeof(zip_stat_t);
  }

  static zip_int64_t call(void* self, void* data, zip_uint64_t size, zip_source_cmd_t command) {
    auto* reader = static_cast<Reader*>(self);
    switch (command) {
      case ZIP_SOURCE_OPEN:
        reader->position = 0;
        return 0;
      case ZIP_SOURCE_READ:
        return reader->read(data, size);
      case ZIP_SOURCE_SEEK:
        return reader->seek(data, size);
      case ZIP_SOURCE_TELL:
        return static_cast<zip_int64_t>(reader->position);
      case ZIP_SOURCE_STAT:
        return reader->status(data);
      case ZIP_SOURCE_ERROR: {
        auto* codes = static_cast<int*>(data);
        codes[0] = ZIP_ER_READ;
        codes[1] = 0;
        return 2 * sizeof(int);
      }
      case ZIP_SOURCE_CLOSE:
      case ZIP_SOURCE_FREE:
        return 0;
      case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
                                              ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_CLOSE, ZIP_SOURCE_FREE,
                                              ZIP_SOURCE_SUPPORTS, -1);
      default:
        return -1;
    }
  }
};

ZipHandle::ZipHandle(std::unique_ptr<Reader> reader, const ZipDirectory& directory)
    : reader_(std::move(reader)), directory_(&directory) {}

ZipHandle::ZipHandle(ZipHandle&& other) noexcept
    : reader_(std::move(other.reader_)),
      directory_(other.directory_),
      archive_(std::exchange(other.archive_, nullptr)) {}

ZipHandle::~ZipHandle() {
  if (archive_ != nullptr) zip_discard(archive_);
}

Result<ZipHandle> ZipHandle::open(ArchiveSource& source, const ZipDirectory& directory) {
  ZipHandle handle(std::make_unique<Reader>(Reader{source, 0, std::nullopt}), directory);
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* zip_source = zip_source_function_create(&Reader::call, handle.reader_.get(), &error);
  if (zip_source != nullptr) {
    handle.archive_ = zip_open_from_source(zip_source, ZIP_RDONLY, &error);
    if (handle.archive_ == nullptr) zip_source_free(zip_source);
  }
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  if (handle.archive_ == nullptr) {
    if (handle.reader_->failure) return std::unexpected(*handle.reader_->failure);
    return fail(Errc::bad_archive, reason);
  }
  DIG_CHECK(handle.compare());
  return handle;
}

Result<void> ZipHandle::compare() const {
  const auto count = static_cast<std::uint64_t>(zip_get_num_entries(archive_, 0));
  bool same = count == directory_->entries.size();
  for (std::uint64_t i = 0; same && i < count; ++i) {
    const ZipEntry& entry = directory_->entries[static_cast<std::size_t>(i)];
    zip_stat_t stat;
    const char* name = zip_get_name(archive_, i, ZIP_FL_ENC_RAW);
    same = name != nullptr && entry.name == name && zip_stat_index(archive_, i, 0, &stat) == 0 &&
           stat.size == entry.size && stat.comp_size == entry.stored_size && stat.crc == entry.crc &&
           stat.comp_method == entry.method && stat.encryption_method == ZIP_EM_NONE;
  }
  if (!same) return fail(Errc::bad_archive, "the archive can be read in two ways");
  return {};
}

Result<void> ZipHandle::read(std::size_t index, const Sink& sink) {
  const ZipEntry& entry = directory_->entries[index];
  DIG_CHECK(check_local_entry(reader_->source, entry));
  const auto failure = [&](const char* reason) -> std::unexpected<Error> {
    if (reader_->failure) return std::unexpected(*reader_->failure);
    return fail(Errc::bad_archive, std::string(reason) + ": " + entry.name);
  };
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(archive_, index, 0), &zip_fclose);
  if (!file) return failure(zip_strerror(archive_));
  Bytes buffer(1U << 18);
  std::uint64_t done = 0;
  while (true) {
    const zip_int64_t got = zip_fread(file.get(), buffer.data(), buffer.size());
    if (got < 0) return failure(zip_file_strerror(file.get()));
    if (got == 0) break;
    done += static_cast<std::uint64_t>(got);
    if (done > entry.size) return failure("the entry is larger than it says");
    DIG_CHECK(sink(BytesView(buffer).first(static_cast<std::size_t>(got))));
  }
  if (done != entry.size) return failure("the entry is smaller than it says");
  return {};
}

}  // namespace dig::store
