// SPDX-License-Identifier: Apache-2.0
#include "proto/stun/transaction.hpp"

#include <algorithm>

namespace dig::stun {
namespace {

constexpr std::uint32_t k_max_doublings = 16;  // keeps the shift defined whatever Rc is configured

}  // namespace

void RttEstimator::add(Instant now, Duration rtt) noexcept {
  if (!smoothed_) {
    smoothed_ = rtt;
    variation_ = rtt / 2;
  } else {
    const Duration difference = *smoothed_ > rtt ? *smoothed_ - rtt : rtt - *smoothed_;
    variation_ = (3 * variation_ + difference) / 4;
    smoothed_ = (7 * *smoothed_ + rtt) / 8;
  }
  updated_ = now;
}

Duration RttEstimator::rto(Instant now, const TransactionTimers& timers) const noexcept {
  if (!smoothed_ || now - updated_ > timers.rto_lifetime) return timers.initial_rto;
  // RFC 8489 §6.2.1: not rounded to seconds; an accuracy of 1 ms is kept.
  const Duration estimate = *smoothed_ + std::max<Duration>(1ms, 4 * variation_);
  return std::clamp<Duration>(estimate, timers.min_rto, std::max(timers.min_rto, timers.max_rto));
}

Result<RequestId> TransactionTable::start(Instant now, BytesView message, const Endpoint& destination,
                                          const Endpoint& source, const IpAddress& measured) {
  if (is_full()) return fail(Errc::limit_reached, "requests to one server at a time");
  DIG_TRY(const Message parsed, Message::parse(message));
  const Duration rto = rto_towards(now, measured);
  entries_.push_back({.id = RequestId{next_id_++},
                      .header = parsed.header(),
                      .destination = destination,
                      .source = source,
                      .message = to_bytes(message),
                      .rto = rto,
                      .first_sent = now,
                      .deadline = now + (is_reliable_                ? timers_.reliable_timeout
                                         : timers_.max_requests <= 1 ? rto * timers_.last_wait
                                                                     : rto)});
  return entries_.back().id;
}

std::optional<RequestId> TransactionTable::find(const Header& response, const Endpoint& source) {
  for (const Entry& entry : entries_) {
    if (entry.header.transaction != response.transaction || entry.header.method != response.method) continue;
    if (entry.source != source || entry.has_expired) break;
    return entry.id;
  }
  ++stray_responses_;
  return std::nullopt;
}

TransactionTable::Completion TransactionTable::finish(Instant now, RequestId id) {
  const auto entry = position(id);
  if (entry == entries_.end()) return {.first_sent = now, .rtt = std::nullopt};
  Completion completion{.first_sent = entry->first_sent, .rtt = std::nullopt};
  if (entry->sent == 1 && now >= entry->first_sent) {
    completion.rtt = now - entry->first_sent;
    add_sample(now, entry->destination.address, *completion.rtt);
  }
  entries_.erase(entry);
  return completion;
}

void TransactionTable::cancel(RequestId id) {
  if (const auto entry = position(id); entry != entries_.end()) entries_.erase(entry);
}

void TransactionTable::handle_timeout(Instant now) {
  for (Entry& entry : entries_) {
    if (entry.has_expired || now < entry.deadline) continue;
    if (is_reliable_ || entry.sent >= timers_.max_requests) {
      entry.has_expired = true;
      entry.is_due = false;
      continue;
    }
    // From now on, not from the deadline: after a suspended system wakes up, no burst makes up for the time it slept.
    ++entry.sent;
    entry.is_due = true;
    entry.deadline =
        now + (entry.sent >= timers_.max_requests ? entry.rto * timers_.last_wait
                                                  : entry.rto * (1U << std::min(entry.sent - 1, k_max_doublings)));
  }
}

std::optional<RequestId> TransactionTable::poll_expired() {
  const auto entry = std::ranges::find_if(entries_, &Entry::has_expired);
  if (entry == entries_.end()) return std::nullopt;
  const RequestId id = entry->id;
  entries_.erase(entry);
  return id;
}

std::optional<Transmit> TransactionTable::poll_transmit(MutableBytes out) {
  for (Entry& entry : entries_) {
    if (!entry.is_due || entry.message.size() > out.size()) continue;
    entry.is_due = false;
    std::ranges::copy(entry.message, out.begin());
    return Transmit{.local = {}, .remote = entry.destination, .size = entry.message.size()};
  }
  return std::nullopt;
}

std::optional<Instant> TransactionTable::next_timeout() const {
  std::optional<Instant> next;
  for (const Entry& entry : entries_) {
    if (!entry.has_expired) next = earliest(next, entry.deadline);
  }
  return next;
}

std::optional<Duration> TransactionTable::smoothed_rtt(const IpAddress& server) const {
  const auto known = std::ranges::find(servers_, server, &Server::address);
  return known == servers_.end() ? std::nullopt : known->estimator.smoothed();
}

std::vector<TransactionTable::Entry>::iterator TransactionTable::position(RequestId id) {
  return std::ranges::find(entries_, id, &Entry::id);
}

Duration TransactionTable::rto_towards(Instant now, const IpAddress& server) const {
  const auto known = std::ranges::find(servers_, server, &Server::address);
  return known == servers_.end() ? timers_.initial_rto : known->estimator.rto(now, timers_);
}

void TransactionTable::add_sample(Instant now, const IpAddress& server, Duration rtt) {
  auto known = std::ranges::find(servers_, server, &Server::address);
  if (known == servers_.end()) {
    if (servers_.size() == k_max_servers) {
      servers_.erase(std::ranges::min_element(servers_, {}, [](const Server& s) { return s.estimator.updated(); }));
    }
    servers_.push_back({.address = server, .estimator = {}});
    known = std::prev(servers_.end());
  }
  known->estimator.add(now, rtt);
}

}  // namespace dig::stun
