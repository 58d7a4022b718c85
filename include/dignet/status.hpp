// SPDX-License-Identifier: Apache-2.0
// A running node as it is at one moment: its connections, the servers that it uses and what it does for others.
//
// Thread-safety: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dignet/error.hpp"

namespace dignet {

struct PeerStatus {  // one connection
  std::string peer_id;
  std::string crypto_ipv6;
  std::string address;  // of the peer, as it was reached
  bool is_inbound = false;
  int tier = 0;  // of the path
  std::string tier_name;
  std::string method;
  double seconds = 0;  // since it was established
};

struct BootstrapServerStatus {
  std::string peer_id;
  bool is_connected = false;
  std::optional<double> registered_seconds;  // how long this node's record there still counts; absent: there is none
  bool is_replicated = false;                // would survive the loss of that server
  std::optional<Error> error;                // of the last attempt to register
};

struct ReservationStatus {  // at a circuit relay
  std::string relay_peer_id;
  std::optional<double> seconds;  // how long it still lasts; absent: there is none now
  std::optional<Error> error;     // of the last attempt
};

struct RelayRoleStatus {  // what this node relays for others
  std::uint64_t reservations = 0;
  std::uint64_t circuits = 0;
  std::uint64_t circuits_admitted = 0;  // since it runs
  std::uint64_t circuits_refused = 0;
};

struct DirectoryStatus {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;       // in memory, about
  std::uint64_t registered = 0;  // since it runs
  std::uint64_t refused = 0;
  std::uint64_t expired = 0;
  std::uint64_t look_ups = 0;
  // Whether Redis is there and both sides are equal; absent: it is not shared with other servers.
  std::optional<bool> is_shared;
};

// What has come to the one port, since the node runs.
struct OnePortStatus {
  std::uint64_t unidentified = 0;  // now: connections that have not said what they speak
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;  // by the limits, before anything was read
  std::uint64_t libp2p = 0;
  std::uint64_t stun = 0;
  std::uint64_t pages = 0;
  std::uint64_t misdirected_pages = 0;  // asked for under a name that is not ours
  struct RefusedConnections {
    std::string phase;  // how far it was known what they speak: "first bytes", "TLS", "HTTP", "STUN", …
    Errc reason = Errc::internal;
    std::uint64_t count = 0;
  };
  std::vector<RefusedConnections> refused;
  struct RefusedDatagrams {
    std::string reason;  // "empty", "not_stun", "reserved" or "rtp"
    std::uint64_t count = 0;
  };
  std::vector<RefusedDatagrams> datagrams_refused;
};

struct NodeStatus {
  std::vector<std::string> roles;      // "peer", "relay", "bootstrap", …
  std::vector<std::string> addresses;  // with /p2p/<peer id>
  std::uint64_t connections = 0;       // those that are being established included
  std::vector<BootstrapServerStatus> bootstraps;
  std::vector<ReservationStatus> reservations;
  std::optional<RelayRoleStatus> relay;
  std::optional<DirectoryStatus> directory;
  std::optional<OnePortStatus> one_port;  // absent: the node does not listen
};

}  // namespace dignet
