// SPDX-License-Identifier: Apache-2.0
// One allocation (RFC 8656 §3): the client's 5-tuple, one or two relayed addresses, permissions and channels. Small and
// flat: many of them idle at once. What the server does with it is in server.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "base/hash_mix.hpp"
#include "base/strong_id.hpp"
#include "base/time.hpp"
#include "base/token_bucket.hpp"
#include "proto/turn_server/pair_table.hpp"
#include "proto/turn_server/quotas.hpp"
#include "wire/stun_integrity.hpp"
#include "wire/stun_message.hpp"
#include "wire/stun_uri.hpp"

namespace dig::turn {

// RFC 8656's 5-tuple: how a client reaches the server. `connection` tells streams of one pair of endpoints apart.
struct ClientPath {
  StunTransport transport = StunTransport::udp;
  Endpoint local;
  Endpoint remote;
  std::uint64_t connection = 0;
  friend bool operator==(const ClientPath&, const ClientPath&) = default;

  [[nodiscard]] bool is_stream() const noexcept {
    return transport == StunTransport::tcp || transport == StunTransport::tls;
  }
  // Whether the source address has proven that it receives what is sent to it.
  [[nodiscard]] bool is_verified() const noexcept { return transport != StunTransport::udp; }
};
struct ClientPathHash {
  std::uint64_t seed = 0;
  [[nodiscard]] std::size_t operator()(const ClientPath& path) const noexcept {
    return hash_mix(hash_of(path.remote, seed) ^ hash_of(path.local, 1) ^ path.connection ^
                    static_cast<std::uint64_t>(path.transport) << 56U);
  }
};

// A relayed address of an allocation; given by the server, used by the shell for its socket. Never used twice.
using RelayId = StrongId<struct RelayIdTag>;

struct Relay {
  RelayId id;
  Endpoint address;           // as clients and peers see it; the port is taken from the pool
  std::uint8_t attempts = 0;  // ports that the system refused
  bool is_open = false;       // it has a socket, which a pair relay never opens
  bool may_move = true;       // false: the client asked for an even port or a reserved one, another would not do

  [[nodiscard]] IpFamily family() const noexcept { return address.address.family(); }
};

struct Permission {
  IpAddress peer;
  Instant expires;
};

struct Channel {
  Endpoint peer;
  Instant expires;
  std::uint16_t number = 0;
};

struct Allocation {
  const ClientPath* client = nullptr;  // the key of the table in which it stands
  QuotaShare quota;
  stun::LongTermKey key;
  bool uses_sha256 = false;  // of the requests that authenticated it
  bool is_opening = true;
  std::uint16_t additional_error = 0;  // why there is no relay of the additional family
  Instant expires;
  // The request that made it: answered when its relays are open, and again when it is repeated (RFC 8656 §7.2).
  stun::TransactionId transaction{};
  std::uint32_t lifetime_seconds = 0;
  std::optional<std::uint64_t> reservation;    // a token given out with it
  std::array<std::optional<Relay>, 2> relays;  // IPv4, IPv6
  std::vector<Permission> permissions;
  std::vector<Channel> channels;
  std::optional<PairTable::Place> pair;  // on a pair relay
  TokenBucket bandwidth;
  TokenBucket new_peers;
  TokenBucket peer_errors;
  std::uint64_t bytes_relayed = 0;  // both directions

  [[nodiscard]] std::optional<Relay>& relay(IpFamily family) noexcept { return relays[family == IpFamily::v6 ? 1 : 0]; }
  [[nodiscard]] const Channel* find_channel(Instant now, std::uint16_t number) const noexcept;
  [[nodiscard]] const Channel* find_channel(Instant now, const Endpoint& peer) const noexcept;
  [[nodiscard]] bool has_permission(Instant now, const IpAddress& peer) const noexcept;
};

}  // namespace dig::turn
