// SPDX-License-Identifier: Apache-2.0
#include "store/disk/home_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

namespace dig::store {

Result<HomeLock> HomeLock::acquire(const fs::path& home) {
  DIG_CHECK(make_folders(home));
  DIG_TRY(File file, File::open(home / "lock", O_RDWR | O_CREAT));
  DIG_TRY(const bool locked, file.try_lock());
  if (!locked) {
    std::array<std::byte, 16> text{};
    DIG_TRY(const std::size_t size, file.read_at(0, text));
    std::string_view owner = as_text(BytesView(text).first(size));
    owner = owner.substr(0, owner.find('\n'));
    return fail(Errc::home_in_use, home.native() + (owner.empty() ? "" : " (process " + std::string(owner) + ")"));
  }
  // For people and for the message above; the lock itself is what counts.
  DIG_CHECK(file.truncate(0));
  DIG_CHECK(file.write_at(0, as_bytes(std::to_string(::getpid()) + "\n")));
  return HomeLock(std::move(file));
}

}  // namespace dig::store
