// SPDX-License-Identifier: Apache-2.0
// Small files that hold a secret for one purpose: a key of a service, a shared secret, a list of users.
#pragma once

#include <string>

#include "base/result.hpp"
#include "store/disk/file.hpp"

namespace dig::store {

// The whole text, without the line end of the last line. The group may read it: services get their secrets that way.
// Errors: secret_insecure (others may read or write it, or it belongs to neither this user nor root), file_not_found,
// permission_denied, not_a_regular_file, limit_reached (more than 64 KiB), invalid_argument (empty), io_failed.
[[nodiscard]] Result<std::string> read_secret_file(const fs::path& path);

}  // namespace dig::store
