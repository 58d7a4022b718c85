// SPDX-License-Identifier: Apache-2.0
// The virtual clock and what is still to happen. Time moves only from one event to the next; events of one instant
// happen in the order in which they were put in. Single-threaded.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "base/time.hpp"

namespace dig::sim {

class EventQueue {
 public:
  using Action = std::move_only_function<void()>;

  [[nodiscard]] Instant now() const noexcept { return now_; }
  // What lies in the past happens now.
  void at(Instant when, Action action) { events_.emplace(Key{when < now_ ? now_ : when, next_++}, std::move(action)); }
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  [[nodiscard]] std::optional<Instant> next() const {
    return events_.empty() ? std::nullopt : std::optional(events_.begin()->first.first);
  }
  // False when nothing is left.
  bool step() {
    if (events_.empty()) return false;
    auto event = events_.extract(events_.begin());
    now_ = event.key().first;
    event.mapped()();
    return true;
  }
  // Lets time pass without an event; not beyond the next one.
  void advance(Instant to) {
    if (to > now_ && !(next() && *next() < to)) now_ = to;
  }

 private:
  using Key = std::pair<Instant, std::uint64_t>;

  Instant now_;
  std::uint64_t next_ = 0;
  std::map<Key, Action> events_;
};

}  // namespace dig::sim
