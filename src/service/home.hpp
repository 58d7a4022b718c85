// SPDX-License-Identifier: Apache-2.0
// Where a node's files are: --home, DIGNET_HOME, or the XDG base directories.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace dig::service {

// Looks an environment variable up; absent and empty are the same.
using Environment = std::function<std::optional<std::string>(const char* name)>;
[[nodiscard]] Environment process_environment();

struct HomePaths {
  std::filesystem::path home;
  std::filesystem::path config;
};

// `flag` is the value of --home. Errors: bad_config when nothing says where a home could be.
[[nodiscard]] Result<HomePaths> find_home(const std::optional<std::string>& flag, const Environment& environment);

}  // namespace dig::service
