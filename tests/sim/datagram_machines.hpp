// SPDX-License-Identifier: Apache-2.0
// Small machines that the scenarios of datagrams are played with: one that says how it sees you, one that punches
// holes, and one that asks until it is answered.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/machine.hpp"

namespace dig::sim::testing {

// What a machine has to send, as poll_transmit wants it.
class Outbox {
 public:
  void push(const Endpoint& local, const Endpoint& remote, std::string text) {
    waiting_.push_back({{.local = local, .remote = remote, .size = text.size()}, std::move(text)});
  }
  [[nodiscard]] std::optional<Transmit> poll(MutableBytes out) {
    if (waiting_.empty()) return std::nullopt;
    const auto [transmit, text] = std::move(waiting_.front());
    waiting_.pop_front();
    std::ranges::copy(as_bytes(text), out.begin());
    return transmit;
  }

 private:
  std::deque<std::pair<Transmit, std::string>> waiting_;
};

// Answers each datagram with the endpoint it came from, as a STUN server does (RFC 8489 §6.3.1).
class ReflectorMachine {
 public:
  using Event = std::variant<std::monostate>;  // it has none

  void handle_datagram(const Received& in) { outbox_.push(in.local, in.remote, in.remote.to_string()); }
  void handle_timeout(Instant) {}
  [[nodiscard]] std::optional<Transmit> poll_transmit(Instant, MutableBytes out) { return outbox_.poll(out); }
  [[nodiscard]] std::optional<Event> poll_event() { return std::nullopt; }
  [[nodiscard]] std::optional<Instant> next_timeout() const { return std::nullopt; }

 private:
  Outbox outbox_;
};

// One side of a simple simultaneous hole punch: learns from reflectors how it is seen, then sends to the endpoints of
// the other side a few times, and to every endpoint from which the other side was heard. Both directions work when what
// it sent is confirmed.
class PuncherMachine {
 public:
  using Event = std::variant<std::monostate>;  // it has none

  // Asked one after the other, so that the order of its mappings is known.
  explicit PuncherMachine(std::vector<Endpoint> reflectors) : reflectors_(std::move(reflectors)) { ask(); }

  [[nodiscard]] bool has_learnt() const { return seen_as_.size() == reflectors_.size(); }
  // How the reflectors see it, in their order.
  [[nodiscard]] const std::vector<Endpoint>& seen_as() const { return seen_as_; }
  [[nodiscard]] bool is_confirmed() const { return is_confirmed_; }

  void punch(Instant now, const std::vector<Endpoint>& others) {
    targets_.insert(others.begin(), others.end());
    next_round_ = now;
    handle_timeout(now);
  }

  void handle_datagram(const Received& in) {
    const std::string text(as_text(in.bytes));
    if (text == k_punch) {
      outbox_.push({}, in.remote, std::string(k_confirm));
      if (targets_.size() < k_max_targets) targets_.insert(in.remote);
    } else if (text == k_confirm) {
      is_confirmed_ = true;
    } else if (!has_learnt() && in.remote == reflectors_[seen_as_.size()]) {
      if (const auto seen = Endpoint::parse(text)) seen_as_.push_back(*seen);
      ask();
    }
  }
  void handle_timeout(Instant now) {
    if (!next_round_ || now < *next_round_) return;
    for (const Endpoint& target : targets_) outbox_.push({}, target, std::string(k_punch));
    next_round_ = ++rounds_ < k_rounds ? std::optional(now + k_pause) : std::nullopt;
  }
  [[nodiscard]] std::optional<Transmit> poll_transmit(Instant, MutableBytes out) { return outbox_.poll(out); }
  [[nodiscard]] std::optional<Event> poll_event() { return std::nullopt; }
  [[nodiscard]] std::optional<Instant> next_timeout() const { return next_round_; }

 private:
  static constexpr std::string_view k_punch = "punch";
  static constexpr std::string_view k_confirm = "confirm";
  static constexpr int k_rounds = 6;
  static constexpr Duration k_pause = 50ms;
  static constexpr std::size_t k_max_targets = 16;

  void ask() {
    if (!has_learnt()) outbox_.push({}, reflectors_[seen_as_.size()], "how do you see me?");
  }

  std::vector<Endpoint> reflectors_;
  std::vector<Endpoint> seen_as_;
  std::set<Endpoint> targets_;
  Outbox outbox_;
  std::optional<Instant> next_round_;
  int rounds_ = 0;
  bool is_confirmed_ = false;
};

// Sends numbered questions to an echo and repeats each until its answer is there.
class AskerMachine {
 public:
  struct Answered {
    std::string question;
  };
  using Event = std::variant<Answered>;

  AskerMachine(Instant now, const Endpoint& echo, int questions) : echo_(echo), next_(now) {
    for (int i = 0; i < questions; ++i) open_.insert("question " + std::to_string(i));
  }
  [[nodiscard]] bool is_done() const { return open_.empty(); }

  void handle_datagram(const Received& in) {
    std::string text(as_text(in.bytes));
    if (in.remote == echo_ && open_.erase(text) == 1) events_.push_back(Answered{std::move(text)});
  }
  void handle_timeout(Instant now) {
    if (is_done() || now < next_) return;
    for (const std::string& question : open_) outbox_.push({}, echo_, question);
    next_ = now + 100ms;
  }
  [[nodiscard]] std::optional<Transmit> poll_transmit(Instant, MutableBytes out) { return outbox_.poll(out); }
  [[nodiscard]] std::optional<Event> poll_event() {
    if (events_.empty()) return std::nullopt;
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const { return is_done() ? std::nullopt : std::optional(next_); }

 private:
  Endpoint echo_;
  std::set<std::string> open_;
  Instant next_;
  Outbox outbox_;
  std::deque<Event> events_;
};

static_assert(Machine<ReflectorMachine> && Machine<PuncherMachine> && Machine<AskerMachine>);

}  // namespace dig::sim::testing
