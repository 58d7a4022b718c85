// SPDX-License-Identifier: Apache-2.0
#include "store/disk/archive.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "store/disk/zip_handle.hpp"
#include "store/resource_name.hpp"
#include "store/zip_directory.hpp"

namespace dig::store {
namespace {

constexpr std::size_t k_directory_header_bytes = 46;

struct SourceFile {
  std::string name;  // in the archive
  fs::path path;
  std::uint64_t size = 0;
};

std::unexpected<Error> refuse(Errc code, std::string_view reason, const std::string& name) {
  return fail(code, std::string(reason) + ": " + name);
}

Result<SourceFile> describe(const fs::path& path, std::string name) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return std::unexpected(system_error(errno, path.native()));
  if (S_ISLNK(status.st_mode)) return refuse(Errc::not_a_regular_file, "links cannot be added", name);
  if (!S_ISREG(status.st_mode)) return refuse(Errc::not_a_regular_file, "only files and folders can be added", name);
  if (auto checked = check_resource_name(name); !checked) {
    return refuse(Errc::bad_archive, checked.error().detail(), name);
  }
  return SourceFile{std::move(name), path, static_cast<std::uint64_t>(status.st_size)};
}

Result<void> check_names(const std::vector<SourceFile>& files) {
  const ZipLimits limits;
  std::vector<std::pair<std::string, const std::string*>> keys;
  std::size_t directory_bytes = 0;
  for (const SourceFile& file : files) {
    keys.emplace_back(collision_key(file.name), &file.name);
    directory_bytes += k_directory_header_bytes + file.name.size() + 32;
  }
  if (files.size() > limits.entries) return fail(Errc::limit_reached, "a store holds at most 65535 files");
  if (directory_bytes > limits.directory_bytes) return fail(Errc::limit_reached, "the names of the files are too long");
  std::ranges::sort(keys);
  for (std::size_t i = 1; i < keys.size(); ++i) {
    if (keys[i].first == keys[i - 1].first) {
      return refuse(Errc::bad_archive, "two files differ only in case or in the form of a character", *keys[i].second);
    }
  }
  return {};
}

Result<std::vector<SourceFile>> collect(const fs::path& source) {
  std::vector<SourceFile> files;
  std::error_code error;
  if (!fs::is_directory(source, error)) {
    DIG_TRY(SourceFile file, describe(source, source.filename().native()));
    files.push_back(std::move(file));
    return files;
  }
  fs::recursive_directory_iterator it(source, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    std::string name = it->path().lexically_relative(source).generic_string();
    if (it->symlink_status(error).type() == fs::file_type::directory) continue;
    if (error) break;
    DIG_TRY(SourceFile file, describe(it->path(), std::move(name)));
    files.push_back(std::move(file));
    if (files.size() > ZipLimits{}.entries) return fail(Errc::limit_reached, "a store holds at most 65535 files");
  }
  if (error) return std::unexpected(system_error(error.value(), source.native()));
  std::ranges::sort(files, {}, &SourceFile::name);
  DIG_CHECK(check_names(files));
  return files;
}

// The content of one file, opened when libzip asks for it. Links are not followed, and the size must be what it was.
class FileContent {
 public:
  FileContent(const SourceFile& file, std::optional<Error>& failure) : file_(file), failure_(failure) {}

  static zip_int64_t call(void* self, void* data, zip_uint64_t size, zip_source_cmd_t command) {
    auto* content = static_cast<FileContent*>(self);
    switch (command) {
      case ZIP_SOURCE_OPEN:
        return content->open();
      case ZIP_SOURCE_READ:
        return content->read({static_cast<std::byte*>(data), static_cast<std::size_t>(size)});
      case ZIP_SOURCE_STAT: {
        auto* stat = static_cast<zip_stat_t*>(data);
        zip_stat_init(stat);
        stat->size = content->file_.size;
        stat->valid = ZIP_STAT_SIZE;
        return sizeof(zip_stat_t);
      }
      case ZIP_SOURCE_ERROR: {
        auto* codes = static_cast<int*>(data);
        codes[0] = ZIP_ER_READ;
        codes[1] = 0;
        return 2 * sizeof(int);
      }
      case ZIP_SOURCE_CLOSE:
        content->open_file_ = File();
        return 0;
      case ZIP_SOURCE_FREE:
        return 0;
      case ZIP_SOURCE_SUPPORTS:
        return ZIP_SOURCE_SUPPORTS_READABLE;
      default:
        return -1;
    }
  }

 private:
  zip_int64_t failed(Error error) {
    if (!failure_) failure_ = std::move(error);
    return -1;
  }
  zip_int64_t open() {
    auto file = File::open_regular(file_.path);
    if (!file) return failed(file.error());
    open_file_ = std::move(*file);
    offset_ = 0;
    return 0;
  }
  zip_int64_t read(MutableBytes out) {
    auto got = open_file_.read_at(offset_, out);
    if (!got) return failed(got.error());
    offset_ += *got;
    const bool changed = offset_ > file_.size || (*got < out.size() && offset_ != file_.size);
    if (changed) return failed(Error(Errc::io_failed, "the file changed while it was added: " + file_.name));
    return static_cast<zip_int64_t>(*got);
  }

  const SourceFile& file_;
  std::optional<Error>& failure_;
  File open_file_;
  std::uint64_t offset_ = 0;
};

class ArchiveWriter {
 public:
  explicit ArchiveWriter(const Progress& progress) : progress_(progress) {}
  ~ArchiveWriter() {
    if (archive_ != nullptr) zip_discard(archive_);
  }
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  Result<void> write(const std::vector<SourceFile>& files, const fs::path& target) {
    int code = 0;
    archive_ = zip_open(target.c_str(), ZIP_CREATE | ZIP_EXCL, &code);
    if (archive_ == nullptr) return fail(Errc::io_failed, target.native());
    contents_.reserve(files.size());  // libzip keeps pointers to the elements
    for (const SourceFile& file : files) {
      DIG_CHECK(add(file));
      total_ += file.size;
    }
    zip_register_progress_callback_with_state(archive_, 0.001, &report, nullptr, this);
    zip_register_cancel_callback_with_state(archive_, &is_cancelled, nullptr, this);
    if (zip_close(archive_) != 0) return close_failure();
    archive_ = nullptr;
    return {};
  }

 private:
  // 1980-01-01 00:00:00, the earliest time that DOS knows.
  static constexpr std::uint16_t k_dos_time = 0;
  static constexpr std::uint16_t k_dos_date = (1U << 5) | 1U;
  static constexpr std::uint32_t k_attributes = 0100644U << 16;

  Result<void> add(const SourceFile& file) {
    FileContent& content = contents_.emplace_back(file, failure_);
    zip_source_t* source = zip_source_function(archive_, &FileContent::call, &content);
    if (source == nullptr) return archive_failure();
    const zip_int64_t index = zip_file_add(archive_, file.name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      return archive_failure();
    }
    const auto entry = static_cast<zip_uint64_t>(index);
    const bool done = zip_set_file_compression(archive_, entry, ZIP_CM_STORE, 0) == 0 &&
                      zip_file_set_dostime(archive_, entry, k_dos_time, k_dos_date, 0) == 0 &&
                      zip_file_set_external_attributes(archive_, entry, 0, ZIP_OPSYS_UNIX, k_attributes) == 0;
    return done ? Result<void>{} : archive_failure();
  }

  std::unexpected<Error> archive_failure() { return fail(Errc::internal, zip_strerror(archive_)); }

  std::unexpected<Error> close_failure() {
    if (cancelled_) return fail(Errc::cancelled);
    if (failure_) return std::unexpected(*failure_);
    zip_error_t* error = zip_get_error(archive_);
    if (zip_error_system_type(error) == ZIP_ET_SYS && zip_error_code_system(error) != 0) {
      return std::unexpected(system_error(zip_error_code_system(error), "the archive"));
    }
    return fail(Errc::io_failed, zip_error_strerror(error));
  }

  static void report(zip_t*, double part, void* self) {
    auto* writer = static_cast<ArchiveWriter*>(self);
    const auto done = static_cast<std::uint64_t>(part * static_cast<double>(writer->total_));
    if (writer->progress_ && !writer->progress_(done, writer->total_)) writer->cancelled_ = true;
  }
  static int is_cancelled(zip_t*, void* self) { return static_cast<ArchiveWriter*>(self)->cancelled_ ? 1 : 0; }

  const Progress& progress_;
  zip_t* archive_ = nullptr;
  std::vector<FileContent> contents_;
  std::optional<Error> failure_;
  std::uint64_t total_ = 0;
  bool cancelled_ = false;
};

// libzip makes no file at all for an archive without entries: an end record alone (APPNOTE §4.3.16).
Result<void> write_empty_archive(const fs::path& target) {
  constexpr std::array<std::uint8_t, 22> end_record = {'P', 'K', 5, 6};
  DIG_TRY(const File file, File::open(target, O_WRONLY | O_CREAT | O_EXCL));
  return file.write_at(0, std::as_bytes(std::span(end_record)));
}

class FileSource final : public ArchiveSource {
 public:
  FileSource(const File& file, std::uint64_t size) : file_(file), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) override { return file_.read_at(offset, out); }

 private:
  const File& file_;
  std::uint64_t size_;
};

}  // namespace

Result<ArchiveInfo> make_archive(const fs::path& source, const fs::path& target, const Progress& progress) {
  DIG_TRY(const std::vector<SourceFile> files, collect(source));
  if (files.empty()) {
    DIG_CHECK(write_empty_archive(target));
  } else {
    DIG_CHECK(ArchiveWriter(progress).write(files, target));
  }
  // libzip gives the file a mode by the umask; until it is in place nobody else is to read it.
  if (::chmod(target.c_str(), 0600) != 0) return std::unexpected(system_error(errno, target.native()));
  DIG_TRY(const File file, File::open_regular(target));
  DIG_TRY(const std::uint64_t size, file.size());
  return ArchiveInfo{size, files.size()};
}

Result<ArchiveInfo> check_archive(ArchiveSource& source, const Progress& progress) {
  DIG_TRY(const ZipDirectory directory, read_zip_directory(source));
  DIG_TRY(ZipHandle handle, ZipHandle::open(source, directory));
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < directory.entries.size(); ++i) {
    const ZipEntry& entry = directory.entries[i];
    const std::uint64_t end = done + (entry.end - entry.header_offset);
    const auto follow = [&](BytesView piece) -> Result<void> {
      done = std::min(done + piece.size(), end);  // inflated bytes are more than those that are read
      if (progress && !progress(done, source.size())) return fail(Errc::cancelled);
      return {};
    };
    DIG_CHECK(handle.read(i, follow));
    done = end;
  }
  if (progress && !progress(source.size(), source.size())) return fail(Errc::cancelled);
  return ArchiveInfo{source.size(), directory.files};
}

Result<ArchiveInfo> check_archive(const File& archive, const Progress& progress) {
  DIG_TRY(const std::uint64_t size, archive.size());
  FileSource source(archive, size);
  return check_archive(source, progress);
}

Result<ArchiveInfo> check_archive(const fs::path& archive, const Progress& progress) {
  DIG_TRY(const File file, File::open_regular(archive));
  return check_archive(file, progress);
}

}  // namespace dig::store
