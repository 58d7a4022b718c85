// SPDX-License-Identifier: Apache-2.0
#include "service/home.hpp"

#include <cstdlib>

namespace dig::service {
namespace {

// The XDG base directory specification: a relative path is invalid and ignored.
Result<std::filesystem::path> base_directory(const Environment& environment, const char* variable,
                                             const char* fallback) {
  if (const auto value = environment(variable); value && std::filesystem::path(*value).is_absolute()) return *value;
  const auto user = environment("HOME");
  if (!user) return fail(Errc::bad_config, "HOME is not set; give --home or DIGNET_HOME");
  return std::filesystem::path(*user) / fallback;
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

Result<HomePaths> find_home(const std::optional<std::string>& flag, const Environment& environment) {
  const std::optional<std::string> given = flag ? flag : environment("DIGNET_HOME");
  if (given) {
    std::error_code error;
    const std::filesystem::path home = std::filesystem::absolute(*given, error);
    if (error) return fail(Errc::bad_config, "the home folder: " + error.message());
    return HomePaths{.home = home.lexically_normal(), .config = home / "dignet.toml"};
  }
  DIG_TRY(const auto data, base_directory(environment, "XDG_DATA_HOME", ".local/share"));
  DIG_TRY(const auto config, base_directory(environment, "XDG_CONFIG_HOME", ".config"));
  return HomePaths{.home = data / "dignet", .config = config / "dignet" / "dignet.toml"};
}

}  // namespace dig::service
