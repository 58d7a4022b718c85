// SPDX-License-Identifier: Apache-2.0
// The JSON form of a node's status and of its peers.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <vector>

#include "dignet/node.hpp"
#include "service/backend.hpp"

namespace dig::service {

// {peer_id, crypto_ipv6, addresses, ports, roles, pid}: what the line says that tells that a node is ready.
[[nodiscard]] json::object node_form(const dignet::NodeIdentity& identity, const std::vector<dignet::PortLease>& ports,
                                     const std::vector<std::string>& addresses, const std::vector<std::string>& roles);
// The same, and {connections, bootstraps, reservations}, with "relay" and "directory" where the node has these roles,
// and "one_port" where it listens.
[[nodiscard]] json::object status_form(const dignet::NodeIdentity& identity,
                                       const std::vector<dignet::PortLease>& ports, const dignet::NodeStatus& status);
// {"peers":[…]}
[[nodiscard]] json::object peers_form(const std::vector<dignet::PeerStatus>& peers);

}  // namespace dig::service
