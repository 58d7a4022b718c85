// SPDX-License-Identifier: Apache-2.0
// The flags of commands that deal with STUN and TURN servers, over the settings.
#pragma once

#include <string>

#include "cli/context.hpp"

namespace CLI {
class App;
}

namespace dig::cli {

struct ServerFlags {
  std::string user;
  std::string pass;
  std::string catalogue;
  std::string ca;
  std::string proxy;

  void define(CLI::App& app);
  // Flags over settings; what nothing names is empty. bad_config: a --proxy that is none. (One that the environment
  // names for all programs matters only where it is needed.)
  [[nodiscard]] Result<void> complete(const service::Settings& settings);
};

// The text of a PEM file; empty without one. Errors: file_not_found, permission_denied, limit_reached, io_failed.
[[nodiscard]] Result<std::string> read_authorities(const std::string& file);

}  // namespace dig::cli
