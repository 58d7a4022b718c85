// SPDX-License-Identifier: Apache-2.0
// dignet serve: a node that shares its stores and carries out other commands, until it is told to stop.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/serving_hint.hpp"
#include "cli/session.hpp"
#include "cli/turn_relay_flags.hpp"
#include "service/control_server.hpp"
#include "service/event_log.hpp"
#include "service/json_forms.hpp"
#include "service/local_backend.hpp"
#include "service/remote_backend.hpp"
#include "service/signals.hpp"

namespace dig::cli {
namespace {

constexpr std::size_t k_max_stores_shown = 5;

// Says which process has the home, when that is why the node could not be made.
Error explain(Context& context, const Error& error) {
  if (error.code() != Errc::home_in_use) return error;
  auto remote = service::RemoteBackend::connect(context.loop, context.paths.home);
  if (!remote) return error;
  const service::Reply status = run_call(context, **remote, "status", {}, nullptr);
  if (!status.ok) return error;
  return Error(Errc::home_in_use, "process " + std::to_string(number_of(status.body, "pid")) + " serves it");
}

void print_stores(Context& context, service::Backend& backend, const service::json::object& ready) {
  const service::Reply listed = run_call(context, backend, "ls", {}, nullptr);
  const service::json::value* stores = listed.ok ? listed.body.if_contains("stores") : nullptr;
  if (stores == nullptr || !stores->is_array()) return;
  const service::json::array& all = stores->get_array();
  if (all.empty()) return context.console.note("it has no stores yet; add one with: dignet add PATH");
  context.console.note("it shares " + count_of(all.size(), "store", "stores") + "; on the other computer run:");
  for (std::size_t i = 0; i < std::min(all.size(), k_max_stores_shown); ++i) {
    if (all[i].is_object()) context.console.note("  " + fetch_command(ready, text_of(all[i].get_object(), "urn")));
  }
  if (all.size() > k_max_stores_shown) context.console.note("  … (dignet ls has them all)");
}

void print_ready(Context& context, service::Backend& backend, const service::json::object& ready) {
  context.console.json(ready);
  if (context.console.is_json()) return;
  context.console.note("dignet " + context.version + "  " +
                       context.console.styled(Style::strong, text_of(ready, "peer_id")) + "\nlistening on:");
  if (const service::json::value* addresses = ready.if_contains("addresses"); addresses != nullptr) {
    for (const service::json::value& address : addresses->as_array()) {
      context.console.result(printable(std::string(address.as_string())));
    }
  }
  print_stores(context, backend, ready);
  context.console.note("stop it with Ctrl-C");
}

int run_serve(Context& context, const dignet::NodeOptions& options) {
  Console& console = context.console;
  service::EventLog log(context.log_level.empty() ? "info" : context.log_level,
                        [&console](std::string_view line) { console.error(line); });
  service::LocalBackend backend(context.loop, options);
  const Result<dignet::Node*> node = backend.node();
  if (!node) return report_failure(console, explain(context, node.error()));
  (*node)->on_event([&](const dignet::NodeEvent& event) {
    log.node_event(event);
    console.json(service::node_event_form(event));
  });
  const auto control = service::ControlServer::create(context.loop, backend, context.paths.home);
  if (!control) return report_failure(console, control.error());
  print_ready(context, backend, service::ready_form((*node)->identity(), (*node)->addresses(), (*node)->ports()));
  const int signal_fd = service::Signals::fd();
  context.loop.watch(signal_fd, POLLIN, [&](short) { context.loop.unwatch(signal_fd); });
  context.loop.run_until([] { return service::Signals::stop_requested(); });
  context.loop.unwatch(signal_fd);
  console.json({{"event", "stopped"}});
  console.note("stopped");
  return 0;
}

}  // namespace

Action define_serve(CLI::App& app) {
  auto flags = std::make_shared<NodeFlags>();
  flags->define(app);
  auto turn = std::make_shared<TurnRelayFlags>();
  turn->define(app);
  app.footer(
      "Examples:\n  dignet serve\n  dignet serve --port 0 --announce /dns4/peer.example/tcp/4001\n"
      "  dignet serve --listen /ip4/127.0.0.1/tcp/0 --json");
  return [flags, turn](Context& context) {
    dignet::NodeOptions options = serving_options(context, *flags);
    turn->apply(options, context.settings);
    return run_serve(context, options);
  };
}

}  // namespace dig::cli
