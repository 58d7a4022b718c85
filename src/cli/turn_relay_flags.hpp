// SPDX-License-Identifier: Apache-2.0
// The flags of commands that run a node by which its owner says how far it is a TURN server for others.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dignet/node.hpp"
#include "service/settings.hpp"

namespace dig::cli {

struct TurnRelayFlags {
  bool no_turn = false;
  std::optional<double> max_megabits{};   // a second
  std::optional<double> max_gigabytes{};  // a month

  // Of an open relay, which a bootstrap server is anyway.
  bool is_open = false;
  std::vector<std::string> relay_ips{};
  std::optional<std::uint16_t> min_port{};
  std::optional<std::uint16_t> max_port{};

  // A bootstrap server is there to be used: nothing is limited unless its owner says so.
  bool is_bootstrap = false;

  void define(CLI::App& app);
  // Flags over settings. Errors: invalid_argument, for flags that contradict each other.
  [[nodiscard]] Result<void> apply(dignet::NodeOptions& options, const service::Settings& settings) const;

 private:
  void define_open(CLI::App& app);
};

}  // namespace dig::cli
