// SPDX-License-Identifier: Apache-2.0
// dignet status: the running node, the servers that it uses and what it does for others.
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>

#include "cli/commands.hpp"
#include "cli/format.hpp"
#include "cli/report.hpp"
#include "cli/session.hpp"

namespace dig::cli {
namespace {

std::string join(const service::json::object& object, std::string_view name) {
  std::string out;
  for (const std::string& one : texts_of(object, name)) out.append(out.empty() ? "" : ", ").append(one);
  return out;
}

std::string problem_of(const service::json::object& object) {
  const service::json::value* error = object.if_contains("error");
  return error != nullptr && error->is_object() ? text_of(error->get_object(), "detail") : std::string();
}

bool has(const service::json::object& object, std::string_view name) {
  const service::json::value* value = object.if_contains(name);
  return value != nullptr && !value->is_null();
}

std::string format_left(std::uint64_t seconds) {
  return format_time_left(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
}

std::string registration_of(const service::json::object& server) {
  if (!has(server, "registered_s")) {
    const std::string problem = problem_of(server);
    return problem.empty() ? "not registered" : "not registered: " + problem;
  }
  const service::json::value* replicated = server.if_contains("replicated");
  const bool is_replicated = replicated != nullptr && replicated->is_bool() && replicated->get_bool();
  return "registered for " + format_left(number_of(server, "registered_s")) + (is_replicated ? ", replicated" : "");
}

void print_servers(Console& console, const service::json::object& status) {
  for (const service::json::object* server : objects_of(status, "bootstraps")) {
    console.result("bootstrap     " + printable(text_of(*server, "peer_id") + "  " + registration_of(*server)));
  }
  for (const service::json::object* relay : objects_of(status, "reservations")) {
    const std::string problem = problem_of(*relay);
    const std::string state = has(*relay, "seconds") ? "for " + format_left(number_of(*relay, "seconds"))
                                                     : "none" + (problem.empty() ? problem : ": " + problem);
    console.result("reservation   " + printable(text_of(*relay, "relay") + "  " + state));
  }
}

std::string sharing_of(const service::json::object& directory) {
  const service::json::value* const shared = directory.if_contains("shared");
  if (shared == nullptr || !shared->is_bool()) return {};
  return shared->get_bool() ? ", shared" : ", not shared: Redis is lost";
}

void print_roles(Console& console, const service::json::object& status) {
  if (const service::json::value* relay = status.if_contains("relay"); relay != nullptr && relay->is_object()) {
    const service::json::object& role = relay->get_object();
    console.result("relays        " + count_of(number_of(role, "reservations"), "reservation", "reservations") + ", " +
                   count_of(number_of(role, "circuits"), "circuit", "circuits"));
  }
  if (const service::json::value* directory = status.if_contains("directory");
      directory != nullptr && directory->is_object()) {
    const service::json::object& role = directory->get_object();
    console.result("directory     " + count_of(number_of(role, "records"), "peer", "peers") + ", " +
                   format_bytes(number_of(role, "bytes")) + ", " +
                   count_of(number_of(role, "look_ups"), "look-up", "look-ups") + " so far" + sharing_of(role));
  }
}

int run_status(Context& context) {
  Console& console = context.console;
  const service::Reply reply = run_on_running_node(context, "status", {});
  if (!reply.ok) return report_failure(console, reply.body);
  const service::json::object& status = reply.body;
  console.json(status);
  if (console.is_json()) return 0;
  console.result("peer          " + printable(text_of(status, "peer_id") + "  " + text_of(status, "crypto_ipv6")));
  console.result("process       " + std::to_string(number_of(status, "pid")));
  console.result("roles         " + printable(join(status, "roles")));
  for (const std::string& address : texts_of(status, "addresses")) {
    console.result("address       " + printable(address));
  }
  console.result("connections   " + std::to_string(number_of(status, "connections")));
  print_servers(console, status);
  print_roles(console, status);
  return 0;
}

}  // namespace

Action define_status(CLI::App& app) {
  app.footer("Example:\n  dignet status --json");
  return run_status;
}

}  // namespace dig::cli
