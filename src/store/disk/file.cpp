// SPDX-License-Identifier: Apache-2.0
#include "store/disk/file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "base/base_encoding.hpp"
#include "crypto/system_rng.hpp"

namespace dig::store {
namespace {

constexpr mode_t k_folder_mode = 0700;

std::unexpected<Error> fail_system(std::string_view what) { return std::unexpected(system_error(errno, what)); }

Errc code_of(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return Errc::disk_full;
    case ENOENT:
      return Errc::file_not_found;
    case EACCES:
    case EPERM:
    case EROFS:
      return Errc::permission_denied;
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
      return Errc::not_a_regular_file;
    default:
      return Errc::io_failed;
  }
}

}  // namespace

Error system_error(int error_number, std::string_view what) {
  return Error(code_of(error_number), std::string(what) + ": " + std::generic_category().message(error_number));
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

Result<File> File::open(const fs::path& path, int flags, mode_t mode) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
  if (descriptor < 0) return fail_system(path.native());
  return File(descriptor, path);
}

Result<File> File::open_folder(const fs::path& path) { return open(path, O_RDONLY | O_DIRECTORY); }

Result<File> File::open_regular(const fs::path& path) {
  DIG_TRY(File file, open(path, O_RDONLY | O_NONBLOCK));
  struct stat status{};
  if (::fstat(file.descriptor_, &status) != 0) return fail_system(path.native());
  if (!S_ISREG(status.st_mode)) return fail(Errc::not_a_regular_file, path.native());
  return file;
}

Result<std::uint64_t> File::size() const {
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) return fail_system(path_.native());
  return static_cast<std::uint64_t>(status.st_size);
}

Result<File::Version> File::version() const {
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) return fail_system(path_.native());
  return Version{status.st_ctim.tv_sec, status.st_ctim.tv_nsec, static_cast<std::uint64_t>(status.st_size)};
}

Result<std::size_t> File::read_at(std::uint64_t offset, MutableBytes out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_system(path_.native());
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<void> File::read_exactly(std::uint64_t offset, MutableBytes out) const {
  DIG_TRY(const std::size_t got, read_at(offset, out));
  if (got != out.size()) return fail(Errc::truncated, path_.native());
  return {};
}

Result<std::string> File::read_text(std::uint64_t max_size) const {
  DIG_TRY(const std::uint64_t bytes, size());
  if (bytes > max_size) {
    return fail(Errc::limit_reached, path_.native() + ": more than " + std::to_string(max_size / 1024) + " KiB");
  }
  std::string text(bytes, '\0');
  DIG_CHECK(read_exactly(0, std::as_writable_bytes(std::span(text))));
  return text;
}

Result<void> File::write_at(std::uint64_t offset, BytesView bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put =
        ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_system(path_.native());
    if (put == 0) return fail(Errc::io_failed, path_.native() + ": nothing was written");
    done += static_cast<std::size_t>(put);
  }
  return {};
}

Result<void> File::allocate(std::uint64_t size) const {
  if (size == 0) return {};
  int error_number = 0;
  do {
    error_number = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size));
  } while (error_number == EINTR);
  if (error_number != 0) return std::unexpected(system_error(error_number, path_.native()));
  return {};
}

Result<void> File::truncate(std::uint64_t size) const {
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return fail_system(path_.native());
  return {};
}

Result<void> File::sync() const {
  if (::fsync(descriptor_) != 0) return fail_system(path_.native());
  return {};
}

Result<bool> File::try_lock() const {
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  return fail_system(path_.native());
}

Result<void> File::lock() const {
  while (::flock(descriptor_, LOCK_EX) != 0) {
    if (errno != EINTR) return fail_system(path_.native());
  }
  return {};
}

Result<bool> File::has_name() const {
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) return fail_system(path_.native());
  return status.st_nlink != 0;
}

Result<void> make_folders(const fs::path& path) {
  if (::mkdir(path.c_str(), k_folder_mode) == 0) return {};
  if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
    DIG_CHECK(make_folders(path.parent_path()));
    if (::mkdir(path.c_str(), k_folder_mode) == 0) return {};
  }
  if (errno != EEXIST) return fail_system(path.native());
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return fail_system(path.native());
  if (!S_ISDIR(status.st_mode)) return fail(Errc::not_a_regular_file, path.native() + " is not a folder");
  return {};
}

Result<void> sync_folder(const fs::path& path) {
  DIG_TRY(const File folder, File::open_folder(path.empty() ? fs::path(".") : path));
  return folder.sync();
}

Result<void> rename_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_system(to.native());
  DIG_CHECK(sync_folder(to.parent_path()));
  if (from.parent_path() != to.parent_path()) DIG_CHECK(sync_folder(from.parent_path()));
  return {};
}

Result<void> remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_system(path.native());
  return {};
}

bool path_exists(const fs::path& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

namespace {

constexpr std::uint64_t k_copy_step = 16U << 20;  // between two words about the progress

// The next piece of a copy: copy_file_range where the file system can, read and write where it cannot. 0 at the end.
Result<std::uint64_t> copy_piece(const File& from, const File& to, std::uint64_t offset, Bytes& buffer) {
  loff_t in = static_cast<loff_t>(offset), out = static_cast<loff_t>(offset);
  const ssize_t copied = ::copy_file_range(from.descriptor(), &in, to.descriptor(), &out, k_copy_step, 0);
  if (copied > 0) return static_cast<std::uint64_t>(copied);
  buffer.resize(1U << 20);
  DIG_TRY(const std::size_t got, from.read_at(offset, buffer));
  DIG_CHECK(to.write_at(offset, BytesView(buffer).first(got)));
  return got;
}

}  // namespace

Result<std::uint64_t> copy_contents(const File& from, const File& to, const Progress& progress) {
  DIG_TRY(const std::uint64_t size, from.size());
  if (size != 0 && ::ioctl(to.descriptor(), FICLONE, from.descriptor()) == 0) return to.size();
  Bytes buffer;
  for (std::uint64_t done = 0;;) {
    DIG_TRY(const std::uint64_t copied, copy_piece(from, to, done, buffer));
    if (copied == 0) return done;
    done += copied;
    if (progress && !progress(done, std::max(done, size))) return fail(Errc::cancelled);
  }
}

Result<PendingFile> PendingFile::create(const fs::path& target) {
  constexpr mode_t k_as_the_umask_says = 0666;  // the user's file, not one of ours
  const std::string name = ".dignet-" + to_hex(crypto::SystemRng().array<8>()) + ".tmp";
  DIG_TRY(File file, File::open(target.parent_path() / name, O_RDWR | O_CREAT | O_EXCL, k_as_the_umask_says));
  return PendingFile(std::move(file), target);
}

PendingFile::~PendingFile() {
  if (file_.is_open()) (void)remove_file(file_.path());
}

Result<void> PendingFile::commit() {
  DIG_CHECK(file_.sync());
  DIG_CHECK(rename_durably(file_.path(), target_));
  file_ = {};
  return {};
}

Result<TemporaryFolder> TemporaryFolder::create(const fs::path& parent) {
  DIG_CHECK(make_folders(parent));
  // A cleaner may take the folder between its making and our lock: then make another.
  for (int attempt = 0; attempt < 16; ++attempt) {
    std::string name = (parent / "work-XXXXXX").native();
    if (::mkdtemp(name.data()) == nullptr) return fail_system(name);
    auto folder = File::open_folder(name);
    if (!folder) continue;
    DIG_TRY(const bool locked, folder->try_lock());
    DIG_TRY(const bool there, folder->has_name());
    if (locked && there) return TemporaryFolder(std::move(*folder));
  }
  return fail(Errc::io_failed, parent.native() + ": no temporary folder could be made");
}

TemporaryFolder::~TemporaryFolder() {
  if (!lock_.is_open()) return;
  std::error_code ignored;
  fs::remove_all(lock_.path(), ignored);
}

void clean_temporary_folders(const fs::path& parent) {
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    const auto folder = File::open_folder(it->path());
    if (!folder) continue;
    const auto locked = folder->try_lock();
    std::error_code ignored;
    if (locked && *locked) fs::remove_all(it->path(), ignored);
  }
}

}  // namespace dig::store
