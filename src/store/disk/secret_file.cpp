// SPDX-License-Identifier: Apache-2.0
#include "store/disk/secret_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace dig::store {
namespace {

constexpr std::uint64_t k_max_size = 64 * 1024;

Result<void> check_status(const File& file) {
  struct stat status{};
  const std::string path = file.path().native();
  if (::fstat(file.descriptor(), &status) != 0) return std::unexpected(system_error(errno, path));
  if (status.st_uid != ::geteuid() && status.st_uid != 0) {
    return fail(Errc::secret_insecure, path + " belongs to another user");
  }
  if ((status.st_mode & (S_IWGRP | S_IRWXO)) != 0) return fail(Errc::secret_insecure, path + " is open to other users");
  return {};
}

}  // namespace

Result<std::string> read_secret_file(const fs::path& path) {
  DIG_TRY(const File file, File::open_regular(path));
  DIG_CHECK(check_status(file));
  DIG_TRY(std::string text, file.read_text(k_max_size));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) return fail(Errc::invalid_argument, path.native() + " is empty");
  return text;
}

}  // namespace dig::store
