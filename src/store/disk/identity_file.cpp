// SPDX-License-Identifier: Apache-2.0
#include "store/disk/identity_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "crypto/secret.hpp"

namespace dig::store {
namespace {

Result<void> check_status(const File& file) {
  struct stat status{};
  if (::fstat(file.descriptor(), &status) != 0) return fail(Errc::identity_unreadable, file.path().native());
  const std::string path = file.path().native();
  if (!S_ISREG(status.st_mode)) return fail(Errc::identity_malformed, path + " is not a regular file");
  if (status.st_uid != ::geteuid()) return fail(Errc::identity_insecure, path + " belongs to another user");
  if ((status.st_mode & 077) != 0) return fail(Errc::identity_insecure, path + " is open to other users");
  if (status.st_nlink != 1) return fail(Errc::identity_malformed, path + " has more than one name");
  if (status.st_size != static_cast<off_t>(k_identity_file_size)) {
    return fail(Errc::identity_malformed, path + " has a wrong size");
  }
  return {};
}

Result<Identity> load(const fs::path& path) {
  auto file = File::open(path, O_RDONLY | O_NONBLOCK);
  if (!file) {
    if (file.error().code() == Errc::file_not_found) return std::unexpected(file.error());
    if (file.error().code() == Errc::not_a_regular_file) return fail(Errc::identity_malformed, file.error().detail());
    return fail(Errc::identity_unreadable, file.error().detail());
  }
  DIG_CHECK(check_status(*file));
  crypto::Secret<k_identity_file_size> content;
  if (auto read = file->read_exactly(0, content.mutable_view()); !read) {
    return fail(Errc::identity_unreadable, read.error().detail());
  }
  return decode_identity_file(content.view());
}

// Written whole and made durable under another name, then renamed unless the name is taken: a key that another process
// made in the meantime is never replaced.
Result<void> create(const fs::path& home, const fs::path& path, Rng& rng) {
  DIG_TRY(const TemporaryFolder work, TemporaryFolder::create(home / "tmp"));
  const fs::path temporary = work.path() / "identity.key";
  {
    const crypto::Secret<k_identity_file_size> content = encode_identity_file(Identity::generate(rng));
    DIG_TRY(const File file, File::open(temporary, O_WRONLY | O_CREAT | O_EXCL));
    DIG_CHECK(file.write_at(0, content.view()));
    DIG_CHECK(file.sync());
  }
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0 && errno != EEXIST) {
    return std::unexpected(system_error(errno, path.native()));
  }
  return sync_folder(home);
}

}  // namespace

Result<Identity> load_or_create_identity(const fs::path& home, Rng& rng) {
  DIG_CHECK(make_folders(home));
  const fs::path path = home / "identity.key";
  auto identity = load(path);
  if (identity || identity.error().code() != Errc::file_not_found) return identity;
  DIG_CHECK(create(home, path, rng));
  return load(path);
}

}  // namespace dig::store
