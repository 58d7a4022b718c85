// SPDX-License-Identifier: Apache-2.0
// What a node and its operations tell while they run: attempts, paths, progress and the node's own events.
//
// Thread-safety: plain values. Times are milliseconds since the operation started; sizes are bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dignet/error.hpp"

namespace dignet {

enum class Outcome : std::uint8_t { won, failed, cancelled, skipped };

// One row of the ordered attempt list that explains every outcome: what was tried, and why it did not win.
struct Attempt {
  int tier = 0;           // 1 (direct) … 5 (public TURN)
  std::string tier_name;  // "direct"
  std::string method;     // "tcp"
  std::string target;     // the address that was tried; empty when skipped before one was known
  std::int64_t started_ms = 0;
  std::int64_t elapsed_ms = 0;
  Outcome outcome = Outcome::skipped;
  std::optional<Error> error;  // why, unless it won
};

// The connection moved to a better path (or an operation to another holder).
struct Promotion {
  std::int64_t at_ms = 0;
  std::string from;  // tier name
  std::string to;
};

struct AttemptEvent {
  Attempt attempt;
};
struct PathEvent {
  std::string from;  // empty for the first path
  std::string to;    // for example "/ip4/192.0.2.1/tcp/4001"
  int tier = 0;
  std::string tier_name;
  std::string method;
  std::string peer_id;
};
struct ProgressEvent {
  std::uint64_t bytes = 0;  // verified and on disk; of an add: archived and hashed
  std::uint64_t total = 0;
  std::uint64_t fetched_bytes = 0;  // came over the network in this run
  std::uint64_t reused_bytes = 0;   // were on disk before and verified again
  std::uint64_t window_bytes = 0;   // so much may be asked for and not yet written: what an end right now would cost
};
using OperationEvent = std::variant<AttemptEvent, PathEvent, ProgressEvent>;

// Events of the node itself.
struct PeerConnected {
  std::string peer_id;
  std::string remote_address;
  bool is_inbound = false;
  std::uint64_t connection = 0;  // for Node::open_stream
};
struct PeerIdentified {  // the peer told its addresses and protocols (libp2p identify)
  std::string peer_id;
  std::string agent_version;
  std::vector<std::string> addresses;
  std::vector<std::string> protocols;
  std::string observed_address;  // how the peer sees this node
};
struct PeerDisconnected {
  std::string peer_id;
  Error reason;
};
struct ListenAddressesChanged {  // at a relay, or because this machine has others; all there are now
  std::vector<std::string> addresses;
};
struct ReservationLost {  // a relay is not kept any more
  std::string relay_peer_id;
  Error reason;
};
struct TurnRoleChanged {  // this node is a TURN server for its peers from now on, or is none
  bool is_on = false;
  std::string kind;                  // "pair": between two peers that both ask for it; "open": to any public address
  std::vector<std::string> servers;  // where, as URIs (RFC 7065); empty when off
  std::string why;
};
// Whether others can dial this node (AutoNAT v2), told again when more is known.
struct ReachabilityChanged {
  std::string family;                  // "ipv4" or "ipv6"
  std::string verdict;                 // "reachable", "unreachable" or "unknown"
  std::vector<std::string> addresses;  // that were proven to be reached
  std::size_t servers = 0;             // that agree on the verdict
  // One of those who reached this node had no connection with it before. Without, a NAT that filters by address may
  // have let in only those whom this node has called.
  bool has_stranger = false;
  friend bool operator==(const ReachabilityChanged&, const ReachabilityChanged&) = default;
};
// A bootstrap server's directory is shared with others through Redis from now on, or is not any more.
struct DirectorySharingChanged {
  bool is_up = false;
  std::optional<Error> error;  // why not; absent when up
};
struct Warning {
  Error error;
};
using NodeEvent = std::variant<PeerConnected, PeerIdentified, PeerDisconnected, ListenAddressesChanged, ReservationLost,
                               TurnRoleChanged, ReachabilityChanged, DirectorySharingChanged, Warning>;

}  // namespace dignet
