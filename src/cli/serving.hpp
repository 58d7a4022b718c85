// SPDX-License-Identifier: Apache-2.0
// What serve and bootstrap do alike: run a node, tell its events, and carry out other commands, until told to stop.
#pragma once

#include <functional>

#include "cli/context.hpp"
#include "dignet/node.hpp"
#include "service/backend.hpp"

namespace dig::cli {

// Once the node is made, before it says that it is ready.
using Prepare = std::function<void(dignet::Node& node)>;
// Said to people once the node is ready, behind where it listens. `ready` is the JSON line.
using SayReady = std::function<void(Context& context, service::Backend& backend, const service::json::object& ready)>;

// Returns the exit code; an error in place of the options is told.
[[nodiscard]] int run_node(Context& context, Result<dignet::NodeOptions> options, const SayReady& say_ready,
                           const Prepare& prepare = {});

}  // namespace dig::cli
