// SPDX-License-Identifier: Apache-2.0
#include "base/accept_limiter.hpp"

#include <algorithm>

namespace dig {
namespace {

constexpr Duration k_sweep_interval = 1s;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

AcceptLimiter::Verdict AcceptLimiter::admit(Instant now, const IpAddress& source) {
  Source& entry = find_or_add(now, prefix_of(source));
  refill(entry, now);
  // Beyond the total there is room for one of each source that has none yet: a few that are silent do not keep out
  // everybody else. Those who share a bucket are not counted each, so it is not for them.
  const bool has_none = &entry != &overflow_ && entry.half_open == 0;
  const std::size_t room = (has_none ? 2 : 1) * limits_.half_open_total;
  Verdict verdict = Verdict::admitted;
  if (entry.tokens < 1) {
    verdict = Verdict::rate;
  } else if (entry.half_open >= limits_.half_open_per_source) {
    verdict = Verdict::half_open_source;
  } else if (half_open_ >= room) {
    verdict = Verdict::half_open_total;
  }
  if (verdict != Verdict::admitted) {
    ++refused_;
    return verdict;
  }
  entry.tokens -= 1;
  // The shared bucket limits the rate only: a source may leave it for an entry of its own before its handshake ends.
  if (&entry != &overflow_) ++entry.half_open;
  ++half_open_;
  ++admitted_;
  return verdict;
}

void AcceptLimiter::handshake_ended(const IpAddress& source) {
  if (half_open_ > 0) --half_open_;
  const auto found = sources_.find(prefix_of(source));
  if (found != sources_.end() && found->second.half_open > 0) --found->second.half_open;
}

AcceptLimiter::Status AcceptLimiter::snapshot() const {
  return {.sources = sources_.size(), .half_open = half_open_, .admitted = admitted_, .refused = refused_};
}

AcceptLimiter::Prefix AcceptLimiter::prefix_of(const IpAddress& address) {
  const std::size_t kept = address.is_v4() ? 4 : 7;
  Prefix prefix = address.is_v4() ? 4 : 6;
  for (std::size_t i = 0; i < kept; ++i) prefix = (prefix << 8) | address.octets()[i];
  return prefix;
}

void AcceptLimiter::refill(Source& source, Instant now) const {
  if (now <= source.updated) return;
  source.tokens = std::min(limits_.burst, source.tokens + seconds(now - source.updated) * limits_.rate_per_second);
  source.updated = now;
}

AcceptLimiter::Source& AcceptLimiter::find_or_add(Instant now, Prefix prefix) {
  const auto found = sources_.find(prefix);
  if (found != sources_.end()) return found->second;
  if (sources_.size() >= limits_.max_sources) forget_idle(now);
  const Source fresh{.tokens = limits_.burst, .updated = now, .half_open = 0};
  if (sources_.size() < limits_.max_sources) return sources_.emplace(prefix, fresh).first->second;
  if (!is_overflow_started_) {
    overflow_ = fresh;
    is_overflow_started_ = true;
  }
  return overflow_;
}

// A source whose bucket is full again and that has no handshake running is like one never seen. The sweep visits the
// whole table, so it runs at most once a second.
void AcceptLimiter::forget_idle(Instant now) {
  if (next_sweep_ && now < *next_sweep_) return;
  next_sweep_ = now + k_sweep_interval;
  std::erase_if(sources_, [&](const auto& item) {
    Source refilled = item.second;
    refill(refilled, now);
    return refilled.half_open == 0 && refilled.tokens >= limits_.burst;
  });
}

}  // namespace dig
