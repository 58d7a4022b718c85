// SPDX-License-Identifier: Apache-2.0
// dignet ice-config: prints an RTCConfiguration for WebRTC clients.
#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>

#include "cli/commands.hpp"
#include "cli/report.hpp"
#include "cli/server_flags.hpp"
#include "dignet/ice.hpp"
#include "service/signals.hpp"

namespace dig::cli {
namespace {

struct IceConfigFlags {
  std::string format = "json";
  bool is_public = false;
  std::vector<std::string> stun;
  std::vector<std::string> turn;
  ServerFlags servers;
};

Result<dignet::IceOptions> options_of(const Context& context, IceConfigFlags flags) {
  DIG_CHECK(flags.servers.complete(context.settings));
  if (flags.stun.empty()) flags.stun = context.settings.stun.value_or(std::vector<std::string>());
  if (flags.turn.empty()) flags.turn = context.settings.turn.value_or(std::vector<std::string>());
  dignet::IceOptions options;
  if (!flags.stun.empty()) options.servers.push_back({.urls = flags.stun, .username = {}, .credential = {}});
  if (!flags.turn.empty()) options.servers.push_back({flags.turn, flags.servers.user, flags.servers.pass});
  options.include_public_turn = flags.is_public;
  options.catalogue = flags.servers.catalogue;
  options.https_proxy = flags.servers.proxy;
  options.no_proxy = context.settings.no_proxy.value_or("");
  options.stop_fd = service::Signals::fd();
  DIG_TRY(options.more_authorities_pem, read_authorities(flags.servers.ca));
  return options;
}

int run_ice_config(Context& context, const IceConfigFlags& flags) {
  Console& console = context.console;
  const auto options = options_of(context, flags);
  if (!options) return report_failure(console, options.error());
  const auto configuration = dignet::ice_configuration(*options);
  if (!configuration) return report_failure(console, configuration.error());
  for (const Error& warning : configuration->warnings) {
    console.error("left out: " + warning.message() + "; " + std::string(warning.info().hint));
  }
  const std::string text = dignet::to_json(*configuration);
  if (flags.format == "js") {
    console.result("const peerConnection = new RTCPeerConnection(" + text + ");");
  } else {
    console.result(text);
  }
  console.json(boost::json::parse(text).get_object());
  return 0;
}

}  // namespace

Action define_ice_config(CLI::App& app) {
  auto flags = std::make_shared<IceConfigFlags>();
  app.add_option("--format", flags->format, "json: the configuration; js: a line of JavaScript with it")
      ->check(CLI::IsMember({"json", "js"}))
      ->capture_default_str();
  app.add_flag("--public", flags->is_public,
               "With the TURN servers that are open to everybody: slow, shared, for emergencies");
  app.add_option("--stun", flags->stun, "Further STUN server")->type_name("URL");
  app.add_option("--turn", flags->turn, "Further TURN server, with --user and --pass")->type_name("URL");
  flags->servers.define(app);
  app.footer(
      "Examples:\n  dignet ice-config --turn turn:turn.example.org:3478 --user alice --pass secret\n"
      "  dignet ice-config --public --format js");
  return [flags](Context& context) { return run_ice_config(context, *flags); };
}

}  // namespace dig::cli
