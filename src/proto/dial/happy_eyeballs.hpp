// SPDX-License-Identifier: Apache-2.0
// Dialling several addresses of one peer as RFC 8305 says: families interleaved, the next attempt starts when the one
// before it fails or after 250 ms, the first to connect wins and the others are cancelled. Addresses may join while the
// race runs (section 3: names that are still being resolved hold nothing up). Pure: it decides, the shell dials.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace dig::dial {

enum class Outcome : std::uint8_t { waiting, running, won, failed, cancelled };

// An address to dial, and by which of the caller's ways: the same address by another way is another candidate.
struct Candidate {
  Endpoint remote;
  std::uint32_t way = 0;
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

// One row of the attempt list of the outcome (design §2 rule 4).
struct Attempt {
  Endpoint remote;
  std::uint32_t way = 0;
  Outcome outcome = Outcome::waiting;
  Instant started;      // meaningless while waiting
  Duration elapsed{0};  // until it ended; zero while it runs
  std::optional<Error> error{};
};

// What the shell is to do; `index` names an attempt.
struct Start {
  std::size_t index = 0;
  Endpoint remote;
  std::uint32_t way = 0;
};
struct Cancel {
  std::size_t index = 0;
};
// Always the last event.
struct Won {
  std::size_t index = 0;
};
struct Failed {
  Error error;  // of the attempt that got furthest
};

class HappyEyeballs {
 public:
  using Event = std::variant<Start, Cancel, Won, Failed>;

  struct Limits {
    std::size_t max_candidates = 32;  // the rest is left out
    Duration attempt_delay = 250ms;   // RFC 8305 section 8: Connection Attempt Delay
    Duration attempt_timeout = 5s;    // for one address
    Duration total_timeout = 10s;
  };

  // Whether add() may follow: then the race goes on, up to its total timeout, when every attempt so far has failed.
  enum class Candidates : std::uint8_t { complete, more_to_come };

  // `candidates` in order of preference (RFC 6724, done by the caller); duplicates are dropped.
  HappyEyeballs(Instant now, const std::vector<Candidate>& candidates, Limits limits,
                Candidates completeness = Candidates::complete);
  HappyEyeballs(Instant now, const std::vector<Endpoint>& candidates, Limits limits,
                Candidates completeness = Candidates::complete);
  HappyEyeballs(Instant now, const std::vector<Endpoint>& candidates) : HappyEyeballs(now, candidates, Limits()) {}

  // Puts them among those that wait, families interleaved again.
  void add(Instant now, const std::vector<Candidate>& candidates, Candidates completeness);
  void add(Instant now, const std::vector<Endpoint>& candidates, Candidates completeness);

  void handle_connected(Instant now, std::size_t index);
  void handle_failed(Instant now, std::size_t index, Error error);
  void handle_timeout(Instant now);
  // Ends with Failed{cancelled} and a Cancel for each running attempt.
  void cancel(Instant now);

  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] bool is_done() const noexcept { return is_done_; }
  // The attempts in dialling order.
  [[nodiscard]] const std::vector<Attempt>& snapshot() const noexcept { return attempts_; }

 private:
  [[nodiscard]] bool is_running(std::size_t index) const;
  // Starts an attempt if none is running or the delay after the last one is over.
  void start_if_due(Instant now);
  void start_next(Instant now);
  void end(Instant now, std::size_t index, Outcome outcome, std::optional<Error> error);
  void fail_all(Instant now, const Error& error);
  void fail_if_exhausted();
  [[nodiscard]] std::size_t running() const;

  Limits limits_;
  std::vector<Attempt> attempts_;
  std::size_t next_ = 0;  // the first attempt that waits
  Instant deadline_;
  std::optional<Instant> next_start_;
  bool expects_more_ = false;
  bool is_done_ = false;
  std::deque<Event> events_;
};

}  // namespace dig::dial
