// SPDX-License-Identifier: Apache-2.0
// dignet bootstrap: a node by which others find each other, and through which they reach each other.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/serving.hpp"
#include "cli/session.hpp"

namespace dig::cli {
namespace {

struct BootstrapFlags {
  NodeFlags node;
  std::string domain;
  std::vector<std::string> public_ips;
  std::string redis;
};

// The address that others are most likely to reach: what the owner has named, else the first one that is not loopback.
std::string best_address(const service::json::object& ready) {
  const auto addresses = texts_of(ready, "addresses");
  const auto is_elsewhere = [](const std::string& address) {
    return !address.starts_with("/ip4/127.") && !address.starts_with("/ip6/::1/");
  };
  const auto best = std::ranges::find_if(addresses, is_elsewhere);
  if (best != addresses.end()) return *best;
  return addresses.empty() ? std::string() : addresses.front();
}

void print_hint(Context& context, service::Backend& /*backend*/, const service::json::object& ready) {
  const std::string address = printable(best_address(ready));
  context.console.note(
      "bootstrap server: peers register here, find each other, and are relayed where nothing else works");
  if (address.empty()) return;
  context.console.note("on the other computers run:\n  dignet serve --bootstrap " + address +
                       "\n  dignet get --bootstrap " + address + " URN");
}

dignet::NodeOptions bootstrap_options(const Context& context, const BootstrapFlags& flags) {
  dignet::NodeOptions options = serving_options(context, flags.node);
  options.is_bootstrap = true;
  options.domain = flags.domain;
  options.public_ips = flags.public_ips;
  options.redis = flags.redis.empty() ? context.settings.redis.value_or("") : flags.redis;
  return options;
}

}  // namespace

Action define_bootstrap(CLI::App& app) {
  auto flags = std::make_shared<BootstrapFlags>();
  flags->node.define(app);
  app.add_option("--domain", flags->domain, "Peers reach this server by this name, which is announced too")
      ->type_name("NAME");
  app.add_option("--public-ip", flags->public_ips,
                 "Peers reach this server at this address, whatever its interfaces have (one a family)")
      ->type_name("IP")
      ->allow_extra_args(false);
  app.add_option("--redis", flags->redis,
                 "Share the directory with other bootstrap servers through this Redis server: "
                 "redis://[user:password@]host[:port][/database], rediss:// for TLS")
      ->type_name("URL");
  app.footer(
      "Examples:\n  dignet bootstrap\n  dignet bootstrap --domain bootstrap.example\n"
      "  dignet bootstrap --public-ip 203.0.113.7 --port 4001\n"
      "  DIGNET_REDIS=redis://:password@redis.example dignet bootstrap");
  return [flags](Context& context) { return run_node(context, bootstrap_options(context, *flags), print_hint); };
}

}  // namespace dig::cli
