// SPDX-License-Identifier: Apache-2.0
// dignet ports: the ports of the running node, or those that one started now would get.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"

namespace dig::cli {
namespace {

std::string join(const service::json::value* list) {
  std::string out;
  if (list == nullptr || !list->is_array()) return out;
  for (const service::json::value& value : list->get_array()) {
    if (value.is_string()) out.append(out.empty() ? "" : ",").append(std::string(value.get_string()));
  }
  return out;
}

int run_ports(Context& context) {
  const service::Reply reply = run_simple_call(context, "ports", {});
  if (!reply.ok) return report_failure(context.console, reply.body);
  context.console.json(reply.body);
  const service::json::value* running = reply.body.if_contains("running");
  if (running != nullptr && running->is_bool() && !running->get_bool()) {
    context.console.note("no node is running here; one started now would get:");
  }
  std::vector<std::vector<std::string>> rows{{"purpose", "preferred", "port", "protocols", "reason"}};
  const service::json::value* ports = reply.body.if_contains("ports");
  if (ports != nullptr && ports->is_array()) {
    for (const service::json::value& value : ports->get_array()) {
      if (!value.is_object()) continue;
      const service::json::object& port = value.get_object();
      const std::uint64_t preferred = number_of(port, "preferred");
      rows.push_back({text_of(port, "purpose"), preferred == 0 ? "any" : std::to_string(preferred),
                      std::to_string(number_of(port, "port")), join(port.if_contains("protocols")),
                      text_of(port, "reason")});
    }
  }
  context.console.result(format_table(rows));
  return 0;
}

}  // namespace

Action define_ports(CLI::App& app) {
  app.footer("Example:\n  dignet ports --json");
  return run_ports;
}

}  // namespace dig::cli
