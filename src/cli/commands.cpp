// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.hpp"

#include <array>

namespace dig::cli {

std::span<const Command> commands() {
  static constexpr std::array k_commands = {
      Command{"id", "Print this node's identity; it is made on first use", false, define_id},
      Command{"add", "Put a folder, a file or a .dig archive into the local store", false, define_add},
      Command{"ls", "List the stores that are here", false, define_ls},
      Command{"rm", "Remove a store that is here", false, define_rm},
      Command{"verify", "Check the stores that are here against their root hashes", false, define_verify},
      Command{"serve", "Run a node that shares its stores until it is told to stop", false, define_serve},
      Command{"bootstrap", "Run a server by which peers find and reach each other", false, define_bootstrap},
      Command{"get", "Fetch a store, or one resource of it, from the peers that have it", true, define_get},
      Command{"connect", "Connect to a peer and ping it; shows the path", true, define_connect},
      Command{"turn", "Run a STUN and TURN server until it is told to stop", false, define_turn},
      Command{"turn-check", "Test STUN and TURN servers by using them", false, define_turn_check},
      Command{"ice-config", "Print an RTCConfiguration for WebRTC clients", false, define_ice_config},
      Command{"status", "Show the running node, its servers and its roles", false, define_status},
      Command{"peers", "Show whom the running node is connected with, and how", false, define_peers},
      Command{"ports", "Show which port each service got, and why", false, define_ports},
  };
  return k_commands;
}

}  // namespace dig::cli
