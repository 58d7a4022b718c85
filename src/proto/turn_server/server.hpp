// SPDX-License-Identifier: Apache-2.0
// A STUN and TURN server (RFC 8489, RFC 8656; RFC 5780 when it has a second address), without any socket: the shell
// hands in what came from clients and peers and carries out what the server puts into a Sink. One instance is one
// shard; it owns its allocations and shares nothing but the credentials and the quotas.
//
// Before a request has authenticated itself nothing is kept of it: nonces are checked by computing them again, and of
// the replies to requests without credentials only a few a second and source may be larger than the request
// (reply_limiter.hpp); those to authenticated requests are not limited. No relay of TCP (RFC 6062).
//
// After each call the shell drains poll_event(). Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "proto/turn_server/allocation.hpp"
#include "proto/turn_server/counters.hpp"
#include "proto/turn_server/credentials.hpp"
#include "proto/turn_server/nonce.hpp"
#include "proto/turn_server/peer_policy.hpp"
#include "proto/turn_server/port_pool.hpp"
#include "proto/turn_server/reply_limiter.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::turn {

// What is to be sent. Called from inside route…() and handle_…(); views are valid during the call only. Calls for one
// destination follow each other, so that a shell can put them into one system call.
class Sink {
 public:
  virtual ~Sink() = default;
  // One message to a client: head, then payload, then `padding` zero bytes (0 to 3).
  virtual void to_client(const ClientPath& client, BytesView head, BytesView payload, std::size_t padding) = 0;
  virtual void to_peer(RelayId relay, const Endpoint& peer, BytesView payload, bool dont_fragment) = 0;
};

// --- requests to the shell ----------------------------------------------------------------------------------------
struct OpenRelay {  // answered by handle_relay_opened
  RelayId relay;
  IpFamily family = IpFamily::v4;
  std::uint16_t port = 0;
};
struct CloseRelay {
  RelayId relay;
};
struct CloseClient {  // a stream that cannot be understood any more
  ClientPath client;
};
// --- facts --------------------------------------------------------------------------------------------------------
struct AllocationMade {
  ClientPath client;
  std::string user;
};
enum class AllocationEnd : std::uint8_t { expired, released, client_closed, relay_failed };
struct AllocationEnded {
  ClientPath client;
  std::string user;
  AllocationEnd why = AllocationEnd::expired;
  std::uint64_t bytes_relayed = 0;
};
using ServerEvent = std::variant<OpenRelay, CloseRelay, CloseClient, AllocationMade, AllocationEnded>;

struct ServerConfig {
  std::string realm = "dignet";
  // The relayed addresses that clients are told, by family; a family without one is refused.
  std::optional<IpAddress> relay_v4;
  std::optional<IpAddress> relay_v6;
  PortPool::Range ports;
  // Addresses of this host: no peer is there, but for other allocations of this server. Without those that the owner
  // allows by name.
  std::vector<IpAddress> own_addresses;
  PeerPolicy peers;
  // A pair relay (server_pair_relay.cpp): allocations for users with a PairRole only, each of which reaches the
  // allocations of the other half of its pair and nothing else. Relayed addresses are names inside this server: no
  // socket is opened for them. `peers` and `own_addresses` mean nothing then, and `ports.shards` is 1: halves in
  // different shards would never find each other, as the kernel spreads clients by their addresses.
  bool is_pair_relay = false;
  bool has_even_port = true;  // EVEN-PORT and RESERVATION-TOKEN; a peer that relays has no use for them
  // RFC 5780: every combination of these two addresses and ports is a listener. Empty: Binding only.
  struct Discovery {
    Endpoint primary;
    Endpoint alternate;
  };
  std::optional<Discovery> discovery;

  struct Limits {
    Duration nonce_lifetime = 10min;
    std::uint32_t default_lifetime = 600;  // seconds; RFC 8656 §3.2
    std::uint32_t max_lifetime = 3600;
    Duration permission_lifetime = 300s;  // RFC 8656 §9
    Duration channel_lifetime = 600s;     // RFC 8656 §12
    std::size_t max_permissions = 64;     // of one allocation
    std::size_t max_channels = 64;
    std::size_t max_pair_allocations = 16;  // of one peer, on a pair relay
    // RFC 8656 ends at 0x4FFF; clients of RFC 5766 go on to 0x7FFF. Lower where a port is shared with other protocols.
    std::uint16_t max_channel_number = k_max_old_channel;
    TokenBucket::Rate new_peers{.per_second = 5, .burst = 64};     // of one allocation: no port scanner
    TokenBucket::Rate peer_errors{.per_second = 10, .burst = 10};  // ICMP errors told to one client
    TokenBucket::Rate allocation_bandwidth{};                      // bytes, both directions
    TokenBucket::Rate server_bandwidth{};                          // of this shard
    std::uint64_t allocation_volume = 0;                           // bytes, both directions; 0: no limit
    std::uint64_t server_volume = 0;                               // of this shard, since it started
    std::uint8_t max_port_attempts = 8;                            // when the system refuses a port
    ReplyLimiter::Limits replies;
  } limits;
};

class Server {
 public:
  using Event = ServerEvent;

  // All references outlive the server.
  Server(ServerConfig config, const CredentialSource& credentials, QuotaBook& quotas, Rng& rng);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  struct FromClient {
    Instant now;
    UnixTime wall;  // for credentials that expire
    ClientPath client;
    BytesView bytes;                 // one message, or as many segments as below
    std::uint16_t segment_size = 0;  // 0: one; else equal datagrams of this size, the last may be shorter
  };
  void route(const FromClient& in, Sink& sink);
  struct FromPeer {
    Instant now;
    RelayId relay;
    Endpoint peer;
    BytesView bytes;
    std::uint16_t segment_size = 0;
  };
  void route(const FromPeer& in, Sink& sink);

  // An ICMP error about a datagram that `relay` sent to `peer` (RFC 8656 §11.5).
  struct PeerError {
    Instant now;
    RelayId relay;
    Endpoint peer;
    stun::IcmpError icmp;
  };
  void handle_peer_error(const PeerError& in, Sink& sink);

  // Answers OpenRelay. errc port_in_use lets the server try another port.
  void handle_relay_opened(Instant now, RelayId relay, const Result<void>& result, Sink& sink);
  // The client's connection is gone, and its allocation with it.
  void handle_client_closed(Instant now, const ClientPath& client);
  // New allocations are sent to `alternate` with 300 from now on (RFC 8489 §10); without one, which 300 must name, they
  // are refused with 508. Those that stand go on and may be refreshed: a Refresh cannot be carried out elsewhere.
  void drain(std::optional<Endpoint> alternate);
  // From now on at most so many bytes more are relayed, in place of `server_volume`; nothing: without a limit.
  void set_volume_left(std::optional<std::uint64_t> bytes) {
    volume_left_ = bytes;
    is_volume_used_up_ = bytes == 0U;
  }
  // The volume was too small for what was to be relayed: there are no new allocations (508) until it is set anew.
  [[nodiscard]] bool is_volume_used_up() const noexcept { return is_volume_used_up_; }
  // In place of those of the configuration, for allocations that are made from now on: a pair relay learns under which
  // address it can be reached while it runs. Its allocations keep their names.
  void set_relay_addresses(std::optional<IpAddress> v4, std::optional<IpAddress> v6);
  // In place of ServerConfig::own_addresses, when those of this host have changed.
  void set_own_addresses(std::vector<IpAddress> addresses);
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::optional<Event> poll_event();

  // What counts for `server_volume`: the bytes of data, without any header. Between the halves of a pair once.
  [[nodiscard]] std::uint64_t bytes_relayed() const noexcept { return bytes_relayed_; }
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  [[nodiscard]] bool has_allocation(const ClientPath& client) const { return allocations_.contains(client); }
  [[nodiscard]] bool is_channel_bound(Instant now, const ClientPath& client, std::uint16_t channel) const;
  [[nodiscard]] std::size_t allocations() const noexcept { return allocations_.size(); }
  [[nodiscard]] std::size_t free_ports() const noexcept { return pools_[0].free_ports() + pools_[1].free_ports(); }

 private:
  struct Request;        // a request under way: message, where it came from, who sent it (server_reply.hpp)
  class Reply;           // an answer being written
  struct Authenticated;  // the key that fits a request

  // server.cpp: dispatch, relays, time
  void handle_message(const FromClient& in, BytesView bytes, Sink& sink);
  void handle_request(const Request& request);
  // An answer to an unverified source, subject to the reply limit; and one to an authenticated request.
  void send(const Request& request, Reply& reply);
  void send(const Request& request, Reply& reply, const Authenticated& who);
  void refuse(const Request& request, const Authenticated* who, std::uint16_t code);
  [[nodiscard]] bool refuse_unknown_attributes(const Request& request, const Authenticated* who);
  [[nodiscard]] bool knows(stun::Attribute type) const noexcept;
  [[nodiscard]] Allocation* find(const ClientPath& client);
  [[nodiscard]] Allocation* owner_of(RelayId relay);
  void end(Allocation& allocation, AllocationEnd why);
  void close_relay(std::optional<Relay>& relay);
  void drop(Drop why) noexcept { counters_.drop(why); }
  [[nodiscard]] std::optional<IpAddress> relay_address(IpFamily family) const noexcept;
  // Whether the port is one that another shard of this server may hold.
  [[nodiscard]] bool is_shard_port(std::uint16_t port) const noexcept {
    const PortPool::Range& range = config_.ports;
    return port >= range.first && port <= range.last && (port / 2U) % range.shards != range.shard;
  }
  [[nodiscard]] PortPool& pool(IpFamily family) noexcept { return pools_[family == IpFamily::v6 ? 1 : 0]; }

  // server_authentication.cpp
  [[nodiscard]] std::optional<Authenticated> authenticate(const Request& request);
  void challenge(const Request& request, std::uint16_t code);

  // server_binding.cpp
  void handle_binding(const Request& request);

  // server_allocate.cpp
  void handle_allocate(const Request& request, Authenticated& who);
  void redirect(const Request& request, const Authenticated& who);
  void retry_relay(Instant now, Allocation& allocation, Relay& relay, const Error& why, Sink& sink);
  void answer_allocate(Instant now, Allocation& allocation, Sink& sink);
  void handle_refresh(const Request& request, Authenticated& who, Allocation& allocation);

  // server_pair_relay.cpp
  // 0, or the error code that refuses the user an allocation.
  [[nodiscard]] std::uint16_t refusal_of(const Authenticated& who) const;
  void allocate_for_pair(const Request& request, const PairRole& role, Allocation& allocation);
  [[nodiscard]] bool has_mirror(const Allocation& allocation, const IpAddress& peer) const;
  [[nodiscard]] Allocation* find_mirror(const Allocation& allocation, const Endpoint& peer) const;

  // server_permissions.cpp
  void handle_create_permission(const Request& request, Authenticated& who, Allocation& allocation);
  void handle_channel_bind(const Request& request, Authenticated& who, Allocation& allocation);
  // 0, or the error code that refuses the peer.
  [[nodiscard]] std::uint16_t refusal_of(Allocation& allocation, const Endpoint& peer);
  [[nodiscard]] bool may_be_peer(const IpAddress& address) const noexcept;
  // The same through the kernel: not counting the allocations of this server.
  [[nodiscard]] bool may_send_to(const IpAddress& address) const noexcept;
  [[nodiscard]] bool is_own_relay_address(const IpAddress& address) const noexcept;
  // A port of the relayed address that no allocation of this server can have.
  [[nodiscard]] bool is_own_service(const Endpoint& peer) const noexcept;
  void own_relay_addresses();
  [[nodiscard]] bool add_permissions(Instant now, Allocation& allocation, std::span<const Endpoint> peers);

  // server_relay.cpp
  void handle_channel_data(const FromClient& in, Allocation& allocation, BytesView bytes, Sink& sink);
  void handle_send(const FromClient& in, const stun::Message& message, Sink& sink);
  void send_to_peer(Instant now, Allocation& allocation, const Endpoint& peer, BytesView payload, bool dont_fragment,
                    Sink& sink);
  void send_to_client(Instant now, Allocation& allocation, const Endpoint& peer, BytesView payload, Sink& sink);
  // `is_counted`: the server's own limits have counted the packet already.
  [[nodiscard]] bool may_relay(Instant now, Allocation& allocation, std::size_t size, bool is_counted = false);

  ServerConfig config_;
  const CredentialSource& credentials_;
  QuotaBook& quotas_;
  Rng& rng_;
  NonceMaker nonces_;
  ReplyLimiter limiter_;
  std::array<PortPool, 2> pools_;  // IPv4, IPv6
  std::unordered_map<ClientPath, Allocation, ClientPathHash> allocations_;
  std::unordered_map<RelayId, Allocation*> relays_;
  std::unordered_map<std::uint32_t, RelayId> relay_of_port_;  // family << 16 | port: for peers on this server
  std::uint64_t next_relay_ = 1;
  PairTable pairs_;
  TokenBucket bandwidth_;
  std::optional<std::uint64_t> volume_left_;
  bool is_volume_used_up_ = false;
  std::uint64_t bytes_relayed_ = 0;
  bool is_draining_ = false;
  std::optional<Endpoint> alternate_;
  Instant next_sweep_;
  std::deque<Event> events_;
  Counters counters_;
};

}  // namespace dig::turn
