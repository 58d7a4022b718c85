// SPDX-License-Identifier: Apache-2.0
// A relay and its clients in memory: every machine of this folder at its place, wired as a node would, on streams that
// are cut into pieces, delayed and broken at random. What the relay decides is held against RelayModel, every byte of a
// circuit against what was sent. Test-only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/relay/relay_server.hpp"
#include "proto/relay/requests.hpp"
#include "proto/relay/reservation_keeper.hpp"
#include "proto/relay/responders.hpp"
#include "proto/relay/splice.hpp"
#include "proto/relay/testing/relay_model.hpp"

namespace dig::relay::testing {

// What a schedule came across: a test asks that it was not nothing.
struct RelayWorldTally {
  std::size_t granted = 0, refreshed = 0, refused = 0, given_up = 0;
  std::size_t circuits = 0, connects_refused = 0, offers_refused = 0;
  std::size_t ended_well = 0, bytes_used_up = 0, time_used_up = 0, broken = 0;
  std::size_t bytes = 0;
};

class RelayWorld {
 public:
  static constexpr std::size_t k_peers = 8;

  RelayWorld(std::uint64_t seed, const RelayServer::Limits& limits);
  ~RelayWorld();

  // One thing happens.
  void step();
  // Every connection ends, and all that follows from it.
  void close_everything();
  // Empty while all is as it should be; else what went wrong first.
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
  [[nodiscard]] const RelayWorldTally& tally() const noexcept { return tally_; }

 private:
  struct Peer;
  struct Link;    // a connection of a peer to the relay
  struct Stream;  // what hop and stop streams share
  struct Hop;
  struct Stop;
  struct Circuit;

  void require(bool holds, std::string_view what);
  [[nodiscard]] bool chance(std::uint64_t one_in) { return rng_.below(one_in) == 0; }
  template <class T>
  [[nodiscard]] T* any_of(std::vector<std::unique_ptr<T>>& all);
  [[nodiscard]] RelayClient client_of(const Link& link) const;
  [[nodiscard]] Link* find_link(ConnectionId id);
  void check();

  // relay_world.cpp: connections, keepers, time
  void open_link(std::size_t peer);
  void close_link(Link& link);
  void serve_keeper(Peer& peer);
  void answer_connect(Peer& peer);
  void open_hop(Link& link, std::optional<PeerId> target, AttemptId attempt);
  void pass_time();
  void change_mode();

  // relay_world_streams.cpp: the bytes
  void pump(Hop& hop);
  void pump(Stop& stop);
  void relay_reads(Hop& hop);
  void relay_writes(Hop& hop);
  void client_reads(Hop& hop);
  void client_writes(Hop& hop);
  void relay_reads(Stop& stop);
  void relay_writes(Stop& stop);
  void target_reads(Stop& stop);
  void target_writes(Stop& stop);
  void write_payload(Stream& stream);
  void read_payload(Stream& stream, BytesView bytes);
  void serve_request(Hop& hop, const HopProtocol::Request& request);
  void settle_stop(Stop& stop);
  void settle_hop(Hop& hop);
  void settle_circuit(Circuit& circuit);
  void end_circuit(Circuit& circuit, bool is_broken);
  void break_stream(Stream& stream);
  void sweep();

  SeededRng rng_;
  Instant now_{1000s};
  Identity relay_;
  RelayServer::Limits limits_;
  RelayServer server_;
  RelayModel model_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<std::unique_ptr<Hop>> hops_;
  std::vector<std::unique_ptr<Stop>> stops_;
  std::vector<std::unique_ptr<Circuit>> circuits_;
  std::uint64_t next_connection_ = 1;
  std::string complaint_;
  RelayWorldTally tally_;
};

}  // namespace dig::relay::testing
