// SPDX-License-Identifier: Apache-2.0
// dignet get: fetches a store, or one resource of it.
#include <CLI/CLI.hpp>
#include <cmath>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/progress_view.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"
#include "service/json_forms.hpp"
#include "store/urn.hpp"

namespace dig::cli {
namespace {

struct GetFlags {
  std::string urn;
  std::string output;
  std::vector<std::string> peers;
  double timeout_seconds = 0;
  bool accept_unpinned = false;
  NodeFlags node;
};

void print_summary(Console& console, const service::json::object& done) {
  const std::uint64_t fetched = number_of(done, "fetched_bytes");
  const std::uint64_t reused = number_of(done, "reused_bytes");
  const double seconds = decimal_of(done, "seconds");
  std::string line = console.styled(Style::good, "done  ") + format_bytes(number_of(done, "bytes")) + " verified in " +
                     format_elapsed(seconds);
  if (fetched > 0) {
    if (seconds > 0) line += ", " + format_rate(static_cast<double>(fetched) / seconds);
    line += ", " + printable(text_of(done, "tier_name") + " " + text_of(done, "method")) + " from " +
            printable(text_of(done, "peer_id"));
  }
  if (reused > 0) line += ", " + format_bytes(reused) + " were here already";
  console.note(line);
}

// A resource without -o lands in the current folder, as a file of its name; a store stays in the home.
std::string default_output(const std::string& text) {
  const auto urn = store::Urn::parse(text);
  return urn && !urn->resource.empty() ? "." : "";
}

int run_get(Context& context, const GetFlags& flags) {
  service::json::object params{{"urn", flags.urn},
                               {"peers", service::json::array(flags.peers.begin(), flags.peers.end())},
                               {"accept_unpinned", flags.accept_unpinned},
                               {"sha256", context.console.is_json()},  // a pass over all bytes: only where it is shown
                               {"timeout_ms", static_cast<std::int64_t>(std::ceil(flags.timeout_seconds * 1000.0))}};
  const std::string wanted_output = flags.output.empty() ? default_output(flags.urn) : flags.output;
  if (!wanted_output.empty()) {
    std::error_code error;
    const std::filesystem::path output = std::filesystem::absolute(wanted_output, error);
    if (error) {
      return report_failed_operation(context.console, service::error_form(Error(Errc::io_failed, error.message())));
    }
    params.emplace("output", output.lexically_normal().native());
  }
  Result<OpenBackend> opened = open_backend(context, flags.node);
  if (!opened) return report_failed_operation(context.console, service::error_form(opened.error()));
  service::Reply reply;
  {
    ProgressView progress(context.console, context.loop);
    reply = run_call(context, *opened->backend, "get", params, [&](const service::json::object& event) {
      context.console.json(event);
      progress.handle(event);
    });
  }
  if (!reply.ok) return report_failed_operation(context.console, reply.body);
  report_done(context.console, reply.body);
  print_summary(context.console, reply.body);
  const std::string output = text_of(reply.body, "output");
  context.console.result(output.empty() ? printable(text_of(reply.body, "urn")) : output);
  return 0;
}

}  // namespace

Action define_get(CLI::App& app) {
  auto flags = std::make_shared<GetFlags>();
  app.add_option("URN", flags->urn, "What to fetch: a store, or with /path behind it one resource")->required();
  app.add_option("-o,--output", flags->output, "Write it here: a file, or an existing folder (a resource: default .)")
      ->type_name("PATH");
  app.add_option("--peer", flags->peers, "Address of a holder, ending in /p2p/PEERID (may be repeated)")
      ->type_name("MULTIADDR")
      ->allow_extra_args(false);
  app.add_option("--timeout", flags->timeout_seconds, "Give up after so many seconds (default: never)")
      ->type_name("S")
      ->check(CLI::Range(0.0, 1'000'000.0));
  app.add_flag("--accept-unpinned", flags->accept_unpinned,
               "Accept content that neither a root hash nor its owner's signature proves");
  flags->node.define(app);
  app.footer(
      "Run it again after an interruption: it goes on where it stopped.\n\nExamples:\n"
      "  dignet get --peer /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW… urn:dig:chia:9f86…:2c26… -o holiday.dig\n"
      "  dignet get --peer ADDRESS urn:dig:chia:9f86…:2c26…/index.html -o .");
  return [flags](Context& context) { return run_get(context, *flags); };
}

}  // namespace dig::cli
