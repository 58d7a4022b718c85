// SPDX-License-Identifier: Apache-2.0
// dignet serve: a node that shares its stores and carries out other commands, until it is told to stop.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/serving.hpp"
#include "cli/serving_hint.hpp"
#include "cli/session.hpp"
#include "cli/turn_relay_flags.hpp"

namespace dig::cli {
namespace {

constexpr std::size_t k_max_stores_shown = 5;

void print_stores(Context& context, service::Backend& backend, const service::json::object& ready) {
  const service::Reply listed = run_call(context, backend, "ls", {}, nullptr);
  if (!listed.ok) return;
  const auto stores = objects_of(listed.body, "stores");
  if (stores.empty()) return context.console.note("it has no stores yet; add one with: dignet add PATH");
  context.console.note("it shares " + count_of(stores.size(), "store", "stores") + "; on the other computer run:");
  for (std::size_t i = 0; i < std::min(stores.size(), k_max_stores_shown); ++i) {
    context.console.note("  " + fetch_command(ready, text_of(*stores[i], "urn")));
  }
  if (stores.size() > k_max_stores_shown) context.console.note("  … (dignet ls has them all)");
}

Result<dignet::NodeOptions> serve_options(const Context& context, const NodeFlags& flags, const TurnRelayFlags& turn) {
  DIG_TRY(dignet::NodeOptions options, serving_options(context, flags));
  options.is_relay = true;  // while others can reach it
  DIG_CHECK(turn.apply(options, context.settings));
  return options;
}

}  // namespace

Action define_serve(CLI::App& app) {
  auto flags = std::make_shared<NodeFlags>();
  flags->define(app);
  auto turn = std::make_shared<TurnRelayFlags>();
  turn->define(app);
  app.footer(
      "Examples:\n  dignet serve\n  dignet serve --port 0 --announce /dns4/peer.example/tcp/4001\n"
      "  dignet serve --bootstrap /dns4/bootstrap.example/tcp/443/p2p/12D3KooW…\n"
      "  dignet serve --turn-open --min-port 50000 --max-port 50999\n"
      "  dignet serve --listen /ip4/127.0.0.1/tcp/0 --json");
  return [flags, turn](Context& context) {
    return run_node(context, serve_options(context, *flags, *turn), print_stores);
  };
}

}  // namespace dig::cli
