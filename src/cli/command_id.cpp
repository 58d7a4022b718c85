// SPDX-License-Identifier: Apache-2.0
// dignet id: who this node is.
#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"

namespace dig::cli {

Action define_id(CLI::App& app) {
  app.footer("Example:\n  dignet id --json");
  return [](Context& context) {
    const service::Reply reply = run_simple_call(context, "id", {});
    if (!reply.ok) return report_failure(context.console, reply.body);
    context.console.json(reply.body);
    for (const char* name : {"peer_id", "crypto_ipv6", "public_key"}) {
      std::string label(name);
      label.resize(13, ' ');
      context.console.result(label + text_of(reply.body, name));
    }
    return 0;
  };
}

}  // namespace dig::cli
