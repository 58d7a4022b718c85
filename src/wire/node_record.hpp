// SPDX-License-Identifier: Apache-2.0
// What a node publishes of itself: where it can be reached and what it does for others. It counts only when the node
// itself has signed it (signed_statement.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/multiaddr.hpp"
#include "wire/nat_behaviour.hpp"
#include "wire/peer_id.hpp"

namespace dig {

enum class NodeRole : std::uint32_t {
  relay = 1,
  turn_pair_relay = 2,  // between its own allocations only
  turn_open_relay = 4,  // to addresses on the Internet
  bootstrap = 8,
  autonat_server = 16,
};

// Bits of roles that this version does not know are kept.
struct NodeRoles {
  static constexpr std::uint32_t known = 31;

  std::uint32_t bits = 0;

  [[nodiscard]] constexpr bool has_all(NodeRoles other) const noexcept { return (bits & other.bits) == other.bits; }
  constexpr void add(NodeRole role) noexcept { bits |= static_cast<std::uint32_t>(role); }
  friend constexpr bool operator==(const NodeRoles&, const NodeRoles&) = default;
};

// Absent: the node does not know.
struct Reachability {
  NatMapping mapping = NatMapping::unknown;
  NatFiltering filtering = NatFiltering::unknown;
  std::optional<bool> udp;
  std::optional<bool> tcp_443;  // out to port 443
  std::optional<bool> port_mapped;
  std::optional<bool> ipv6;
  friend bool operator==(const Reachability&, const Reachability&) = default;
};

struct NodeRecord {
  static constexpr std::string_view domain = "dignet-node-record";
  static constexpr std::string_view payload_type = "/dignet/node-record/1";
  static constexpr std::size_t max_encoded_size = std::size_t{4} * 1024;
  static constexpr std::size_t max_addresses = 32;
  static constexpr std::uint32_t max_pages = 256;
  static constexpr std::chrono::seconds max_lifetime = std::chrono::hours(2);

  PeerId peer;
  std::uint64_t sequence = 0;        // when it was signed, in Unix milliseconds; rises always, never 0
  std::chrono::seconds lifetime{0};  // 1 s … max_lifetime
  std::vector<Multiaddr> addresses;  // relayed ones included
  NodeRoles roles;
  Reachability reachability;
  std::uint32_t pages = 0;            // of store announcements: 0 … pages - 1
  std::size_t skipped_addresses = 0;  // of a kind this version does not understand

  // Errors: malformed, oversized, bad_peer_id.
  [[nodiscard]] static Result<NodeRecord> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

// The node leaves: what it signed before no longer counts.
struct NodeRemoval {
  static constexpr std::string_view domain = "dignet-node-removal";
  static constexpr std::string_view payload_type = "/dignet/node-removal/1";
  static constexpr std::size_t max_encoded_size = 128;

  PeerId peer;
  std::uint64_t sequence = 0;

  [[nodiscard]] static Result<NodeRemoval> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const NodeRemoval&, const NodeRemoval&) = default;
};

}  // namespace dig
