// SPDX-License-Identifier: Apache-2.0
// Files as values: owned descriptors, whole reads and writes at an offset, and errno as coded errors.
//
// Thread-safety: pread and pwrite on one File may run at once; everything else belongs to one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace dig::store {

namespace fs = std::filesystem;

// errno as an error: ENOSPC and EDQUOT disk_full, ENOENT file_not_found, EACCES, EPERM and EROFS permission_denied,
// ELOOP and ENOTDIR not_a_regular_file, everything else io_failed. The detail is "what: reason".
[[nodiscard]] Error system_error(int error_number, std::string_view what);

class File {
 public:
  File() = default;
  explicit File(int descriptor, fs::path path = {}) : descriptor_(descriptor), path_(std::move(path)) {}
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // O_CLOEXEC and O_NOFOLLOW are always added. `mode` is for a new file.
  [[nodiscard]] static Result<File> open(const fs::path& path, int flags, mode_t mode = 0600);
  [[nodiscard]] static Result<File> open_folder(const fs::path& path);
  // For reading; anything but a regular file is refused (and a FIFO does not block).
  [[nodiscard]] static Result<File> open_regular(const fs::path& path);

  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

  [[nodiscard]] Result<std::uint64_t> size() const;
  // Changes with every change of the content (times of change, as fine as the file system keeps them).
  struct Version {
    std::int64_t changed_seconds = 0;
    std::int64_t changed_nanoseconds = 0;
    std::uint64_t size = 0;
    friend bool operator==(const Version&, const Version&) = default;
  };
  [[nodiscard]] Result<Version> version() const;
  // How many bytes were read: fewer than asked for only at the end of the file.
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, MutableBytes out) const;
  // Errors: truncated when the file ends before `out` is full.
  [[nodiscard]] Result<void> read_exactly(std::uint64_t offset, MutableBytes out) const;
  // The whole of a small file. Errors: limit_reached when there is more.
  [[nodiscard]] Result<std::string> read_text(std::uint64_t max_size) const;
  [[nodiscard]] Result<void> write_at(std::uint64_t offset, BytesView bytes) const;
  // Reserves the space, so that a full disk shows now and not in the middle.
  [[nodiscard]] Result<void> allocate(std::uint64_t size) const;
  [[nodiscard]] Result<void> truncate(std::uint64_t size) const;
  [[nodiscard]] Result<void> sync() const;
  // True when this file is now locked by us; false when another open file has the lock. Ends with the descriptor,
  // also after kill -9.
  [[nodiscard]] Result<bool> try_lock() const;
  // The same, but waits. For short sections only.
  [[nodiscard]] Result<void> lock() const;
  // Whether the file still has a name: whoever waits for a lock may get that of a file removed in the meantime.
  [[nodiscard]] Result<bool> has_name() const;

 private:
  int descriptor_ = -1;
  fs::path path_;
};

// Makes the folder and its parents; those it makes are 0700.
[[nodiscard]] Result<void> make_folders(const fs::path& path);
// Renames over `to` and makes it durable: fsync of both folders.
[[nodiscard]] Result<void> rename_durably(const fs::path& from, const fs::path& to);
[[nodiscard]] Result<void> sync_folder(const fs::path& path);
// A missing file is no error.
[[nodiscard]] Result<void> remove_file(const fs::path& path);
[[nodiscard]] bool path_exists(const fs::path& path);

// Called now and then with the bytes done and the bytes in all; false ends the operation with Errc::cancelled.
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

// Copies `from` into the empty file `to`, sharing blocks where the file system can.
[[nodiscard]] Result<std::uint64_t> copy_contents(const File& from, const File& to, const Progress& progress = {});

// A new file that takes the place of `target` once it is complete: until then it has a hidden name beside it, and it is
// removed when it is never committed. A symbolic link at `target` is replaced, not followed.
class PendingFile {
 public:
  [[nodiscard]] static Result<PendingFile> create(const fs::path& target);
  ~PendingFile();
  PendingFile(PendingFile&&) noexcept = default;
  PendingFile& operator=(PendingFile&&) = delete;

  [[nodiscard]] const File& file() const noexcept { return file_; }
  // Makes the content durable, then the name.
  [[nodiscard]] Result<void> commit();

 private:
  PendingFile(File file, fs::path target) : file_(std::move(file)), target_(std::move(target)) {}
  File file_;  // closed once it is committed
  fs::path target_;
};

// A folder below `parent` for one operation's temporary files. Removed at the end; after a crash, by the next
// clean_temporary_folders.
class TemporaryFolder {
 public:
  [[nodiscard]] static Result<TemporaryFolder> create(const fs::path& parent);
  ~TemporaryFolder();
  TemporaryFolder(TemporaryFolder&&) noexcept = default;
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;

  [[nodiscard]] const fs::path& path() const noexcept { return lock_.path(); }

 private:
  explicit TemporaryFolder(File lock) : lock_(std::move(lock)) {}
  File lock_;
};
// Removes the folders below `parent` that no living process uses.
void clean_temporary_folders(const fs::path& parent);

}  // namespace dig::store
