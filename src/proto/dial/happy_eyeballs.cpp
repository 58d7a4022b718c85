// SPDX-License-Identifier: Apache-2.0
#include "proto/dial/happy_eyeballs.hpp"

#include <algorithm>
#include <string>

namespace dig::dial {
namespace {

// RFC 8305 section 4: alternate between the families, `first` leads.
std::vector<Candidate> interleave(const std::vector<Candidate>& candidates, IpFamily first) {
  std::vector<Candidate> leading;
  std::vector<Candidate> other;
  for (const Candidate& candidate : candidates) {
    (candidate.remote.address.family() == first ? leading : other).push_back(candidate);
  }
  std::vector<Candidate> mixed;
  for (std::size_t i = 0; i < std::max(leading.size(), other.size()); ++i) {
    if (i < leading.size()) mixed.push_back(leading[i]);
    if (i < other.size()) mixed.push_back(other[i]);
  }
  return mixed;
}

std::vector<Candidate> by_one_way(const std::vector<Endpoint>& endpoints) {
  std::vector<Candidate> candidates;
  for (const Endpoint& endpoint : endpoints) candidates.push_back({endpoint});
  return candidates;
}

// Which error says most about why the peer was not reached: an answer says more than silence, silence more than the
// lack of a way out.
int weight(Errc code) {
  switch (code) {
    case Errc::no_route:
      return 0;
    case Errc::cancelled:
      return -1;
    case Errc::connect_timeout:
      return 1;
    default:
      return 2;
  }
}

}  // namespace

HappyEyeballs::HappyEyeballs(Instant now, const std::vector<Candidate>& candidates, Limits limits,
                             Candidates completeness)
    : limits_(limits), deadline_(now + limits.total_timeout) {
  add(now, candidates, completeness);
}

HappyEyeballs::HappyEyeballs(Instant now, const std::vector<Endpoint>& candidates, Limits limits,
                             Candidates completeness)
    : HappyEyeballs(now, by_one_way(candidates), limits, completeness) {}

void HappyEyeballs::add(Instant now, const std::vector<Endpoint>& candidates, Candidates completeness) {
  add(now, by_one_way(candidates), completeness);
}

void HappyEyeballs::add(Instant now, const std::vector<Candidate>& candidates, Candidates completeness) {
  if (is_done_) return;
  expects_more_ = completeness == Candidates::more_to_come;
  std::vector<Candidate> known;
  for (const Attempt& attempt : attempts_) known.push_back({attempt.remote, attempt.way});
  std::vector<Candidate> waiting(known.begin() + static_cast<std::ptrdiff_t>(next_), known.end());
  for (const Candidate& candidate : candidates) {
    const bool is_known = std::ranges::find(known, candidate) != known.end();
    if (is_known || next_ + waiting.size() >= limits_.max_candidates) continue;
    waiting.push_back(candidate);
    known.push_back(candidate);
  }
  attempts_.resize(next_);
  if (!waiting.empty()) {
    // The family that was not tried last is next.
    const IpFamily last =
        next_ == 0 ? waiting.front().remote.address.family() : attempts_.back().remote.address.family();
    const IpFamily first = next_ == 0 ? last : last == IpFamily::v4 ? IpFamily::v6 : IpFamily::v4;
    for (const Candidate& candidate : interleave(waiting, first)) {
      attempts_.push_back({.remote = candidate.remote, .way = candidate.way, .started = now});
    }
  }
  start_if_due(now);
  fail_if_exhausted();
}

void HappyEyeballs::start_if_due(Instant now) {
  if (next_ == attempts_.size()) return;
  const Instant due = next_ == 0 ? now : attempts_[next_ - 1].started + limits_.attempt_delay;
  if (running() == 0 || now >= due) {
    start_next(now);
  } else {
    next_start_ = due;
  }
}

void HappyEyeballs::handle_connected(Instant now, std::size_t index) {
  if (!is_running(index)) return;
  end(now, index, Outcome::won, std::nullopt);
  for (std::size_t other = 0; other < attempts_.size(); ++other) {
    if (!is_running(other)) continue;
    end(now, other, Outcome::cancelled, std::nullopt);
    events_.push_back(Cancel{other});
  }
  is_done_ = true;
  events_.push_back(Won{index});
}

void HappyEyeballs::handle_failed(Instant now, std::size_t index, Error error) {
  if (!is_running(index)) return;
  end(now, index, Outcome::failed, std::move(error));
  // RFC 8305 section 5: a failure starts the next attempt at once.
  if (next_ < attempts_.size()) start_next(now);
  fail_if_exhausted();
}

void HappyEyeballs::handle_timeout(Instant now) {
  if (is_done_) return;
  if (now >= deadline_) {
    fail_all(now, Error(Errc::connect_timeout));
    return;
  }
  bool has_expired = false;
  for (std::size_t index = 0; index < next_; ++index) {
    if (!is_running(index) || now < attempts_[index].started + limits_.attempt_timeout) continue;
    end(now, index, Outcome::failed, Error(Errc::connect_timeout, attempts_[index].remote.to_string()));
    events_.push_back(Cancel{index});
    has_expired = true;
  }
  if (next_ < attempts_.size() && (has_expired || (next_start_ && now >= *next_start_))) start_next(now);
  fail_if_exhausted();
}

void HappyEyeballs::cancel(Instant now) {
  if (!is_done_) fail_all(now, Error(Errc::cancelled));
}

std::optional<HappyEyeballs::Event> HappyEyeballs::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Instant> HappyEyeballs::next_timeout() const {
  if (is_done_) return std::nullopt;
  std::optional<Instant> next = earliest(deadline_, next_start_);
  for (const Attempt& attempt : attempts_) {
    if (attempt.outcome == Outcome::running) next = earliest(next, attempt.started + limits_.attempt_timeout);
  }
  return next;
}

bool HappyEyeballs::is_running(std::size_t index) const {
  return !is_done_ && index < attempts_.size() && attempts_[index].outcome == Outcome::running;
}

void HappyEyeballs::start_next(Instant now) {
  Attempt& attempt = attempts_[next_];
  attempt.outcome = Outcome::running;
  attempt.started = now;
  events_.push_back(Start{next_, attempt.remote, attempt.way});
  ++next_;
  next_start_.reset();
  if (next_ < attempts_.size()) next_start_ = now + limits_.attempt_delay;
}

void HappyEyeballs::end(Instant now, std::size_t index, Outcome outcome, std::optional<Error> error) {
  Attempt& attempt = attempts_[index];
  attempt.outcome = outcome;
  attempt.elapsed = now - attempt.started;
  attempt.error = std::move(error);
}

void HappyEyeballs::fail_all(Instant now, const Error& error) {
  for (std::size_t index = 0; index < attempts_.size(); ++index) {
    if (!is_running(index)) continue;
    end(now, index, error.code() == Errc::cancelled ? Outcome::cancelled : Outcome::failed, error);
    events_.push_back(Cancel{index});
  }
  is_done_ = true;
  events_.push_back(Failed{error});
}

void HappyEyeballs::fail_if_exhausted() {
  if (is_done_ || expects_more_ || next_ < attempts_.size() || running() > 0) return;
  if (attempts_.empty()) {
    is_done_ = true;
    events_.push_back(Failed{Error(Errc::address_not_dialable, "no address to dial")});
    return;
  }
  const Attempt* best = &attempts_.front();
  for (const Attempt& attempt : attempts_) {
    if (attempt.error && weight(attempt.error->code()) > weight(best->error->code())) best = &attempt;
  }
  is_done_ = true;
  events_.push_back(Failed{*best->error});
}

std::size_t HappyEyeballs::running() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(attempts_, [](const Attempt& a) { return a.outcome == Outcome::running; }));
}

}  // namespace dig::dial
