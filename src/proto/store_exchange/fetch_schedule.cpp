// SPDX-License-Identifier: Apache-2.0
// Who is asked for which chunks: each holder has a share of the window by its speed, kept full with several requests;
// what a holder does not deliver in time is asked of another.
#include <algorithm>
#include <utility>

#include "proto/store_exchange/fetch.hpp"
#include "store/merkle.hpp"

namespace dig::exchange {

std::size_t Fetch::size_of(std::uint64_t index) const {
  return store::chunk_size_at(candidates_[*current_].manifest.size, index);
}

std::uint64_t Fetch::size_of(store::ChunkRange range) const {
  const std::uint64_t end = store::chunk_offset(range.first + range.count);
  return std::min(end, candidates_[*current_].manifest.size) - store::chunk_offset(range.first);
}

// --- the books ---------------------------------------------------------------------------------------------------

// The one place where a flight changes, so that the counters always agree with the flights.
void Fetch::put(std::uint64_t index, Flight flight) {
  const std::uint64_t size = size_of(index);
  const auto count = [&](const Flight& counted, std::uint64_t sign) {
    const bool is_asked = counted.state == FlightState::asked;
    const bool is_writing = counted.state == FlightState::writing;
    asked_ += sign * (is_asked ? 1 : 0);
    writing_ += sign * (is_writing ? 1 : 0);
    charged_ += sign * (is_asked || is_writing ? size : 0);
    duplicate_bytes_ += sign * size * (counted.asks - (is_asked ? 1U : 0U));
  };
  const auto [it, is_new] = flights_.try_emplace(index);
  if (!is_new) count(it->second, ~std::uint64_t{0});  // minus one: these are sums modulo 2^64
  if (flight.asks == 0 && flight.state != FlightState::writing) {
    flights_.erase(it);
    if (wanted_.test(index) && !have_.test(index)) todo_.add(index, 1);
    return;
  }
  it->second = flight;
  count(flight, 1);
}

void Fetch::ask(Instant now, FetchHolder& holder, store::ChunkRange range) {
  if (holder.asked.empty()) {
    holder.last_progress = now;
    holder.speed.begin(now);
  }
  todo_.remove(range.first, range.count);
  for (std::uint64_t index = range.first; index < range.first + range.count; ++index) {
    const auto found = flights_.find(index);
    Flight flight = found == flights_.end() ? Flight{} : found->second;
    ++flight.asks;
    put(index, flight);
    holder.in_flight_bytes += size_of(index);
  }
  holder.in_flight += range.count;
  holder.asked.push_back({.next = range.first, .end = range.first + range.count, .asked = now});
  status_.window_bytes = std::max(status_.window_bytes, charged_ + duplicate_bytes_);
  events_.push_back(AskChunks{holder.id, range.first, static_cast<std::uint32_t>(range.count)});
}

// The next chunk asked of the holder is not to be expected any more (it came, or it will not).
void Fetch::shift(FetchHolder& holder) {
  AskedRange& range = holder.asked.front();
  holder.in_flight_bytes -= size_of(range.next);
  --holder.in_flight;
  if (++range.next == range.end) holder.asked.pop_front();
}

void Fetch::unask_front(FetchHolder& holder) {
  const std::uint64_t index = holder.asked.front().next;
  shift(holder);
  Flight flight = flights_.at(index);
  --flight.asks;
  put(index, flight);
}

// By runs and not chunk by chunk: a store may have millions of chunks.
void Fetch::add_wanted(std::uint64_t first, std::uint64_t count) {
  wanted_.for_each_missing_range({first, count}, [&](store::ChunkRange added) {
    wanted_.set_range(added);
    status_.total += size_of(added);
    status_.bytes += size_of(added);
    have_.for_each_missing_range(added, [&](store::ChunkRange missing) {
      status_.bytes -= size_of(missing);
      missing_ += missing.count;
      todo_.add(missing.first, missing.count);
    });
  });
  for (const auto& [index, flight] : flights_) todo_.remove(index, 1);
}

bool Fetch::is_complete() const { return missing_ == 0 && writing_ == 0; }

// Nothing is under way and nothing can be: no holder that is left has what is missing.
bool Fetch::is_stuck() const {
  if (expects_holders_ || is_paused_ || asked_ != 0 || writing_ != 0) return false;
  return std::none_of(holders_.begin(), holders_.end(), [](const auto& entry) {
    const FetchHolder& holder = entry.second;
    return holder.have_asked || holder.is_have_due || holder.busy_until || !holder.asked.empty();
  });
}

// --- answers -----------------------------------------------------------------------------------------------------

void Fetch::handle_chunk(Instant now, HolderId id, std::uint64_t index, Bytes data, std::vector<Hash256> proof) {
  FetchHolder* const holder = find(id);
  if (holder == nullptr || !is_running()) return pool_.give(std::move(data));
  if (holder->asked.empty() || holder->asked.front().next != index) {
    pool_.give(std::move(data));
    drop(id, Error(Errc::protocol_violation, "a chunk that was not asked for, or out of order"));
    return advance(now);
  }
  if (data.size() != size_of(index)) {
    pool_.give(std::move(data));
    ban(id, Error(Errc::chunk_mismatch, "a chunk of the wrong size"));
    return advance(now);
  }
  note_delivery(now, *holder, data.size());
  shift(*holder);
  Flight flight = flights_.at(index);
  --flight.asks;
  const bool is_needed = flight.state == FlightState::asked;
  if (is_needed) {
    flight.state = FlightState::writing;
    flight.supplier = id;
  }
  put(index, flight);
  if (!is_needed) {
    pool_.give(std::move(data));  // another holder was faster
  } else if (phase_ == Phase::probing) {
    handle_probe(now, {index, std::move(data), std::move(proof), id});
  } else if (phase_ == Phase::opening) {
    discard(index, std::move(data));  // there is no file to write to yet
  } else {
    events_.push_back(WriteChunk{index, std::move(data), std::move(proof), id});
  }
  advance(now);
}

void Fetch::note_delivery(Instant now, FetchHolder& holder, std::size_t size) {
  holder.last_progress = now;
  holder.busy_count = 0;
  holder.bytes += size;
  holder.speed.add(now, size);
  status_.fetched_bytes += size;
  if (!status_.first_chunk) status_.first_chunk = now;
  grow_window();
}

// A chunk that came and is not written: as if it had never come.
void Fetch::discard(std::uint64_t index, Bytes data) {
  pool_.give(std::move(data));
  Flight flight = flights_.at(index);
  flight.state = FlightState::asked;
  put(index, flight);
}

void Fetch::handle_chunk_written(Instant now, std::uint64_t index, Result<void> result) {
  const auto found = flights_.find(index);
  if (phase_ == Phase::over || found == flights_.end() || found->second.state != FlightState::writing) return;
  Flight flight = found->second;
  if (result) {
    have_.set(index);
    flight.state = FlightState::written;
    put(index, flight);
    if (wanted_.test(index)) {
      --missing_;
      status_.bytes += size_of(index);
      is_progress_due_ = true;
    }
    return advance(now);
  }
  flight.state = FlightState::asked;
  put(index, flight);
  if (is_running() && result.error().code() == Errc::chunk_mismatch) {
    ban(flight.supplier, result.error());
  } else {
    end(result.error());
  }
  advance(now);
}

void Fetch::handle_refused(Instant now, HolderId id, std::uint64_t first, std::uint64_t count, Error error) {
  FetchHolder* const holder = find(id);
  if (holder == nullptr || !is_running()) return;
  const bool is_busy = error.code() == Errc::limit_reached && holder->busy_count < limits_.max_busy;
  if (!is_busy || holder->asked.empty() || holder->asked.front().next != first ||
      holder->asked.front().end - first != count) {
    drop(id, error);
    return advance(now);
  }
  for (; count > 0; --count) unask_front(*holder);
  retry_later(now, *holder);
  advance(now);
}

// --- questions ---------------------------------------------------------------------------------------------------

void Fetch::schedule(Instant now) {
  if (is_paused_) return;
  for (auto& [id, holder] : holders_) {
    while (assign(now, holder)) {
    }
  }
}

// Asks the holder for one more range, if it has room for it.
bool Fetch::assign(Instant now, FetchHolder& holder) {
  if (!is_usable(now, holder) || holder.asked.size() >= limits_.max_requests_per_holder) return false;
  const std::uint64_t budget = budget_in_chunks(now, holder);
  // A quarter of the share, so that the next request is there before the last one is served.
  const std::uint64_t count = std::clamp<std::uint64_t>(budget / 4, 1, limits_.max_chunks_per_request);
  if (holder.in_flight + count > budget) return false;
  const std::optional<store::ChunkRange> range = todo_.first_common(holder.chunks, count);
  if (!range) return steal(now, holder, count);
  if (charged_ + range->count * store::k_chunk_size > window_) return false;
  ask(now, holder, *range);
  return true;
}

bool Fetch::is_usable(Instant now, const FetchHolder& holder) const {
  return is_matching(holder) && !holder.busy_until && !is_overdue(now, holder);
}

// The holder's part of the window, by its share of the speed of all; one of unknown speed counts as average.
std::uint64_t Fetch::budget_in_chunks(Instant now, const FetchHolder& holder) const {
  double known = 0;
  std::size_t known_count = 0;
  std::size_t usable_count = 0;
  for (const auto& [id, other] : holders_) {
    if (!is_usable(now, other)) continue;
    ++usable_count;
    if (other.speed.bytes_per_second() == 0) continue;
    known += other.speed.bytes_per_second();
    ++known_count;
  }
  const double average = known_count == 0 ? 1.0 : known / static_cast<double>(known_count);
  const double own = holder.speed.bytes_per_second() == 0 ? average : holder.speed.bytes_per_second();
  const double all = known + average * static_cast<double>(usable_count - known_count);
  const double share = static_cast<double>(window_ / store::k_chunk_size) * own / all;
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(share + 0.5));
}

// Twice bandwidth x delay, and something for the disk; what is not used costs nothing, so it never shrinks.
void Fetch::grow_window() {
  double need = static_cast<double>(limits_.window) / 4;
  for (const auto& [id, holder] : holders_) {
    if (!holder.rtt) continue;
    need += 2 * holder.speed.bytes_per_second() * std::chrono::duration<double>(*holder.rtt).count();
  }
  const double most = static_cast<double>(limits_.max_window);
  window_ = std::max(window_, static_cast<std::uint64_t>(std::min(need, most)));
}

// --- slow holders ------------------------------------------------------------------------------------------------

Duration Fetch::stall_time(const FetchHolder& holder) const {
  const double speed = holder.speed.bytes_per_second();
  if (speed == 0) return limits_.first_chunk_stall;
  const double seconds = std::min(4 * static_cast<double>(store::k_chunk_size) / speed, 3600.0);
  const auto usual = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  return std::clamp(usual + holder.rtt.value_or(Duration{0}), limits_.min_stall, limits_.max_stall);
}

bool Fetch::is_overdue(Instant now, const FetchHolder& holder) const {
  return !holder.asked.empty() && now >= holder.last_progress + stall_time(holder);
}

// Asks the thief for chunks that wait at a holder which stalls or, when nothing else is left, is merely slow.
bool Fetch::steal(Instant now, FetchHolder& thief, std::uint64_t max_count) {
  for (const auto& [id, victim] : holders_) {
    if (id == thief.id || victim.asked.empty()) continue;
    const bool is_slow = todo_.empty() && now >= victim.asked.front().asked + limits_.steal_after;
    if (!is_slow && !is_overdue(now, victim)) continue;
    const std::optional<store::ChunkRange> range = stealable(victim, thief, max_count);
    if (!range) continue;
    ask(now, thief, *range);
    return true;
  }
  return false;
}

// The run nearest to the end of the victim's queue: it would come last.
std::optional<store::ChunkRange> Fetch::stealable(const FetchHolder& victim, const FetchHolder& thief,
                                                  std::uint64_t max_count) const {
  const auto is_free = [&](std::uint64_t index) {
    const Flight& flight = flights_.at(index);
    if (flight.state != FlightState::asked || flight.asks >= limits_.max_copies) return false;
    if (!thief.chunks.contains(index)) return false;
    return std::none_of(thief.asked.begin(), thief.asked.end(),
                        [&](const AskedRange& range) { return index >= range.next && index < range.end; });
  };
  for (auto range = victim.asked.rbegin(); range != victim.asked.rend(); ++range) {
    std::uint64_t end = range->end;
    while (end > range->next && !is_free(end - 1)) --end;
    std::uint64_t first = end;
    while (first > range->next && end - first < max_count && is_free(first - 1)) --first;
    if (first < end) return store::ChunkRange{.first = first, .count = end - first};
  }
  return std::nullopt;
}

}  // namespace dig::exchange
