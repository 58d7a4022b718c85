// SPDX-License-Identifier: Apache-2.0
// What a command has at hand when it runs.
#pragma once

#include <string>

#include "cli/console.hpp"
#include "service/event_loop.hpp"
#include "service/home.hpp"
#include "service/settings.hpp"

namespace dig::cli {

struct Context {
  Console& console;
  service::EventLoop& loop;
  service::HomePaths paths;
  service::Settings settings;               // the environment over the file
  bool are_tiers_from_environment = false;  // DIGNET_TIERS is set: meant for this run
  std::string log_level;                    // empty: the command's default
  std::string version;
};

}  // namespace dig::cli
