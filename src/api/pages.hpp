// SPDX-License-Identifier: Apache-2.0
// Pages that the layer above serves on the ports of a node.
#pragma once

#include <functional>
#include <string_view>

#include "dignet/node.hpp"
#include "net/port_streams.hpp"

namespace dignet {

// `path` without the query. Called on the node's own thread: it must not block, nor use the node.
using MakePage = std::function<dig::net::PageAnswer(std::string_view path, const NodeStatus& status)>;
// From now on; before, and without it, every page is unknown (404).
void serve_pages(Node& node, MakePage make_page);

}  // namespace dignet
