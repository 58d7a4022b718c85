// SPDX-License-Identifier: Apache-2.0
#include "cli/serving.hpp"

#include <boost/json/array.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"
#include "service/control_server.hpp"
#include "service/event_log.hpp"
#include "service/json_forms.hpp"
#include "service/local_backend.hpp"
#include "service/remote_backend.hpp"
#include "service/signals.hpp"

namespace dig::cli {
namespace {

// Says which process has the home, when that is why the node could not be made.
Error explain(Context& context, const Error& error) {
  if (error.code() != Errc::home_in_use) return error;
  auto remote = service::RemoteBackend::connect(context.loop, context.paths.home);
  if (!remote) return error;
  const service::Reply status = run_call(context, **remote, "status", {}, nullptr);
  if (!status.ok) return error;
  return Error(Errc::home_in_use, "process " + std::to_string(number_of(status.body, "pid")) + " serves it");
}

// What the node is and where it listens, as its status tells it.
service::json::object ready_form(Context& context, service::Backend& backend) {
  service::json::object ready{{"event", "ready"}};
  const service::Reply status = run_call(context, backend, "status", {}, nullptr);
  for (const char* name : {"peer_id", "crypto_ipv6", "addresses", "ports", "roles", "pid"}) {
    if (const service::json::value* value = status.body.if_contains(name)) ready.emplace(name, *value);
  }
  return ready;
}

void print_ready(Context& context, service::Backend& backend, const SayReady& say_ready) {
  const service::json::object ready = ready_form(context, backend);
  context.console.json(ready);
  if (context.console.is_json()) return;
  context.console.note("dignet " + context.version + "  " +
                       context.console.styled(Style::strong, text_of(ready, "peer_id")) + "\nlistening on:");
  for (const std::string& address : texts_of(ready, "addresses")) context.console.result(printable(address));
  say_ready(context, backend, ready);
  context.console.note("stop it with Ctrl-C");
}

}  // namespace

int run_node(Context& context, Result<dignet::NodeOptions> options, const SayReady& say_ready, const Prepare& prepare) {
  Console& console = context.console;
  service::EventLog log(context.log_level.empty() ? "info" : context.log_level,
                        [&console](std::string_view line) { console.error(line); });
  if (!options) return report_failure(console, options.error());
  service::LocalBackend backend(context.loop, std::move(*options));
  const Result<dignet::Node*> node = backend.node();
  if (!node) return report_failure(console, explain(context, node.error()));
  // The line that says ready is the first one; what comes before waits.
  std::optional<std::vector<service::json::object>> early(std::in_place);
  (*node)->on_event([&](const dignet::NodeEvent& event) {
    log.node_event(event);
    if (early) {
      early->push_back(service::node_event_form(event));
    } else {
      console.json(service::node_event_form(event));
    }
  });
  const auto control = service::ControlServer::create(context.loop, backend, context.paths.home);
  if (!control) return report_failure(console, control.error());
  if (prepare) prepare(**node);
  print_ready(context, backend, say_ready);
  const auto waiting = std::exchange(early, std::nullopt);
  for (const service::json::object& event : *waiting) console.json(event);
  const int signal_fd = service::Signals::fd();
  context.loop.watch(signal_fd, POLLIN, [&](short) { context.loop.unwatch(signal_fd); });
  context.loop.run_until([] { return service::Signals::stop_requested(); });
  context.loop.unwatch(signal_fd);
  console.json({{"event", "stopped"}});
  console.note("stopped");
  return 0;
}

}  // namespace dig::cli
