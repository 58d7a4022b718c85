// SPDX-License-Identifier: Apache-2.0
// The TURN server of a node, as far as its owner limits it: how fast, how much in a month. What the month has used is
// remembered in a file, and when nothing is left of it the offer to peers ends until the next month begins.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "net/loop.hpp"
#include "net/relay_places.hpp"
#include "net/turn_shard.hpp"
#include "node/turn_offer.hpp"
#include "proto/turn_server/monthly_volume.hpp"

namespace dig::net {

struct NodeTurnOptions {
  TurnRelayKind kind = TurnRelayKind::pair;
  bool has_tls = false;                   // with a certificate that the clients of others believe
  std::uint64_t max_bits_per_second = 0;  // of all together; 0: no limit
  std::uint64_t max_bytes_per_month = 0;  // of data, each byte once; 0: no limit
  std::filesystem::path volume_file{};    // empty: a restart forgets what was used
  // Of an open relay: where from, and its relay ports, from 1024 up.
  RelayWish relay{};
  std::uint16_t min_port = 49152;
  std::uint16_t max_port = 65535;
  bool needs_probe = false;  // node::TurnWish::needs_probe
};

// What an owner has said of an open relay. Errors: invalid_argument, with the port or the address that cannot be had.
[[nodiscard]] Result<void> check_relay(const NodeTurnOptions& options);
// The addresses that are nobody's peers.
[[nodiscard]] std::vector<IpAddress> own_addresses(const NodeTurnOptions& options,
                                                   const std::vector<InterfaceAddress>& interfaces);

// For the shard: with one loop there is one, and a pair relay must have no more (turn::ServerConfig::is_pair_relay).
[[nodiscard]] TurnShardOptions turn_shard_options(const NodeTurnOptions& options);
[[nodiscard]] turn::QuotaBook::Limits turn_quotas(const NodeTurnOptions& options);

// Where there is no file nothing was used. Errors: malformed, the errors of files.
[[nodiscard]] Result<turn::MonthlyVolume::State> read_turn_volume(const std::filesystem::path& file);
// Durably, the whole file or none of it.
[[nodiscard]] Result<void> write_turn_volume(const std::filesystem::path& file,
                                             const turn::MonthlyVolume::State& state);

class NodeTurn {
 public:
  static constexpr Duration k_interval = 2s;        // between two looks
  static constexpr Duration k_between_saves = 60s;  // what a crash forgets at most

  struct Hooks {
    // For NodeCore::set_turn_wish.
    std::function<void(Instant now, const node::TurnWish& wish, std::string why)> set_wish;
    // To be written away, off this thread.
    std::function<void(const turn::MonthlyVolume::State& state)> save;
  };

  // `shard` outlives it. `saved` is what the file holds.
  NodeTurn(Loop& loop, TurnShard& shard, NodeTurnOptions options, const turn::MonthlyVolume::State& saved, Hooks hooks);

  // Says what is wished for and counts from now on.
  void start(Instant now);
  // Others reach this node at these addresses; what is offered from now on is made for them.
  void serve(const std::optional<IpAddress>& v4, const std::optional<IpAddress>& v6);
  // Of an open relay: where its relay ports are while others reach this node at this address. Errors: invalid_argument.
  [[nodiscard]] Result<RelayPlace> relay_place(const IpAddress& reached) const;
  [[nodiscard]] const NodeTurnOptions& options() const noexcept { return options_; }
  // Counts what was relayed since, and says what follows from it.
  void update(Instant now, UnixTime wall);
  // Counts for the last time; afterwards volume() is what is to be kept.
  void stop();
  [[nodiscard]] const turn::MonthlyVolume::State& volume() const noexcept { return volume_.snapshot(); }

 private:
  [[nodiscard]] bool is_used_up(UnixTime wall) const;
  void tell_wish(Instant now, std::string why);
  void count(UnixTime wall);

  TurnShard& shard_;
  NodeTurnOptions options_;
  Hooks hooks_;
  turn::MonthlyVolume volume_;
  turn::MonthlyVolume::State saved_;
  std::optional<Instant> next_save_;
  std::uint64_t counted_ = 0;  // of what the shard has relayed
  bool is_wished_ = false;
  Timer timer_;
};

}  // namespace dig::net
