// SPDX-License-Identifier: Apache-2.0
// The ordered list of attempts that every outcome carries (design §2 rule 4).
#pragma once

#include <string>
#include <vector>

#include "base/time.hpp"
#include "dignet/events.hpp"
#include "ladder/methods.hpp"
#include "ladder/tier_set.hpp"

namespace dig::ladder {

class AttemptLog {
 public:
  using Index = std::size_t;

  explicit AttemptLog(Instant start) : start_(start) {}

  // Records every method that cannot be used at once as skipped, each with its reason, and returns the ones that can.
  std::vector<const MethodRow*> plan(Instant now, const TierSet& allowed);
  Index begin(Instant now, const MethodRow& row, std::string target);
  // Ends an attempt; a second end of the same attempt does nothing.
  void end(Index index, Instant now, dignet::Outcome outcome, std::optional<Error> error = std::nullopt);
  void skip(Instant now, const MethodRow& row, std::string target, Error why);
  // Ends whatever is still open.
  void cancel_open(Instant now);

  [[nodiscard]] const std::vector<dignet::Attempt>& attempts() const noexcept { return attempts_; }
  // The attempts that were completed since the last call, in order of completion.
  [[nodiscard]] std::vector<dignet::Attempt> take_completed();

 private:
  [[nodiscard]] std::int64_t since_start(Instant now) const;

  Instant start_;
  std::vector<dignet::Attempt> attempts_;
  std::vector<bool> is_open_;
  std::vector<Index> completed_;
};

}  // namespace dig::ladder
