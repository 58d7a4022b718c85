// SPDX-License-Identifier: Apache-2.0
// From the values of the layers below to those of the public API.
#pragma once

#include <chrono>

#include "dignet/node.hpp"
#include "net/port_manager.hpp"
#include "net/port_streams.hpp"
#include "node/node_status.hpp"
#include "proto/one_port/datagram_router.hpp"
#include "store/disk/local_store.hpp"
#include "wire/identity.hpp"
#include "wire/multiaddr.hpp"

namespace dignet {

[[nodiscard]] PortLease to_public(const dig::net::PortStatus& status);
[[nodiscard]] StoreInfo to_public(const dig::store::StoreInfo& info);
[[nodiscard]] VerifyReport to_public(const dig::store::VerifyReport& report);
[[nodiscard]] NodeIdentity to_public(const dig::Identity& identity);
[[nodiscard]] PeerStatus to_public(dig::Instant now, const dig::node::LinkStatus& link);
[[nodiscard]] OnePortStatus to_public(const dig::net::PortStreamsStatus& streams,
                                      const dig::one_port::DatagramRouter::Status& datagrams);
// Without the addresses and the one port.
[[nodiscard]] NodeStatus to_public(dig::Instant now, const dig::node::NodeStatus& status);

// Longer ones would not fit the clock.
inline constexpr std::chrono::milliseconds k_longest_timeout = std::chrono::hours(24 * 365);

// The addresses of one peer, as a user gives them: each is a multiaddr that ends in /p2p/<peer id>.
struct PeerAddresses {
  dig::PeerId peer;
  std::vector<dig::Multiaddr> addresses;  // without the peer id
};
// Grouped by peer, in the order of first mention. Errors: bad_peer_id when one has none; what Multiaddr says.
[[nodiscard]] Result<std::vector<PeerAddresses>> parse_peers(const std::vector<std::string>& texts);
[[nodiscard]] Result<std::vector<dig::Multiaddr>> parse_addresses(const std::vector<std::string>& texts);

}  // namespace dignet
