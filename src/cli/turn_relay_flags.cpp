// SPDX-License-Identifier: Apache-2.0
#include "cli/turn_relay_flags.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace dig::cli {
namespace {

constexpr double k_max_amount = 1'000'000;  // as in the settings

// 0 means that there is no limit, so that the least amount is more than it.
std::uint64_t scaled(double amount, double unit) {
  if (amount == 0) return 0;
  return static_cast<std::uint64_t>(std::max(1LL, std::llround(amount * unit)));
}

std::string check_amount(const std::string& text) {
  double amount = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, amount);
  const bool is_amount = error == std::errc() && rest == end && amount >= 0 && amount <= k_max_amount;
  return is_amount ? "" : "must be a number from 0 to 1000000";
}

}  // namespace

void TurnRelayFlags::define(CLI::App& app) {
  const std::string least = is_bootstrap ? "; 0: no limit (default)" : "; 0: no limit (default ";
  app.add_flag("--no-turn", no_turn, "Do not relay between other peers (TURN)");
  app.add_option("--turn-max-mbps", max_megabits,
                 "Megabits a second to relay for others at most" + least + (is_bootstrap ? "" : "10)"))
      ->type_name("N")
      ->check(check_amount);
  app.add_option("--turn-max-gb-per-month", max_gigabytes,
                 "Gigabytes a month (UTC) to relay for others at most" + least + (is_bootstrap ? "" : "50)"))
      ->type_name("N")
      ->check(check_amount);
  if (!is_bootstrap) {
    app.add_flag("--turn-open", is_open,
                 "Relay to any public address (TURN), from the relay ports, once a datagram from outside reaches them");
  }
  define_open(app);
}

void TurnRelayFlags::define_open(CLI::App& app) {
  app.add_option("--relay-ip", relay_ips,
                 is_bootstrap
                     ? "Address of this machine to relay from (TURN), one a family; peers are told --public-ip "
                       "in its place"
                     : "Address of this machine to relay from with --turn-open, one a family")
      ->type_name("IP")
      ->allow_extra_args(false);
  app.add_option("--min-port", min_port, "First relay port (TURN; default 49152)")
      ->type_name("PORT")
      ->check(CLI::Range(1024, 65535));
  app.add_option("--max-port", max_port, "Last relay port (TURN; default 65535)")
      ->type_name("PORT")
      ->check(CLI::Range(1024, 65535));
}

Result<void> TurnRelayFlags::apply(dignet::NodeOptions& options, const service::Settings& settings) const {
  if (no_turn && is_open) return fail(Errc::invalid_argument, "--turn-open and --no-turn exclude each other");
  options.is_turn_relay = is_open || (!no_turn && !settings.no_turn.value_or(false));
  options.is_turn_open = is_bootstrap || is_open || settings.turn_open.value_or(false);
  if (!options.is_turn_open && (!relay_ips.empty() || min_port || max_port)) {
    return fail(Errc::invalid_argument, "--relay-ip, --min-port and --max-port are of --turn-open");
  }
  options.turn_relay_ips = relay_ips;
  options.turn_min_port = min_port.value_or(options.turn_min_port);
  options.turn_max_port = max_port.value_or(options.turn_max_port);
  if (is_bootstrap) options.turn_max_bits_per_second = options.turn_max_bytes_per_month = 0;
  if (const auto limit = max_megabits ? max_megabits : settings.turn_max_mbps) {
    options.turn_max_bits_per_second = scaled(*limit, 1e6);
  }
  if (const auto limit = max_gigabytes ? max_gigabytes : settings.turn_max_gb_per_month) {
    options.turn_max_bytes_per_month = scaled(*limit, 1e9);
  }
  return {};
}

}  // namespace dig::cli
