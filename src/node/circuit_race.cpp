// SPDX-License-Identifier: Apache-2.0
#include "node/circuit_race.hpp"

#include <algorithm>
#include <utility>

namespace dig::node {

CircuitRace::CircuitRace(const std::vector<Multiaddr>& addresses, ladder::AttemptLog& log, const Limits& limits)
    : log_(log), limits_(limits), row_(ladder::method_row(ladder::Tier::traversal, ladder::Method::circuit)) {
  for (const Multiaddr& address : addresses) {
    const auto relay = address.relay();
    if (!relay) continue;
    auto attempt = std::ranges::find(attempts_, relay->peer, &Attempt::relay);
    if (attempt == attempts_.end()) {
      if (attempts_.size() == limits_.max_relays) continue;
      attempt =
          attempts_.insert(attempt, Attempt{.relay = relay->peer, .addresses = {}, .target = address.to_string()});
    }
    if (!relay->address.host().empty()) attempt->addresses.push_back(relay->address);
  }
}

void CircuitRace::start(Instant now) {
  if (next_ == 0) start_next(now);
}

void CircuitRace::start_next(Instant now) {
  if (next_ == attempts_.size()) return;
  Attempt& attempt = attempts_[next_];
  attempt.log = log_.begin(now, row_, attempt.target);
  attempt.deadline = now + row_.budget;
  events_.push_back(Dial{next_, attempt.relay, attempt.addresses});
  ++next_;
  next_start_ = next_ < attempts_.size() ? std::optional(now + limits_.attempt_delay) : std::nullopt;
}

// False: it does not run.
bool CircuitRace::end(Instant now, std::size_t index, dignet::Outcome outcome, std::optional<Error> error) {
  Attempt& attempt = attempts_[index];
  if (!attempt.deadline) return false;
  attempt.deadline.reset();
  if (outcome == dignet::Outcome::failed && (!worst_ || error->info().kind == ErrorKind::integrity)) worst_ = error;
  log_.end(attempt.log, now, outcome, std::move(error));
  return true;
}

void CircuitRace::handle_established(Instant now, std::size_t index) {
  if (is_done_ || !end(now, index, dignet::Outcome::won, std::nullopt)) return;
  finish(now, index);
}

void CircuitRace::handle_failed(Instant now, std::size_t index, const Error& error) {
  if (is_done_ || !end(now, index, dignet::Outcome::failed, error)) return;
  start_next(now);
  const bool is_running = std::ranges::any_of(attempts_, [](const Attempt& one) { return one.deadline.has_value(); });
  if (!is_running) finish(now, std::unexpected(*worst_));
}

void CircuitRace::handle_timeout(Instant now) {
  if (is_done_) return;
  if (next_start_ && *next_start_ <= now) start_next(now);
  for (std::size_t index = 0; index < next_ && !is_done_; ++index) {
    if (!attempts_[index].deadline || *attempts_[index].deadline > now) continue;
    events_.push_back(Cancel{index});
    handle_failed(now, index, Error(Errc::connect_timeout, "by way of the relay"));
  }
}

void CircuitRace::cancel(Instant now) {
  if (!is_done_) finish(now, fail(Errc::cancelled));
}

void CircuitRace::finish(Instant now, Result<std::size_t> result) {
  for (std::size_t index = 0; index < next_; ++index) {
    if (end(now, index, dignet::Outcome::cancelled, Error(Errc::cancelled))) events_.push_back(Cancel{index});
  }
  is_done_ = true;
  next_start_.reset();
  events_.push_back(Done{std::move(result)});
}

std::optional<CircuitRace::Event> CircuitRace::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Instant> CircuitRace::next_timeout() const {
  std::optional<Instant> next = next_start_;
  for (const Attempt& attempt : attempts_) next = earliest(next, attempt.deadline);
  return next;
}

}  // namespace dig::node
