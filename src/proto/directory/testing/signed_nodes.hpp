// SPDX-License-Identifier: Apache-2.0
// Test-only: nodes that sign what they say of themselves.
#pragma once

#include <algorithm>
#include <vector>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "wire/directory_message.hpp"
#include "wire/identity.hpp"
#include "wire/node_record.hpp"
#include "wire/signed_statement.hpp"
#include "wire/store_announcement.hpp"

namespace dig::directory::testing {

constexpr Instant k_start{1000s};
constexpr UnixTime k_wall{1'800'000'000};
constexpr std::uint64_t k_wall_ms = 1'800'000'000'000;

inline StoreId store_of(std::uint64_t number) {
  SeededRng rng(number + 1'000'000);
  return {rng.array<32>()};
}

struct TestNode {
  Identity identity;

  explicit TestNode(std::uint64_t seed) : identity(make(seed)) {}

  [[nodiscard]] const PeerId& peer() const { return identity.peer_id(); }
  [[nodiscard]] NodeRecord record(std::uint64_t sequence) const {
    return {.peer = peer(),
            .sequence = sequence,
            .lifetime = std::chrono::hours(1),
            .addresses = {Multiaddr::parse("/ip4/192.0.2.1/tcp/4001").value()},
            .roles = {},
            .reachability = {},
            .pages = 1};
  }
  template <class Statement>
  [[nodiscard]] Bytes sign(const Statement& statement) const {
    return sign_statement(identity, statement).encode();
  }
  [[nodiscard]] Bytes signed_record(std::uint64_t sequence) const { return sign(record(sequence)); }
  [[nodiscard]] Bytes signed_page(std::uint64_t sequence, std::uint32_t page, std::vector<StoreId> stores) const {
    std::ranges::sort(stores);
    return sign(StoreAnnouncement{peer(), sequence, page, std::move(stores)});
  }
  [[nodiscard]] Bytes removal(std::uint64_t sequence) const { return sign(NodeRemoval{peer(), sequence}); }

 private:
  static Identity make(std::uint64_t seed) {
    SeededRng rng(seed);
    return Identity::generate(rng);
  }
};

// Whom the records of an answer describe, in their order.
inline std::vector<PeerId> peers_of(const std::vector<FoundRecord>& records) {
  std::vector<PeerId> peers;
  for (const FoundRecord& each : records) {
    peers.push_back(read_unverified<NodeRecord>(SignedEnvelope::decode(each.record).value()).value().peer);
  }
  return peers;
}

}  // namespace dig::directory::testing
