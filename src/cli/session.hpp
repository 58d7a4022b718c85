// SPDX-License-Identifier: Apache-2.0
// One call of a command to a node: the running one when it answers, else a short-lived node of this process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/context.hpp"
#include "dignet/node.hpp"
#include "service/backend.hpp"

namespace CLI {
class App;
}

namespace dig::cli {

// The flags that serve, get and connect share.
struct NodeFlags {
  std::vector<std::string> listen;
  std::vector<std::string> announce;
  std::vector<std::string> relay;
  std::vector<std::string> bootstrap;
  std::string ca;
  std::string tiers;
  int port = -1;

  void define(CLI::App& app);
  // True when a flag asks for something that only a node made for it can give.
  [[nodiscard]] bool is_any_given() const {
    return !listen.empty() || !announce.empty() || !relay.empty() || !bootstrap.empty() || !ca.empty() ||
           !tiers.empty() || port >= 0;
  }
};

// The options of a node that serves: flags over settings. Errors: those of read_authorities.
[[nodiscard]] Result<dignet::NodeOptions> serving_options(const Context& context, const NodeFlags& flags);
// The options of a short-lived node: it listens only when a flag says where.
[[nodiscard]] Result<dignet::NodeOptions> brief_options(const Context& context, const NodeFlags& flags);

struct OpenBackend {
  std::unique_ptr<service::Backend> backend;
  bool is_running_node = false;  // it is the node of another process
};
// Errors: permission_denied, control_failed. Without a running node this succeeds; making a node comes with the first
// call.
[[nodiscard]] Result<OpenBackend> open_backend(Context& context, const NodeFlags& flags = {});

// Runs a call to its end. On SIGINT or SIGTERM the call is cancelled and given two seconds to say so.
[[nodiscard]] service::Reply run_call(Context& context, service::Backend& backend, const std::string& method,
                                      const service::json::object& params, service::EventSink on_event);
// The same for calls without events to the node that runs on this home. Fails with not_running when there is none.
[[nodiscard]] service::Reply run_on_running_node(Context& context, const std::string& method,
                                                 const service::json::object& params);
// The same with a short-lived node where none runs, from opening the backend on.
[[nodiscard]] service::Reply run_simple_call(Context& context, const std::string& method,
                                             const service::json::object& params);

}  // namespace dig::cli
