// SPDX-License-Identifier: Apache-2.0
// What a node core tells about itself when it is asked.
#pragma once

#include <optional>
#include <vector>

#include "base/accept_limiter.hpp"
#include "node/dial_back_service.hpp"
#include "node/ids.hpp"
#include "node/link_path.hpp"
#include "proto/autonat/reachability_prober.hpp"
#include "proto/connection/connection.hpp"
#include "proto/directory/publisher.hpp"
#include "proto/directory/server.hpp"
#include "proto/relay/relay_server.hpp"
#include "proto/relay/reservation_keeper.hpp"
#include "wire/node_record.hpp"

namespace dig::node {

struct LinkStatus {  // of an established connection
  ConnectionId connection;
  PeerId peer;
  Direction direction = Direction::outbound;
  LinkPath path;
  Instant established;
};

struct BootstrapStatus {
  PeerId peer;
  bool is_connected = false;
  std::optional<Instant> registered_until;  // absent: this node's record is not there
  bool is_replicated = false;
  std::optional<Error> error;  // of the last attempt to register
};

struct NodeStatus {
  std::size_t connections = 0;
  std::size_t established = 0;
  std::size_t operations = 0;
  std::size_t store_streams = 0;
  AcceptLimiter::Status accepts;
  autonat::ProberStatus reachability;  // whether others reach this node
  DialBackStatus dial_backs;           // what it does to tell others
  NodeRoles roles;
  std::vector<BootstrapStatus> bootstraps;
  std::vector<relay::KeptRelay> reservations;  // that this node has at relays
  relay::RelayStatus relay;                    // as a relay for others
  std::optional<directory::ServerStatus> directory;
};

}  // namespace dig::node
