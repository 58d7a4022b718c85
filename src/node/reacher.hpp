// SPDX-License-Identifier: Apache-2.0
// Reaches one peer by every kind of address that is known of it: its own first; relayed ones when those have failed or
// their head start is over (design §2 rule 1).
#pragma once

#include <compare>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "ladder/tier_set.hpp"
#include "node/circuit_race.hpp"
#include "node/connector.hpp"

namespace dig::node {

// Names one dial of a Reacher.
struct DialIndex {
  bool is_circuit = false;
  std::size_t index = 0;
  friend auto operator<=>(const DialIndex&, const DialIndex&) = default;
};

class Reacher {
 public:
  struct Limits {
    Connector::Limits direct;
    CircuitRace::Limits circuits;
  };

  // What the owner is to do.
  using Resolve = Connector::Resolve;
  struct DialDirect {
    DialIndex dial;
    Endpoint remote;
    Connector::Way way{};
  };
  struct DialCircuit {
    DialIndex dial;
    PeerId relay;
    std::vector<Multiaddr> addresses;
  };
  struct Cancel {
    DialIndex dial;
  };
  // Always the last.
  struct Done {
    Result<DialIndex> result;
  };
  using Event = std::variant<Resolve, DialDirect, DialCircuit, Cancel, Done>;

  // `log` must outlive it.
  Reacher(Instant now, const std::vector<Multiaddr>& addresses, const ladder::TierSet& tiers, ladder::AttemptLog& log,
          const Limits& limits);

  void handle_resolved(Instant now, std::size_t index, Result<std::vector<IpAddress>> addresses);
  void handle_established(Instant now, DialIndex dial);
  void handle_failed(Instant now, DialIndex dial, const Error& error);
  void handle_timeout(Instant now);
  void cancel(Instant now);

  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] const ladder::MethodRow& method_of(DialIndex dial) const noexcept;

 private:
  void log_no_circuit(Instant now, ladder::AttemptLog& log) const;
  void drain(Instant now);
  void start_circuits(Instant now);
  void end(Result<DialIndex> result);

  std::optional<Connector> direct_;
  CircuitRace circuits_;
  std::optional<Instant> circuits_start_;  // while they wait
  std::optional<Error> direct_failure_;
  std::optional<Error> circuit_failure_;
  bool is_done_ = false;
  std::deque<Event> events_;
  std::optional<Result<DialIndex>> result_;  // told behind the events
};

}  // namespace dig::node
