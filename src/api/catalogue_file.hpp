// SPDX-License-Identifier: Apache-2.0
// The catalogue of servers: the user's file in place of the one that is built in.
#pragma once

#include <filesystem>

#include "ladder/catalogue.hpp"

namespace dig::api {

// Empty: the one that is built in. Errors: bad_config (also more than 256 KiB), file_not_found, permission_denied,
// not_a_regular_file, io_failed.
[[nodiscard]] Result<ladder::Catalogue> load_catalogue(const std::filesystem::path& file);

}  // namespace dig::api
