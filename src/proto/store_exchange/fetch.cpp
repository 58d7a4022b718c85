// SPDX-License-Identifier: Apache-2.0
// The life of a fetch: its phases, its holders coming and going, and how it ends.
#include "proto/store_exchange/fetch.hpp"

#include <algorithm>
#include <utility>

#include "store/merkle.hpp"

namespace dig::exchange {

Fetch::Fetch(FetchTarget target, BufferPool& pool, Limits limits)
    : target_(std::move(target)), pool_(pool), limits_(limits) {
  limits_.window = std::max(limits_.window, store::k_chunk_size);
  limits_.max_window = std::max(limits_.max_window, limits_.window);
  window_ = limits_.window;
}

void Fetch::start(Instant now) {
  if (phase_ != Phase::idle) return;
  phase_ = Phase::choosing;
  for (auto& [id, holder] : holders_) ask_version(now, holder);
  advance(now);
}

// Carries every change through to its consequences; each handle_… ends here.
void Fetch::advance(Instant now) {
  now_ = std::max(now_, now);
  Phase before = phase_;
  do {
    before = phase_;
    switch (phase_) {
      case Phase::choosing:
        choose(now_);
        break;
      case Phase::probing:
        probe(now_);
        break;
      case Phase::fetching:
        fetch_more(now_);
        break;
      case Phase::ending:
        finish_if_quiet();
        break;
      case Phase::idle:
      case Phase::opening:
      case Phase::over:
        break;
    }
  } while (phase_ != before);
}

void Fetch::fetch_more(Instant now) {
  if (is_complete()) {
    if (!target_.only_wanted || is_finishing_) return end(std::nullopt);
    if (!is_announced_) events_.push_back(WantedComplete{});
    is_announced_ = true;
    return;
  }
  schedule(now);
  if (is_stuck()) fail_without_holders();
}

// --- holders -----------------------------------------------------------------------------------------------------

FetchHolder* Fetch::find(HolderId holder) {
  const auto found = holders_.find(holder);
  return found == holders_.end() ? nullptr : &found->second;
}

void Fetch::holder_added(Instant now, HolderId holder) {
  if (!is_running() || find(holder) != nullptr) return;
  if (banned_.contains(holder)) {
    events_.push_back(DropHolder{holder, Error(Errc::chunk_mismatch, "it sent wrong data before")});
    return;
  }
  if (holders_.size() >= limits_.max_holders) {
    events_.push_back(DropHolder{holder, Error(Errc::limit_reached, "enough holders for one fetch")});
    return;
  }
  FetchHolder& added = holders_[holder];
  added.id = holder;
  if (phase_ != Phase::idle) ask_version(now, added);
  advance(now);
}

void Fetch::holder_removed(Instant now, HolderId holder, Error error) {
  forget(holder, error);
  advance(now);
}

void Fetch::no_more_holders(Instant now) {
  expects_holders_ = false;
  advance(now);
}

void Fetch::drop(HolderId holder, const Error& error) {
  if (find(holder) == nullptr) return;
  events_.push_back(DropHolder{holder, error});
  forget(holder, error);
}

void Fetch::ban(HolderId holder, const Error& error) {
  banned_.insert(holder);
  drop(holder, error);
}

// Gives what it was asked for back, to be asked of others.
void Fetch::forget(HolderId id, const Error& error) {
  FetchHolder* const holder = find(id);
  if (holder == nullptr) return;
  while (!holder->asked.empty()) unask_front(*holder);
  holders_.erase(id);
  if (status_.lost_holders.size() >= limits_.max_lost_holders) status_.lost_holders.erase(status_.lost_holders.begin());
  status_.lost_holders.emplace_back(id, error);
}

// When all holders failed for one reason, that reason tells most; otherwise the list of reasons does.
void Fetch::fail_without_holders() {
  const auto& lost = status_.lost_holders;
  if (lost.empty()) return end(Error(Errc::no_holder));
  const Error& last = lost.back().second;
  const bool is_one_reason =
      std::all_of(lost.begin(), lost.end(), [&](const auto& entry) { return entry.second.code() == last.code(); });
  if (is_one_reason && holders_.empty()) return end(last);
  end(Error(Errc::no_holder, holders_.empty() ? last.message() : "the holders do not have all chunks"));
}

// --- lifecycle ---------------------------------------------------------------------------------------------------

Result<void> Fetch::want(Instant now, std::uint64_t first, std::uint64_t count) {
  if (phase_ != Phase::fetching) return fail(Errc::invalid_argument, "no chunks can be asked for now");
  if (first > have_.size() || count > have_.size() - first) return fail(Errc::invalid_argument, "no such chunks");
  add_wanted(first, count);
  is_announced_ = false;
  advance(now);
  return {};
}

void Fetch::finish(Instant now) {
  is_finishing_ = true;
  advance(now);
}

void Fetch::pause(Instant now) {
  is_paused_ = true;
  advance(now);
}

void Fetch::resume(Instant now) {
  is_paused_ = false;
  advance(now);
}

void Fetch::cancel(Instant now) {
  if (!is_running()) return;
  end(Error(Errc::cancelled));
  advance(now);
}

// Nothing more is asked; the last event comes when no open and no write is under way.
void Fetch::end(std::optional<Error> error) {
  if (!is_running()) return;
  phase_ = Phase::ending;
  final_error_ = std::move(error);
  drop_probe();
}

void Fetch::drop_probe() {
  if (!probe_) return;
  discard(probe_->index, std::move(probe_->data));
  probe_.reset();
}

void Fetch::finish_if_quiet() {
  if (writing_ != 0 || is_opening_) return;
  phase_ = Phase::over;
  holders_.clear();
  todo_ = {};
  flights_.clear();
  asked_ = charged_ = duplicate_bytes_ = 0;
  if (final_error_) {
    events_.push_back(FetchFailed{*final_error_});
  } else {
    events_.push_back(FetchDone{});
  }
}

void Fetch::handle_partial_opened(Instant now, Result<store::ChunkSet> have) {
  if (!is_opening_) return;
  is_opening_ = false;
  if (phase_ != Phase::opening) return advance(now);
  const Manifest& manifest = candidates_[*current_].manifest;
  if (!have) {
    end(have.error());
  } else if (have->size() != store::chunk_count(manifest.size)) {
    end(Error(Errc::internal, "the partial file has another number of chunks"));
  } else {
    begin_fetching(std::move(*have));
  }
  advance(now);
}

void Fetch::begin_fetching(store::ChunkSet have) {
  phase_ = Phase::fetching;
  have_ = std::move(have);
  wanted_ = store::ChunkSet(have_.size());
  for (auto next = have_.next_present(0); next; next = have_.next_present(*next + 1)) {
    status_.reused_bytes += size_of(*next);
  }
  if (probe_) {
    Probe probe = std::move(*probe_);
    probe_.reset();
    if (have_.test(probe.index)) {
      discard(probe.index, std::move(probe.data));
    } else {
      events_.push_back(WriteChunk{probe.index, std::move(probe.data), std::move(probe.proof), probe.holder});
    }
  }
  if (!target_.only_wanted) add_wanted(0, have_.size());
  is_progress_due_ = true;
}

// --- time and output ---------------------------------------------------------------------------------------------

void Fetch::retry_later(Instant now, FetchHolder& holder) {
  holder.busy_until = now + limits_.busy_backoff * (1U << std::min(holder.busy_count, 10U));
  ++holder.busy_count;
}

void Fetch::handle_timeout(Instant now) {
  if (!is_running() || phase_ == Phase::idle) return;
  std::vector<HolderId> silent;
  for (auto& [id, holder] : holders_) {
    const auto is_late = [&](const std::optional<Instant>& asked) {
      return asked && now >= *asked + limits_.answer_deadline;
    };
    const bool is_idle = !holder.asked.empty() && now >= holder.last_progress + limits_.chunk_deadline;
    if (is_late(holder.have_asked) || is_late(holder.manifest_asked) || is_idle) silent.push_back(id);
    if (holder.busy_until && now >= *holder.busy_until) {
      holder.busy_until.reset();
      if (std::exchange(holder.is_have_due, false)) ask_have(now, holder, holder.asked_root);
      if (std::exchange(holder.is_manifest_due, false)) ask_manifest(now, holder);
    }
  }
  for (const HolderId id : silent) drop(id, Error(Errc::peer_silent, "the holder is too slow to be of use"));
  advance(now);
}

std::optional<Instant> Fetch::next_timeout() const {
  if (!is_running() || phase_ == Phase::idle) return std::nullopt;
  std::optional<Instant> next;
  // What is due already was acted upon when it became due.
  const auto at = [&](Instant deadline) {
    if (deadline > now_) next = earliest(next, deadline);
  };
  if (phase_ == Phase::choosing && first_manifest_) at(*first_manifest_ + limits_.manifest_wait);
  for (const auto& [id, holder] : holders_) {
    if (holder.have_asked) at(*holder.have_asked + limits_.answer_deadline);
    if (holder.manifest_asked) at(*holder.manifest_asked + limits_.answer_deadline);
    if (holder.busy_until) at(*holder.busy_until);
    if (holder.asked.empty()) continue;
    at(holder.last_progress + limits_.chunk_deadline);
    at(holder.last_progress + stall_time(holder));
    if (phase_ == Phase::fetching && todo_.empty()) at(holder.asked.front().asked + limits_.steal_after);
  }
  return next;
}

std::optional<FetchEvent> Fetch::poll_event() {
  if (!events_.empty() && (!is_progress_due_ || !is_last_event(events_.front()))) {
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  if (!std::exchange(is_progress_due_, false)) return std::nullopt;
  return Progress{status_.bytes, status_.total};
}

// Progress is told before the end, and only once for many chunks.
bool Fetch::is_last_event(const Event& event) {
  return std::holds_alternative<FetchDone>(event) || std::holds_alternative<FetchFailed>(event);
}

FetchStatus Fetch::snapshot() const {
  FetchStatus status = status_;
  if (current_) {
    status.manifest = candidates_[*current_].manifest;
    status.trust = candidates_[*current_].trust;
  }
  status.outstanding_bytes = charged_;
  status.is_over = phase_ == Phase::over;
  for (const auto& [id, holder] : holders_) {
    status.holders.push_back({.holder = id,
                              .bytes = holder.bytes,
                              .in_flight = holder.in_flight_bytes,
                              .bytes_per_second = holder.speed.bytes_per_second(),
                              .rtt = holder.rtt});
  }
  return status;
}

}  // namespace dig::exchange
