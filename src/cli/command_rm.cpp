// SPDX-License-Identifier: Apache-2.0
// dignet rm: removes a store that is here.
#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"

namespace dig::cli {

Action define_rm(CLI::App& app) {
  auto urn = std::make_shared<std::string>();
  app.add_option("URN", *urn, "The store to remove")->required();
  app.footer("Example:\n  dignet rm urn:dig:chia:9f86…");
  return [urn](Context& context) {
    const service::Reply reply = run_simple_call(context, "rm", {{"urn", *urn}});
    if (!reply.ok) return report_failure(context.console, reply.body);
    context.console.json(reply.body);
    context.console.note("removed " + printable(*urn));
    return 0;
  };
}

}  // namespace dig::cli
