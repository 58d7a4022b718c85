// SPDX-License-Identifier: Apache-2.0
// dignet verify: reads the stores that are here and checks every chunk against the root hash.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"

namespace dig::cli {
namespace {

void print_damaged(Console& console, const service::json::object& outcome) {
  const service::json::value* damaged = outcome.if_contains("damaged");
  if (damaged == nullptr || !damaged->is_array()) return;
  for (const service::json::value& value : damaged->get_array()) {
    if (!value.is_object()) continue;
    const service::json::object& one = value.get_object();
    console.error(console.styled(Style::bad, "damaged  ") + printable(text_of(one, "urn")) + "  " +
                  printable(text_of(one, "detail")));
  }
}

int run_verify(Context& context, const std::string& urn) {
  service::json::object params;
  if (!urn.empty()) params.emplace("urn", urn);
  if (Console::is_terminal() && !context.console.is_quiet()) context.console.status("verifying");
  const service::Reply reply = run_simple_call(context, "verify", params);
  context.console.status("");
  if (!reply.ok) {
    print_damaged(context.console, reply.body);
    return report_failure(context.console, reply.body);
  }
  service::json::object line{{"ok", true}};
  for (const service::json::key_value_pair& member : reply.body) line.emplace(member.key(), member.value());
  context.console.json(line);
  context.console.note("verified " + count_of(number_of(reply.body, "stores"), "store", "stores") + ", " +
                       format_bytes(number_of(reply.body, "bytes")));
  return 0;
}

}  // namespace

Action define_verify(CLI::App& app) {
  auto urn = std::make_shared<std::string>();
  app.add_option("URN", *urn, "Check only this store");
  app.footer("Examples:\n  dignet verify\n  dignet verify urn:dig:chia:9f86…");
  return [urn](Context& context) { return run_verify(context, *urn); };
}

}  // namespace dig::cli
