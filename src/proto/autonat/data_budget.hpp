// SPDX-License-Identifier: Apache-2.0
// How many bytes of dial data may leave in any hour. What may be sent is reserved first and settled when it is known
// what was; so the budget holds whatever a server does.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/time.hpp"

namespace dig::autonat {

class DataBudget {
 public:
  explicit DataBudget(std::uint64_t per_hour) : per_hour_(per_hour) {}

  // Whether `amount` is there; then it counts as spent until it is settled.
  [[nodiscard]] bool reserve(Instant now, std::uint64_t amount) {
    forget_old(now);
    if (amount > per_hour_ - std::min(per_hour_, reserved_ + spent_)) return false;
    reserved_ += amount;
    return true;
  }
  void settle(Instant now, std::uint64_t reserved, std::uint64_t spent) {
    reserved_ -= reserved;
    if (spent == 0) return;
    // At least a share of the budget each, so that the list has an end.
    const std::uint64_t counted = std::max(spent, per_hour_ / k_max_entries);
    entries_.push_back({now, counted});
    spent_ += counted;
  }
  // Spent in the last hour, and what may still be.
  [[nodiscard]] std::uint64_t used() const noexcept { return reserved_ + spent_; }

 private:
  struct Entry {
    Instant at;
    std::uint64_t amount = 0;
  };
  static constexpr std::uint64_t k_max_entries = 64;

  void forget_old(Instant now) {
    while (!entries_.empty() && now - entries_.front().at >= 1h) {
      spent_ -= entries_.front().amount;
      entries_.pop_front();
    }
  }

  std::uint64_t per_hour_;
  std::uint64_t reserved_ = 0;
  std::uint64_t spent_ = 0;
  std::deque<Entry> entries_;
};

}  // namespace dig::autonat
