// SPDX-License-Identifier: Apache-2.0
// dignet connect: connects to a peer, pings it and shows the path.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"
#include "service/json_forms.hpp"

namespace dig::cli {
namespace {

struct ConnectFlags {
  std::string peer;
  std::int64_t count = 1;
  double timeout_seconds = 30;
  NodeFlags node;
};

void print_event(Console& console, const service::json::object& event) {
  console.json(event);
  if (text_of(event, "event") == "path") {
    console.note("connected by " + printable(text_of(event, "tier_name") + " " + text_of(event, "method")) + ": " +
                 printable(text_of(event, "to")));
  } else if (text_of(event, "event") == "ping") {
    console.result("ping " + std::to_string(number_of(event, "seq")) + "  " +
                   fmt::format("{:.3f} ms", decimal_of(event, "rtt_ms")));
  }
}

int run_connect(Context& context, const ConnectFlags& flags) {
  const service::json::object params{
      {"addresses", service::json::array{flags.peer}},
      {"count", flags.count},
      {"timeout_ms", static_cast<std::int64_t>(std::ceil(flags.timeout_seconds * 1000.0))}};
  Result<OpenBackend> opened = open_backend(context, flags.node);
  if (!opened) return report_failed_operation(context.console, service::error_form(opened.error()));
  const service::Reply reply =
      run_call(context, *opened->backend, "connect", params,
               [&](const service::json::object& event) { print_event(context.console, event); });
  if (!reply.ok) return report_failed_operation(context.console, reply.body);
  report_done(context.console, reply.body);
  context.console.note(context.console.styled(Style::good, "ok  ") + printable(text_of(reply.body, "peer_id")) +
                       " in " + format_elapsed(decimal_of(reply.body, "seconds")));
  return 0;
}

}  // namespace

Action define_connect(CLI::App& app) {
  auto flags = std::make_shared<ConnectFlags>();
  app.add_option("PEER", flags->peer, "The peer's address, ending in /p2p/PEERID")->required();
  app.add_option("--count", flags->count, "How many pings (default 1)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}));
  app.add_option("--timeout", flags->timeout_seconds, "Give up connecting after so many seconds (default 30, 0: never)")
      ->type_name("S")
      ->check(CLI::Range(0.0, 1'000'000.0));
  flags->node.define(app);
  app.footer("Example:\n  dignet connect /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW… --count 5");
  return [flags](Context& context) { return run_connect(context, *flags); };
}

}  // namespace dig::cli
