// SPDX-License-Identifier: Apache-2.0
// What a node shows to be used on other computers.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace dig::cli {

// `node` has "addresses" (the forms of ready and status); empty when it has none. The one that the most of the world is
// likely to reach: a name, which its owner has given; then addresses of the Internet before those of a private network,
// and IPv4 before IPv6, which not everybody has.
[[nodiscard]] std::string best_address(const boost::json::object& node);
// The exact command with which another computer fetches a store of this node; empty when it has no address.
[[nodiscard]] std::string fetch_command(const boost::json::object& node, const std::string& urn);

}  // namespace dig::cli
