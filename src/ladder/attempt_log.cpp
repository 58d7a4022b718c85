// SPDX-License-Identifier: Apache-2.0
#include "ladder/attempt_log.hpp"

namespace dig::ladder {

std::int64_t AttemptLog::since_start(Instant now) const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - start_).count();
}

std::vector<const MethodRow*> AttemptLog::plan(Instant now, const TierSet& allowed) {
  std::vector<const MethodRow*> usable;
  for (const MethodRow& row : methods()) {
    if (!allowed.contains(row.tier)) {
      skip(now, row, {}, Error(Errc::tier_disabled));
    } else if (!row.is_available) {
      skip(now, row, {}, Error(Errc::tier_unavailable, "this version has no " + std::string(row.name) + " yet"));
    } else {
      usable.push_back(&row);
    }
  }
  return usable;
}

AttemptLog::Index AttemptLog::begin(Instant now, const MethodRow& row, std::string target) {
  attempts_.push_back({.tier = static_cast<int>(row.tier),
                       .tier_name = std::string(row.tier_name),
                       .method = std::string(row.name),
                       .target = std::move(target),
                       .started_ms = since_start(now),
                       .elapsed_ms = 0,
                       .outcome = dignet::Outcome::cancelled,
                       .error = std::nullopt});
  is_open_.push_back(true);
  return attempts_.size() - 1;
}

void AttemptLog::end(Index index, Instant now, dignet::Outcome outcome, std::optional<Error> error) {
  if (!is_open_[index]) return;
  is_open_[index] = false;
  dignet::Attempt& attempt = attempts_[index];
  attempt.elapsed_ms = since_start(now) - attempt.started_ms;
  attempt.outcome = outcome;
  attempt.error = std::move(error);
  completed_.push_back(index);
}

void AttemptLog::skip(Instant now, const MethodRow& row, std::string target, Error why) {
  end(begin(now, row, std::move(target)), now, dignet::Outcome::skipped, std::move(why));
}

void AttemptLog::cancel_open(Instant now) {
  for (Index index = 0; index < attempts_.size(); ++index) {
    end(index, now, dignet::Outcome::cancelled, Error(Errc::cancelled));
  }
}

std::vector<dignet::Attempt> AttemptLog::take_completed() {
  std::vector<dignet::Attempt> taken;
  taken.reserve(completed_.size());
  for (const Index index : completed_) taken.push_back(attempts_[index]);
  completed_.clear();
  return taken;
}

}  // namespace dig::ladder
