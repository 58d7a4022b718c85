// SPDX-License-Identifier: Apache-2.0
#include "node/reacher.hpp"

#include <algorithm>
#include <utility>

namespace dig::node {
namespace {

std::vector<Multiaddr> of_kind(const std::vector<Multiaddr>& addresses, bool is_relayed) {
  std::vector<Multiaddr> found;
  std::ranges::copy_if(addresses, std::back_inserter(found),
                       [&](const Multiaddr& address) { return address.has(Protocol::p2p_circuit) == is_relayed; });
  return found;
}

// The one of two reasons that says more.
const Error& worse(const Error& first, const Error& second) {
  return second.info().kind == ErrorKind::integrity ? second : first;
}

}  // namespace

Reacher::Reacher(Instant now, const std::vector<Multiaddr>& addresses, const ladder::TierSet& tiers,
                 ladder::AttemptLog& log, const Limits& limits)
    : circuits_(tiers.contains(ladder::Tier::traversal) ? of_kind(addresses, true) : std::vector<Multiaddr>(), log,
                limits.circuits) {
  const auto own = of_kind(addresses, false);
  const ladder::MethodRow& row = ladder::method_row(ladder::Tier::direct, ladder::Method::tcp);
  if (tiers.contains(row.tier) && (!own.empty() || circuits_.empty())) {
    direct_.emplace(now, own, log, limits.direct);
    if (!circuits_.empty()) circuits_start_ = now + row.head_start;
  } else {
    start_circuits(now);
  }
  if (circuits_.empty() && tiers.contains(circuits_.method().tier)) log_no_circuit(now, log);
  drain(now);
}

// Once in a list, however many dials it is about.
void Reacher::log_no_circuit(Instant now, ladder::AttemptLog& log) const {
  const ladder::MethodRow& row = circuits_.method();
  const bool is_told =
      std::ranges::any_of(log.attempts(), [&](const dignet::Attempt& attempt) { return attempt.method == row.name; });
  if (!is_told) log.skip(now, row, {}, Error(Errc::tier_unavailable, "no relayed address of the peer is known"));
}

void Reacher::handle_resolved(Instant now, std::size_t index, Result<std::vector<IpAddress>> addresses) {
  if (direct_) direct_->handle_resolved(now, index, std::move(addresses));
  drain(now);
}

void Reacher::handle_established(Instant now, DialIndex dial) {
  if (dial.is_circuit) {
    circuits_.handle_established(now, dial.index);
  } else {
    direct_->handle_established(now, dial.index);
  }
  drain(now);
}

void Reacher::handle_failed(Instant now, DialIndex dial, const Error& error) {
  if (dial.is_circuit) {
    circuits_.handle_failed(now, dial.index, error);
  } else {
    direct_->handle_failed(now, dial.index, error);
  }
  drain(now);
}

void Reacher::handle_timeout(Instant now) {
  if (direct_) direct_->handle_timeout(now);
  circuits_.handle_timeout(now);
  if (circuits_start_ && *circuits_start_ <= now) start_circuits(now);
  drain(now);
}

void Reacher::cancel(Instant now) {
  if (is_done_) return;
  circuits_start_.reset();
  if (direct_) direct_->cancel(now);
  circuits_.cancel(now);
  drain(now);
  if (!is_done_) end(fail(Errc::cancelled));
}

void Reacher::start_circuits(Instant now) {
  circuits_start_.reset();
  if (circuits_.empty()) {
    circuit_failure_ = Error(Errc::address_not_dialable, "no relayed address is known or allowed");
  } else {
    circuits_.start(now);
  }
}

void Reacher::drain(Instant now) {
  while (auto event = direct_ ? direct_->poll_event() : std::nullopt) {
    if (auto* resolve = std::get_if<Connector::Resolve>(&*event)) {
      events_.push_back(std::move(*resolve));
    } else if (const auto* dial = std::get_if<Connector::Dial>(&*event)) {
      events_.push_back(DialDirect{{false, dial->index}, dial->remote, dial->way});
    } else if (const auto* cancelled = std::get_if<Connector::Cancel>(&*event)) {
      events_.push_back(Cancel{{false, cancelled->index}});
    } else if (const auto* done = std::get_if<Connector::Done>(&*event); done->result) {
      circuits_.cancel(now);
      end(DialIndex{false, *done->result});
    } else {
      direct_failure_ = done->result.error();
      if (done->result.error().code() != Errc::cancelled) start_circuits(now);
    }
  }
  while (auto event = circuits_.poll_event()) {
    if (auto* dial = std::get_if<CircuitRace::Dial>(&*event)) {
      events_.push_back(DialCircuit{{true, dial->index}, std::move(dial->relay), std::move(dial->addresses)});
    } else if (const auto* cancelled = std::get_if<CircuitRace::Cancel>(&*event)) {
      events_.push_back(Cancel{{true, cancelled->index}});
    } else if (const auto* done = std::get_if<CircuitRace::Done>(&*event); done->result) {
      end(DialIndex{true, *done->result});
      if (direct_) direct_->cancel(now);
      return drain(now);
    } else {
      circuit_failure_ = done->result.error();
    }
  }
  if (is_done_ || !circuit_failure_) return;
  if (!direct_) {
    end(std::unexpected(*circuit_failure_));
  } else if (direct_failure_) {
    end(std::unexpected(worse(*direct_failure_, *circuit_failure_)));
  }
}

// What is still cancelled comes before it.
void Reacher::end(Result<DialIndex> result) {
  if (std::exchange(is_done_, true)) return;
  circuits_start_.reset();
  result_ = std::move(result);
}

std::optional<Reacher::Event> Reacher::poll_event() {
  if (events_.empty()) {
    auto result = std::exchange(result_, std::nullopt);
    return result ? std::optional<Event>(Done{*std::move(result)}) : std::nullopt;
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Instant> Reacher::next_timeout() const {
  std::optional<Instant> next = earliest(circuits_start_, circuits_.next_timeout());
  return direct_ ? earliest(next, direct_->next_timeout()) : next;
}

const ladder::MethodRow& Reacher::method_of(DialIndex dial) const noexcept {
  return dial.is_circuit ? circuits_.method() : direct_->method();
}

}  // namespace dig::node
