// SPDX-License-Identifier: Apache-2.0
// One long-running process owns a home: it holds a lock on <home>/lock. The lock dies with the process, so a lock file
// that kill -9 left behind is harmless.
#pragma once

#include "base/result.hpp"
#include "store/disk/file.hpp"

namespace dig::store {

class HomeLock {
 public:
  // Makes the home if there is none. Errors: home_in_use, whose detail has the owner's process id when known.
  [[nodiscard]] static Result<HomeLock> acquire(const fs::path& home);

 private:
  explicit HomeLock(File file) : file_(std::move(file)) {}
  File file_;
};

}  // namespace dig::store
