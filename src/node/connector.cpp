// SPDX-License-Identifier: Apache-2.0
#include "node/connector.hpp"

#include <algorithm>
#include <utility>

namespace dig::node {
namespace {

std::optional<IpFamily> family_of(Protocol name) {
  if (name == Protocol::dns4) return IpFamily::v4;
  if (name == Protocol::dns6) return IpFamily::v6;
  return std::nullopt;
}

}  // namespace

Connector::Connector(Instant now, const std::vector<Multiaddr>& addresses, ladder::AttemptLog& log,
                     const Limits& limits)
    : log_(log), limits_(limits), row_(ladder::method_row(ladder::Tier::direct, ladder::Method::tcp)) {
  // A peer tells several ways to one port. The plain one costs least; the others are for paths that let only the Web
  // pass, and for peers that have no other.
  std::vector<Multiaddr> ordered = addresses;
  std::ranges::stable_sort(ordered, {}, [](const Multiaddr& address) {
    const auto target = address.stream_target();
    return target ? static_cast<int>(target->carrier) : 0;
  });
  std::vector<dial::Candidate> known;
  for (const Multiaddr& address : ordered) {
    if (known.size() + names_.size() < limits_.max_addresses) add_address(now, address, known);
  }
  if (known.empty() && names_.empty() && !worst_)
    note_failure(Error(Errc::address_not_dialable, "no address is known"));
  race_.emplace(now, known, limits_.race, completeness());
  drain_race(now);
}

void Connector::add_address(Instant now, const Multiaddr& address, std::vector<dial::Candidate>& known) {
  const auto target = address.stream_target();
  if (!target) {
    const Error why(Errc::address_not_dialable, address.to_string());
    log_.skip(now, row_, address.to_string(), why);
    return note_failure(why);
  }
  const std::uint32_t way = number_of({target->carrier, target->tls_name, target->http_host});
  if (const auto* const endpoint = std::get_if<Endpoint>(&target->remote)) return known.push_back({*endpoint, way});
  const auto& name = std::get<Multiaddr::DnsTcp>(target->remote);
  events_.push_back(Resolve{names_.size(), name.host, family_of(name.protocol)});
  names_.push_back({address.to_string(), name.port, way, now, true});
}

std::uint32_t Connector::number_of(Way way) {
  const auto found = std::ranges::find(ways_, way);
  if (found != ways_.end()) return static_cast<std::uint32_t>(found - ways_.begin());
  ways_.push_back(std::move(way));
  return static_cast<std::uint32_t>(ways_.size() - 1);
}

dial::HappyEyeballs::Candidates Connector::completeness() const {
  return std::ranges::any_of(names_, &Name::is_open) ? dial::HappyEyeballs::Candidates::more_to_come
                                                     : dial::HappyEyeballs::Candidates::complete;
}

void Connector::handle_resolved(Instant now, std::size_t index, Result<std::vector<IpAddress>> addresses) {
  Name& name = names_[index];
  if (is_done_ || !name.is_open) return;
  name.is_open = false;
  if (addresses && addresses->empty()) addresses = fail(Errc::resolve_failed, name.target);
  std::vector<dial::Candidate> found;
  if (addresses) {
    for (const IpAddress& address : *addresses) found.push_back({{address, name.port}, name.way});
  } else {
    log_.end(log_.begin(name.started, row_, name.target), now, dignet::Outcome::failed, addresses.error());
    note_failure(addresses.error());
  }
  race_->add(now, found, completeness());
  drain_race(now);
}

void Connector::handle_established(Instant now, std::size_t index) {
  if (is_done_) return;
  race_->handle_connected(now, index);
  drain_race(now);
}

void Connector::handle_failed(Instant now, std::size_t index, const Error& error) {
  if (is_done_) return;
  if (const auto attempt = attempts_.find(index); attempt != attempts_.end()) {
    log_.end(attempt->second, now, dignet::Outcome::failed, error);
  }
  note_failure(error);
  race_->handle_failed(now, index, error);
  drain_race(now);
}

void Connector::handle_timeout(Instant now) {
  if (is_done_) return;
  race_->handle_timeout(now);
  drain_race(now);
}

void Connector::cancel(Instant now) {
  if (is_done_) return;
  race_->cancel(now);
  drain_race(now);
}

std::optional<Connector::Event> Connector::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Instant> Connector::next_timeout() const { return is_done_ ? std::nullopt : race_->next_timeout(); }

void Connector::note_failure(Error error) {
  const bool is_worse = error.info().kind == ErrorKind::integrity || error.code() == Errc::dialled_self;
  if (!worst_ || is_worse) worst_ = std::move(error);
}

void Connector::drain_race(Instant now) {
  while (auto event = race_->poll_event()) {
    if (const auto* start = std::get_if<dial::Start>(&*event)) {
      const Way& way = ways_[start->way];
      attempts_[start->index] = log_.begin(now, row_, Multiaddr::tcp(start->remote, way.carrier).to_string());
      events_.push_back(Dial{start->index, start->remote, way});
    } else if (const auto* cancelled = std::get_if<dial::Cancel>(&*event)) {
      const dial::Attempt& attempt = race_->snapshot()[cancelled->index];
      const bool is_failure = attempt.outcome == dial::Outcome::failed;
      const Error why = attempt.error.value_or(Error(Errc::cancelled));
      log_.end(attempts_.at(cancelled->index), now, is_failure ? dignet::Outcome::failed : dignet::Outcome::cancelled,
               why);
      if (is_failure) note_failure(why);
      events_.push_back(Cancel{cancelled->index});
    } else if (const auto* won = std::get_if<dial::Won>(&*event)) {
      log_.end(attempts_.at(won->index), now, dignet::Outcome::won);
      end_open_names(now, dignet::Outcome::cancelled, Error(Errc::cancelled));
      finish(won->index);
      return;
    } else if (const auto* failed = std::get_if<dial::Failed>(&*event)) {
      const bool is_cancelled = failed->error.code() == Errc::cancelled;
      end_open_names(now, is_cancelled ? dignet::Outcome::cancelled : dignet::Outcome::failed,
                     is_cancelled ? failed->error : Error(Errc::resolve_failed, "no answer in time"));
      finish(std::unexpected(is_cancelled ? failed->error : worst_.value_or(failed->error)));
      return;
    }
  }
}

// Names that the end of the race found unanswered.
void Connector::end_open_names(Instant now, dignet::Outcome outcome, const Error& why) {
  for (Name& name : names_) {
    if (!std::exchange(name.is_open, false)) continue;
    log_.end(log_.begin(name.started, row_, name.target), now, outcome, why);
    if (outcome == dignet::Outcome::failed) note_failure(why);
  }
}

void Connector::finish(Result<std::size_t> result) {
  is_done_ = true;
  events_.push_back(Done{std::move(result)});
}

}  // namespace dig::node
