// SPDX-License-Identifier: Apache-2.0
// Reaches one peer through circuit relays: asks one relay after another, the next when one fails or takes long. The
// first circuit on which the peer proves itself wins.
#pragma once

#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "ladder/attempt_log.hpp"
#include "wire/multiaddr.hpp"

namespace dig::node {

class CircuitRace {
 public:
  struct Limits {
    std::size_t max_relays = 8;
    Duration attempt_delay = 500ms;
  };

  // What the owner is to do. Dial: connect to the relay unless it is connected, and ask it for a circuit.
  struct Dial {
    std::size_t index = 0;
    PeerId relay;
    std::vector<Multiaddr> addresses;  // of the relay; may be empty
  };
  struct Cancel {
    std::size_t index = 0;
  };
  // Always the last: which won.
  struct Done {
    Result<std::size_t> result;
  };
  using Event = std::variant<Dial, Cancel, Done>;

  // Addresses without a relay in them are passed over. `log` must outlive the race.
  CircuitRace(const std::vector<Multiaddr>& addresses, ladder::AttemptLog& log, const Limits& limits);

  [[nodiscard]] bool empty() const noexcept { return attempts_.empty(); }
  void start(Instant now);
  void handle_established(Instant now, std::size_t index);
  void handle_failed(Instant now, std::size_t index, const Error& error);
  void handle_timeout(Instant now);
  void cancel(Instant now);

  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] const ladder::MethodRow& method() const noexcept { return row_; }

 private:
  struct Attempt {
    PeerId relay;
    std::vector<Multiaddr> addresses;
    std::string target;
    ladder::AttemptLog::Index log = 0;
    std::optional<Instant> deadline;  // while it runs
  };

  void start_next(Instant now);
  [[nodiscard]] bool end(Instant now, std::size_t index, dignet::Outcome outcome, std::optional<Error> error);
  void finish(Instant now, Result<std::size_t> result);

  ladder::AttemptLog& log_;
  Limits limits_;
  const ladder::MethodRow& row_;
  std::vector<Attempt> attempts_;
  std::size_t next_ = 0;
  std::optional<Instant> next_start_;
  std::optional<Error> worst_;  // a proven wrong identity before anything else
  bool is_done_ = false;
  std::deque<Event> events_;
};

}  // namespace dig::node
