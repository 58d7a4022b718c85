// SPDX-License-Identifier: Apache-2.0
// dignet peers: whom the running node is connected with, and by which path.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"

namespace dig::cli {
namespace {

int run_peers(Context& context) {
  const service::Reply reply = run_on_running_node(context, "peers", {});
  if (!reply.ok) return report_failure(context.console, reply.body);
  context.console.json(reply.body);
  std::vector<std::vector<std::string>> rows{{"peer", "path", "address", "direction", "connected"}};
  for (const service::json::object* peer : objects_of(reply.body, "peers")) {
    rows.push_back({text_of(*peer, "peer_id"), text_of(*peer, "tier_name") + " " + text_of(*peer, "method"),
                    text_of(*peer, "address"), text_of(*peer, "direction"),
                    format_elapsed(static_cast<double>(number_of(*peer, "seconds")))});
  }
  if (rows.size() == 1) {
    context.console.note("no peers are connected");
  } else {
    context.console.result(format_table(rows));
  }
  return 0;
}

}  // namespace

Action define_peers(CLI::App& app) {
  app.footer("Example:\n  dignet peers --json");
  return run_peers;
}

}  // namespace dig::cli
