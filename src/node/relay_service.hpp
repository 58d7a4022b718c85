// SPDX-License-Identifier: Apache-2.0
// This node as a circuit relay (circuit relay v2, hop): answers RESERVE and CONNECT, and forwards the bytes of circuits
// between two streams. What is allowed is decided by proto/relay's book.
#pragma once

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "node/peer_link.hpp"
#include "node/stream_handler.hpp"
#include "proto/relay/relay_server.hpp"

namespace dig::node {

// What the relay needs of the core around it.
class RelayHost {
 public:
  virtual ~RelayHost() = default;
  [[nodiscard]] virtual PeerLink* find_link(ConnectionId connection) = 0;
  // Another connection to the peer that is no circuit, or nullptr.
  [[nodiscard]] virtual PeerLink* find_direct_link(const PeerId& peer, std::optional<ConnectionId> except) = 0;
  // The stream is to be served soon, not from inside this call.
  virtual void mark_stream_active(ConnectionId connection, StreamId stream) = 0;
  [[nodiscard]] virtual UnixTime wall(Instant now) const = 0;
};

class RelayService {
 public:
  // Both outlive the service, and the service its handlers.
  RelayService(const Identity& identity, Rng& rng, RelayHost& host, relay::RelayServer::Limits limits)
      : server_(identity, rng, limits), host_(host) {}

  [[nodiscard]] std::unique_ptr<StreamHandler> make_hop_handler(Instant now, const PeerLink& link);
  void handle_link_closed(const PeerLink& link);
  [[nodiscard]] relay::RelayServer& server() noexcept { return server_; }
  [[nodiscard]] const relay::RelayServer& server() const noexcept { return server_; }
  // A connection on which a reservation stands must not be given up for being idle.
  [[nodiscard]] bool carries_reservation(ConnectionId connection) const { return carrying_.contains(connection); }
  void handle_timeout(Instant now);

 private:
  struct Circuit;
  class HopStream;
  class StopStream;
  class SpliceSide;
  friend class HopStream;

  void drain_events();

  relay::RelayServer server_;
  RelayHost& host_;
  std::set<ConnectionId> carrying_;
};

}  // namespace dig::node
