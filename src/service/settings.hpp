// SPDX-License-Identifier: Apache-2.0
// What a user can set for every run: in dignet.toml or in the environment. A key of the file is the long name of the
// flag, a variable is that name in capitals behind DIGNET_. Flags win over the environment, the environment over the
// file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "service/home.hpp"

namespace dig::service {

struct Settings {
  std::optional<std::uint16_t> port;
  std::optional<std::vector<std::string>> listen;
  std::optional<std::vector<std::string>> announce;
  std::optional<std::vector<std::string>> relay;      // circuit relays to be reached through
  std::optional<std::vector<std::string>> bootstrap;  // servers that know who holds which store
  std::optional<std::string> tiers;
  std::optional<std::string> log_level;
  std::optional<std::string> color;
  // Being a TURN server for peers.
  std::optional<bool> no_turn;
  std::optional<bool> turn_open;                // to any public address
  std::optional<double> turn_max_mbps;          // megabits a second of all together; 0: no limit
  std::optional<double> turn_max_gb_per_month;  // 10^9 bytes; 0: no limit
  // STUN and TURN servers.
  std::optional<std::vector<std::string>> stun;  // URIs
  std::optional<std::vector<std::string>> turn;  // URIs, with one login for all
  std::optional<std::string> turn_user;          // the flag is --user
  std::optional<std::string> turn_pass;          // the flag is --pass
  std::optional<std::string> catalogue;          // a file in place of the built-in list of public servers
  std::optional<std::string> ca;                 // a PEM file of authorities to trust beside the system's
  std::optional<std::string> proxy;              // "http://[user:password@]host:port" for outgoing TCP
  std::optional<std::string> no_proxy;           // hosts that need none, separated by commas
  std::optional<std::string> redis;              // redis://…: where bootstrap servers share their directory
};

inline constexpr std::string_view k_log_levels[] = {"trace", "debug", "info", "warn", "error", "off"};
inline constexpr std::string_view k_color_modes[] = {"auto", "always", "never"};

// Errors: bad_config, with the line and what is wrong with it. `name` is the file's name for messages.
[[nodiscard]] Result<Settings> parse_settings(std::string_view text, const std::string& name);
// An absent file is an empty one. Errors: bad_config, permission_denied, io_failed.
[[nodiscard]] Result<Settings> load_settings(const std::filesystem::path& file);
// DIGNET_PORT, DIGNET_LISTEN (commas between addresses), DIGNET_ANNOUNCE, DIGNET_RELAY, DIGNET_BOOTSTRAP, DIGNET_TIERS,
// DIGNET_LOG_LEVEL, DIGNET_COLOR, DIGNET_STUN, DIGNET_TURN, DIGNET_TURN_USER, DIGNET_TURN_PASS, DIGNET_CATALOGUE,
// DIGNET_REDIS, DIGNET_CA, DIGNET_PROXY, DIGNET_NO_PROXY; behind the last two HTTPS_PROXY and NO_PROXY, in capitals or
// not, as other programs take them. DIGNET_NO_TURN and DIGNET_TURN_OPEN (true or false), DIGNET_TURN_MAX_MBPS,
// DIGNET_TURN_MAX_GB_PER_MONTH. Errors: bad_config.
[[nodiscard]] Result<Settings> settings_from_environment(const Environment& environment);
// Each setting from `over` if it has it, else from `under`.
[[nodiscard]] Settings merge(Settings over, Settings under);

}  // namespace dig::service
