// SPDX-License-Identifier: Apache-2.0
// dignet turn-check: whether STUN and TURN servers work, by using them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/array.hpp>

#include "api/catalogue_file.hpp"
#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/server_flags.hpp"
#include "net/clock.hpp"
#include "net/leg_settings.hpp"
#include "service/json_forms.hpp"
#include "service/server_checks.hpp"
#include "service/signals.hpp"

namespace dig::cli {
namespace {

using boost::json::object;

struct TurnCheckFlags {
  std::vector<std::string> urls;
  std::int64_t max_age_seconds = 0;
  ServerFlags servers;
};

// The servers to check: those that are named, or the whole catalogue. A TURN server gets the login of the flags;
// without, the one that the catalogue has for it, and only else that of the settings, which is for the user's own
// servers.
Result<std::vector<service::ServerToCheck>> choose(const TurnCheckFlags& flags, bool has_login_flag,
                                                   const net::LegSettings& settings) {
  DIG_TRY(const ladder::Catalogue catalogue, api::load_catalogue(flags.servers.catalogue));
  const int stop_fd = service::Signals::fd();
  if (flags.urls.empty()) return service::servers_of(catalogue, settings, stop_fd);
  std::vector<StunUri> uris;
  for (const std::string& url : flags.urls) {
    DIG_TRY(StunUri uri, StunUri::parse(url));
    uris.push_back(std::move(uri));
  }
  std::vector<service::ServerToCheck> known;
  std::vector<service::ServerToCheck> chosen;
  const bool wants_login = !has_login_flag && std::ranges::any_of(uris, &StunUri::is_turn);
  if (wants_login) known = service::servers_of(catalogue, settings, stop_fd);
  for (const StunUri& uri : uris) {
    const auto found = std::ranges::find(known, uri, &service::ServerToCheck::server);
    if (found != known.end()) {
      chosen.push_back(*found);
    } else if (uri.is_turn && (flags.servers.user.empty() || flags.servers.pass.empty())) {
      return fail(Errc::invalid_argument, "--user and --pass are needed for " + uri.to_string());
    } else if (uri.is_turn) {
      chosen.push_back({uri, turn::Credentials{flags.servers.user, flags.servers.pass}, {}, {}});
    } else {
      chosen.push_back({uri, {}, {}, {}});
    }
  }
  return chosen;
}

std::string milliseconds_of(const object& health, std::string_view key) {
  const auto* const value = health.if_contains(key);
  if (value == nullptr || !value->is_number()) return "-";
  const double number = value->to_number<double>();
  std::string text = std::to_string(number < 10 ? number : std::round(number));
  text.resize(std::min(text.size(), text.find('.') + (number < 10 ? 3 : 0)));
  return text + " ms";
}

std::string shown(const object& health, std::string_view key) {
  const std::string text = text_of(health, key);
  return text.empty() ? "-" : printable(text);
}

std::string name_of(const object& health) { return shown(health, text_of(health, "url").empty() ? "provider" : "url"); }

void print_table(Console& console, const std::vector<object>& results) {
  std::vector<std::vector<std::string>> rows{{"server", "works", "rtt", "echo", "seen as", "relays from", "checked"}};
  for (const object& health : results) {
    const std::uint64_t age = number_of(health, "age_s");
    rows.push_back({name_of(health), health.at("ok").get_bool() ? "yes" : "no", milliseconds_of(health, "rtt_ms"),
                    milliseconds_of(health, "echo_ms"), shown(health, "mapped"), shown(health, "relayed"),
                    age == 0 ? "now" : std::to_string(age) + " s ago"});
  }
  console.result(format_table(rows));
  for (const object& health : results) {
    const auto& error = health.at("error");
    if (!error.is_object()) continue;
    const object& form = error.get_object();
    console.note(name_of(health) + ": " + printable(text_of(form, "detail")) + " (" + text_of(form, "code") + ")\n  " +
                 text_of(form, "hint"));
  }
}

// What earlier checks and a check now say of the servers, in their order.
class Results {
 public:
  Results(const std::vector<service::ServerToCheck>& servers, service::HealthCache& cache)
      : servers_(servers), cache_(cache), found_(servers.size()) {}

  void take_known(std::chrono::seconds max_age) {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (!is_remembered(servers_[i])) continue;
      if (auto known = cache_.find(servers_[i].server.to_string(), max_age, net::wall_now())) found_[i] = *known;
    }
  }

  // The others. False: interrupted.
  bool check(Console& console, const net::LegSettings& settings) {
    std::vector<service::ServerToCheck> to_check;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (!found_[i].empty()) continue;
      to_check.push_back(servers_[i]);
      places.push_back(i);
    }
    std::size_t done = 0;
    const bool shows_progress = Console::is_terminal() && !console.is_quiet();
    const bool is_complete =
        service::check_servers(to_check, settings, service::Signals::fd(), [&](std::size_t index, object health) {
          if (is_remembered(to_check[index])) cache_.put(health);
          found_[places[index]] = std::move(health);
          ++done;
          if (!shows_progress) return;
          console.status("checked " + std::to_string(done) + " of " + std::to_string(to_check.size()));
        });
    console.status("");
    return is_complete;
  }

  [[nodiscard]] const std::vector<object>& found() const noexcept { return found_; }

 private:
  // What is found with a login of the user's own says nothing about another one; and a server whose credentials could
  // not be had was not checked.
  static bool is_remembered(const service::ServerToCheck& server) {
    return !server.error && (!server.credentials || !server.provider.empty());
  }

  const std::vector<service::ServerToCheck>& servers_;
  service::HealthCache& cache_;
  std::vector<object> found_;
};

Result<net::LegSettings> leg_settings_of(const Context& context, const ServerFlags& flags) {
  DIG_TRY(const std::string authorities, read_authorities(flags.ca));
  return net::LegSettings::create({.more_authorities_pem = authorities,
                                   .https_proxy = flags.proxy,
                                   .no_proxy = context.settings.no_proxy.value_or("")});
}

int run_turn_check(Context& context, TurnCheckFlags flags) {
  Console& console = context.console;
  const bool has_login_flag = !flags.servers.user.empty();
  if (const auto valid = flags.servers.complete(context.settings); !valid) {
    return report_failure(console, valid.error());
  }
  const auto settings = leg_settings_of(context, flags.servers);
  if (!settings) return report_failure(console, settings.error());
  const auto servers = choose(flags, has_login_flag, *settings);
  if (!servers) return report_failure(console, servers.error());

  service::HealthCache cache(context.paths.home / "server-health.json");
  Results results(*servers, cache);
  if (flags.max_age_seconds > 0) results.take_known(std::chrono::seconds(flags.max_age_seconds));
  if (!results.check(console, *settings)) return report_failure(console, Error(Errc::cancelled));
  if (const auto saved = cache.save(); !saved) console.note("not kept: " + saved.error().message());

  print_table(console, results.found());
  console.json({{"servers", boost::json::array(results.found().begin(), results.found().end())}});
  for (const object& health : results.found()) {
    if (health.at("error").is_object()) return service::exit_code(health.at("error").get_object());
  }
  return 0;
}

}  // namespace

Action define_turn_check(CLI::App& app) {
  auto flags = std::make_shared<TurnCheckFlags>();
  app.add_option("URL", flags->urls, "stun:, stuns:, turn: or turns: servers (default: all of the catalogue)");
  app.add_option("--max-age", flags->max_age_seconds, "Take what an earlier check found, if it is not older")
      ->type_name("SECONDS")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{31'536'000}))
      ->capture_default_str();
  flags->servers.define(app);
  app.footer(
      "A TURN server works when data came through it: from one relayed address to another and back.\n"
      "Exit code 0: all servers work; else that of the first that does not.\n\n"
      "Examples:\n  dignet turn-check\n"
      "  dignet turn-check turn:turn.example.org turns:turn.example.org:443 --user alice --pass secret");
  return [flags](Context& context) { return run_turn_check(context, *flags); };
}

}  // namespace dig::cli
