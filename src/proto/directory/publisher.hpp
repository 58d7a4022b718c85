// SPDX-License-Identifier: Apache-2.0
// Keeps what this node says of itself registered with its bootstrap servers: signs it, sends it anew well before it
// expires and after each change, tries again with growing pauses where that fails, and takes it back at the end. Sends
// nothing itself: its owner carries each Publish and Withdraw to the server and tells the answer.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "base/strong_id.hpp"
#include "base/wall_clock.hpp"
#include "proto/directory/announced_pages.hpp"
#include "wire/directory_message.hpp"
#include "wire/identity.hpp"
#include "wire/node_record.hpp"

namespace dig::directory {

using BootstrapId = StrongId<struct BootstrapIdTag>;

// What of a record is not about time and stores.
struct NodeDescription {
  std::vector<Multiaddr> addresses;  // best first: beyond the limits of a record the last are left out
  NodeRoles roles;
  Reachability reachability;
  friend bool operator==(const NodeDescription&, const NodeDescription&) = default;
};

// Register these envelopes in one request; answered by handle_registered.
struct Publish {
  BootstrapId server;
  std::vector<Bytes> envelopes;
};
// Remove this node's record; the answer does not matter.
struct Withdraw {
  BootstrapId server;
  Bytes envelope;
};
using PublisherEvent = std::variant<Publish, Withdraw>;

struct PublisherServerStatus {
  BootstrapId server;
  std::optional<Instant> expires;  // of what was registered last
  bool is_replicated = false;
  std::optional<Error> error;  // of the last attempt
};
struct PublisherStatus {
  std::uint64_t sequence = 0;  // the last one used
  std::uint32_t pages = 0;
  std::size_t stores_left_out = 0;
  std::vector<PublisherServerStatus> servers;
};

class Publisher {
 public:
  using Event = PublisherEvent;
  struct Limits {
    std::size_t max_servers = 16;
    std::chrono::seconds lifetime = std::chrono::hours(1);
    std::size_t stores_per_page = 256;                   // small enough that an answer has room for many holders
    std::size_t request_size = std::size_t{192} * 1024;  // bytes of envelopes in one request
    Duration min_interval = 2s;                          // between two rounds with one server
    Duration min_refresh = 30s;                          // without a change, whatever a server says
    Duration first_retry = 5s;
    Duration longest_retry = 5min;
  };

  // `last_sequence`: of what this identity signed before; a clock that was set back must not make its records old. The
  // identity and `rng` must outlive the machine.
  Publisher(Instant now, UnixTime wall, const Identity& identity, Rng& rng, std::uint64_t last_sequence, Limits limits);
  Publisher(Instant now, UnixTime wall, const Identity& identity, Rng& rng, std::uint64_t last_sequence)
      : Publisher(now, wall, identity, rng, last_sequence, Limits{}) {}

  void set_wall_clock(Instant now, UnixTime wall) { wall_ = WallClock(now, wall); }
  void set_node(Instant now, NodeDescription node);
  void set_stores(Instant now, std::vector<StoreId> stores);
  // Ignored when there are too many.
  void add_server(Instant now, BootstrapId server);
  void remove_server(BootstrapId server) { servers_.erase(server); }
  // Of the last Publish for the server; also when the request could not be sent or answered.
  void handle_registered(Instant now, BootstrapId server, const Result<Registered>& result);
  // Withdraw for every server that may have something, and then nothing more.
  void stop(Instant now);

  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] std::optional<Event> poll_event();
  // The last one used.
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }
  [[nodiscard]] PublisherStatus snapshot() const;

 private:
  struct Server {
    Instant due;
    std::deque<std::vector<Bytes>> requests;  // of the round under way; the first is being answered
    std::uint64_t revision = 0;               // that the round under way sends, or the last one sent
    Instant round_start;
    int failures = 0;
    bool may_have_record = false;
    std::optional<Instant> expires;
    bool is_replicated = false;
    std::optional<Error> error;
  };

  void note_change(Instant now);
  void start_round(Instant now, BootstrapId id, Server& server);
  [[nodiscard]] Bytes signed_record(std::uint64_t sequence) const;
  [[nodiscard]] std::uint64_t next_sequence(Instant now);
  [[nodiscard]] Duration retry_pause(int failures);

  const Identity& identity_;
  Rng& rng_;
  Limits limits_;
  WallClock wall_;
  std::uint64_t sequence_;
  std::optional<NodeDescription> node_;  // nothing is published before it is known
  AnnouncedPages pages_;
  std::uint64_t revision_ = 0;
  std::map<BootstrapId, Server> servers_;
  std::deque<Event> events_;
  bool is_stopped_ = false;
};

}  // namespace dig::directory
