// SPDX-License-Identifier: Apache-2.0
// dignet add: makes a store of a folder or a file, or takes an archive as it is.
#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/progress_view.hpp"
#include "cli/report.hpp"
#include "cli/serving_hint.hpp"
#include "cli/session.hpp"

namespace dig::cli {
namespace {

struct AddFlags {
  std::string path;
  std::string store_id;
};

void tell_next_step(Context& context, const OpenBackend& opened, const std::string& urn) {
  std::string command;
  if (opened.is_running_node) {
    const service::Reply status = run_call(context, *opened.backend, "status", {}, nullptr);
    if (status.ok) command = fetch_command(status.body, urn);
  }
  context.console.note(command.empty() ? "share it with: dignet serve" : "on the other computer: " + command);
}

int run_add(Context& context, const AddFlags& flags) {
  Result<OpenBackend> opened = open_backend(context);
  if (!opened) return report_failure(context.console, opened.error());
  std::error_code error;
  // The node that does the work may have another working folder.
  const std::filesystem::path path = std::filesystem::absolute(flags.path, error);
  if (error) return report_failure(context.console, Error(Errc::io_failed, flags.path + ": " + error.message()));
  service::json::object params{{"path", path.lexically_normal().native()}};
  if (!flags.store_id.empty()) params.emplace("store_id", flags.store_id);
  service::Reply reply;
  {
    ProgressView progress(context.console, context.loop, "adding");
    reply = run_call(context, *opened->backend, "add", params, [&](const service::json::object& event) {
      context.console.json(event);
      progress.handle(event);
    });
  }
  if (!reply.ok) return report_failure(context.console, reply.body);
  const std::string urn = text_of(reply.body, "urn");
  context.console.json(reply.body);
  context.console.note("added " + count_of(number_of(reply.body, "files"), "file", "files") + ", " +
                       format_bytes(number_of(reply.body, "bytes")));
  context.console.result(urn);
  if (!context.console.is_json() && !context.console.is_quiet()) tell_next_step(context, *opened, urn);
  return 0;
}

}  // namespace

Action define_add(CLI::App& app) {
  auto flags = std::make_shared<AddFlags>();
  app.add_option("PATH", flags->path, "A folder, a file or a .dig archive")->required();
  app.add_option("--store-id", flags->store_id, "The id of a store from elsewhere (64 hex digits); it has no signature")
      ->type_name("HEX");
  app.footer("Examples:\n  dignet add holiday/\n  urn=$(dignet add -q report.pdf)");
  return [flags](Context& context) { return run_add(context, *flags); };
}

}  // namespace dig::cli
