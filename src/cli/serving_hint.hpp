// SPDX-License-Identifier: Apache-2.0
// The exact command with which another computer fetches a store of this node.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace dig::cli {

// `node` has "addresses" (the forms of ready and status); empty when it has none. Prefers an address that others can
// use.
[[nodiscard]] std::string fetch_command(const boost::json::object& node, const std::string& urn);

}  // namespace dig::cli
