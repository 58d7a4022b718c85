// SPDX-License-Identifier: Apache-2.0
// The table of commands. Each file command_NAME.cpp defines one: its flags, and what it does when it was chosen.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "cli/context.hpp"

namespace CLI {
class App;
}

namespace dig::cli {

// Runs the command and returns the exit code.
using Action = std::function<int(Context&)>;

struct Command {
  std::string_view name;
  std::string_view summary;
  bool ends_with_done_event;  // its last JSON line is {"event":"done", …}, also on failure
  // Adds the command's flags to its own parser.
  Action (*define)(CLI::App& app);
};

[[nodiscard]] std::span<const Command> commands();

[[nodiscard]] Action define_id(CLI::App& app);
[[nodiscard]] Action define_add(CLI::App& app);
[[nodiscard]] Action define_ls(CLI::App& app);
[[nodiscard]] Action define_rm(CLI::App& app);
[[nodiscard]] Action define_verify(CLI::App& app);
[[nodiscard]] Action define_serve(CLI::App& app);
[[nodiscard]] Action define_bootstrap(CLI::App& app);
[[nodiscard]] Action define_get(CLI::App& app);
[[nodiscard]] Action define_connect(CLI::App& app);
[[nodiscard]] Action define_status(CLI::App& app);
[[nodiscard]] Action define_peers(CLI::App& app);
[[nodiscard]] Action define_ports(CLI::App& app);
[[nodiscard]] Action define_turn(CLI::App& app);
[[nodiscard]] Action define_turn_check(CLI::App& app);
[[nodiscard]] Action define_ice_config(CLI::App& app);

}  // namespace dig::cli
