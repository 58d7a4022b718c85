// SPDX-License-Identifier: Apache-2.0
// What a RelayWorld is made of. Test-only.
#pragma once

#include "proto/relay/testing/relay_world.hpp"

namespace dig::relay::testing {

struct RelayWorld::Peer {
  Peer(PeerId self, Rng& rng, const ReservationKeeper::Limits& limits)
      : id(self), keeper(std::move(self), rng, limits) {}
  PeerId id;
  ReservationKeeper keeper;
  std::optional<AttemptId> connecting;  // asked for, not answered yet
};

struct RelayWorld::Link {
  ConnectionId id;
  std::size_t peer = 0;
  IpAddress address;
  bool is_relayed = false;
  bool is_open = true;
};

// One direction of a stream: what is under way.
struct Pipe {
  Bytes bytes;
  std::size_t read = 0;
  bool is_ended = false;      // by the writer
  bool has_told_end = false;  // to the reader
  [[nodiscard]] BytesView rest() const { return BytesView(bytes).subspan(read); }
  [[nodiscard]] bool is_at_end() const { return is_ended && !has_told_end && rest().empty(); }
};

struct RelayWorld::Stream {
  Link* link = nullptr;
  Pipe to_relay;
  Pipe from_relay;
  bool is_over = false;  // broken, or both directions are done
  // The payload of this end of the circuit, once there is one.
  bool is_payload = false;
  std::size_t sent = 0;
  std::size_t received = 0;
  std::uint64_t key = 0;  // of the circuit
  bool is_initiator = false;
};

struct RelayWorld::Hop : Stream {
  explicit Hop(Instant now) : responder(now) {}
  HopResponder responder;
  std::optional<ReserveClient> reserve;
  std::optional<ConnectClient> connect;
  AttemptId attempt;  // of the keeper
  Circuit* circuit = nullptr;
  bool is_settled = false;  // the client has its answer
};

struct RelayWorld::Stop : Stream {
  Stop(Instant now, StopRequest request) : client(now, std::move(request), k_stop_timeout), responder(now) {}
  StopClient client;
  StopResponder responder;
  Circuit* circuit = nullptr;
  bool is_settled = false;  // the relay has its answer
};

struct RelayWorld::Circuit {
  CircuitId id;
  Hop* hop = nullptr;
  Stop* stop = nullptr;
  std::optional<Splice> splice;
  Instant began;
  bool is_over = false;
};

}  // namespace dig::relay::testing
