// SPDX-License-Identifier: Apache-2.0
// dignet ls: the stores that are here.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"

namespace dig::cli {
namespace {

int run_ls(Context& context) {
  const service::Reply reply = run_simple_call(context, "ls", {});
  if (!reply.ok) return report_failure(context.console, reply.body);
  context.console.json(reply.body);
  const service::json::value* stores = reply.body.if_contains("stores");
  if (stores == nullptr || !stores->is_array() || stores->get_array().empty()) {
    context.console.note("no stores here yet; add one with: dignet add PATH");
    return 0;
  }
  for (const service::json::value& value : stores->get_array()) {
    if (!value.is_object()) continue;
    const service::json::object& store = value.get_object();
    context.console.result(printable(text_of(store, "urn")) + "  " + format_bytes(number_of(store, "bytes")) + "  " +
                           count_of(number_of(store, "files"), "file", "files"));
  }
  return 0;
}

}  // namespace

Action define_ls(CLI::App& app) {
  app.footer("Example:\n  dignet ls --json");
  return run_ls;
}

}  // namespace dig::cli
