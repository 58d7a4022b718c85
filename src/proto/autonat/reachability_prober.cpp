// SPDX-License-Identifier: Apache-2.0
#include "proto/autonat/reachability_prober.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace dig::autonat {
namespace {

struct Usable {
  Candidate candidate;
  Endpoint endpoint;
};

// Those that can be probed, in the order in which they are: what more of the world may dial comes first.
std::vector<Usable> in_order(std::span<const Candidate> candidates) {
  std::vector<Usable> usable;
  for (const Candidate& candidate : candidates) {
    const Result<Endpoint> endpoint = candidate.address.tcp_endpoint();
    if (!endpoint || endpoint->port == 0 || scope_of(endpoint->address) == AddressScope::none) continue;
    usable.push_back({{candidate.address.without_peer_id(), candidate.source, candidate.votes}, *endpoint});
  }
  std::ranges::stable_sort(usable, [](const Usable& a, const Usable& b) {
    return std::tuple(scope_of(b.endpoint.address), a.candidate.source, b.candidate.votes) <
           std::tuple(scope_of(a.endpoint.address), b.candidate.source, a.candidate.votes);
  });
  return usable;
}

}  // namespace

// --- what there is ---------------------------------------------------------------------------------------------

void ReachabilityProber::set_candidates(Instant now, std::span<const Candidate> candidates) {
  std::vector<Address> before = std::exchange(addresses_, {});
  for (auto& [candidate, endpoint] : in_order(candidates)) {
    if (addresses_.size() == limits_.max_candidates) break;
    if (find_address(candidate.address)) continue;
    const auto known =
        std::ranges::find(before, candidate.address, [](const Address& address) { return address.candidate.address; });
    Address& address = addresses_.emplace_back();
    if (known != before.end()) {
      address = std::exchange(*known, {});
    } else {
      address.interval = limits_.first_interval;
      address.next_round = now;
    }
    address.candidate = std::move(candidate);
    address.endpoint = endpoint;
  }
  for (Address& address : before) {
    const bool is_gone = find_address(address.candidate.address) == nullptr;
    if (is_gone && address.verdict == Verdict::reachable) {
      events_.push_back(AddressForgotten{std::move(address.candidate.address)});
    }
  }
  go_on(now);
}

void ReachabilityProber::set_narrowest_scope(Instant now, AddressScope scope) {
  if (std::exchange(narrowest_, scope) != scope) go_on(now);
}

void ReachabilityProber::handle_network_changed(Instant now) {
  network_changed_ = now;
  const Instant restart = restarted_ ? std::max(now, *restarted_ + limits_.between_restarts) : now;
  if (restart == now) restarted_ = now;
  for (Address& address : addresses_) {
    address.interval = limits_.first_interval;
    address.next_round = std::min(address.next_round, restart);
  }
  go_on(now);
}

void ReachabilityProber::add_server(Instant now, const PeerId& server, const IpAddress& remote) {
  if (scope_of(remote) == AddressScope::none) return;
  const auto known = servers_.find(server);
  if (known != servers_.end()) {
    known->second.address = remote;
    known->second.is_connected = true;
  } else {
    if (servers_.size() >= limits_.max_servers && !forget_server()) return;
    servers_.emplace(server, Server{.address = remote});
  }
  for (Address& address : addresses_) address.is_unanswered = false;
  go_on(now);
}

void ReachabilityProber::remove_server(Instant now, const PeerId& server) {
  const auto found = servers_.find(server);
  if (found == servers_.end()) return;
  found->second.is_connected = false;
  // Whoever is left alone stays so when it comes back.
  if (found->second.rests_until <= now && !found->second.is_busy) servers_.erase(found);
  go_on(now);
}

// Of those that are gone, the one that would be left alone for the shortest time.
bool ReachabilityProber::forget_server() {
  auto shortest = servers_.end();
  for (auto entry = servers_.begin(); entry != servers_.end(); ++entry) {
    if (entry->second.is_connected || entry->second.is_busy) continue;
    if (shortest == servers_.end() || entry->second.rests_until < shortest->second.rests_until) shortest = entry;
  }
  if (shortest == servers_.end()) return false;
  servers_.erase(shortest);
  return true;
}

ReachabilityProber::Address* ReachabilityProber::find_address(const Multiaddr& address) {
  const auto found =
      std::ranges::find(addresses_, address, [](const Address& known) { return known.candidate.address; });
  return found == addresses_.end() ? nullptr : &*found;
}

// --- what comes in ---------------------------------------------------------------------------------------------

bool ReachabilityProber::handle_dial_back(Instant now, const DialBackArrival& arrival) {
  const auto probe = std::ranges::find(probes_, arrival.nonce, &Probe::nonce);
  if (probe == probes_.end() || probe->arrived || !comes_as_awaited(*probe, arrival)) {
    ++unwanted_dial_backs_;
    return false;
  }
  probe->arrived = Vote{.is_success = true, .is_stranger = arrival.is_stranger};
  if (probe->is_reported) end_probe(now, probe->id, probe->arrived, {});
  go_on(now);
  return true;
}

// "The client can verify the server did successfully dial an address of the same transport […] by checking the local
// address of the connection" (Overview). Behind a port mapping the local port is another one; and a connection that
// stood before the request was not made for it. Where others see us is proven only by what came from where they are: a
// connection from inside, which need not have passed that address, would prove it too otherwise. A mapping is the word
// of the owner or of the router, and some (of containers) put their own address in place of the caller's.
bool ReachabilityProber::comes_as_awaited(const Probe& probe, const DialBackArrival& arrival) {
  const Address* const address = find_address(probe.address);
  if (address == nullptr || arrival.established < probe.started) return false;
  const IpAddress& own = address->endpoint.address;
  switch (address->candidate.source) {
    case CandidateSource::listening:
      return arrival.local == address->endpoint;
    case CandidateSource::observed:
      if (!is_same_scope(arrival.remote.address, own)) return false;
      break;
    case CandidateSource::mapped:
      break;
  }
  return arrival.local.address.family() == own.family();
}

void ReachabilityProber::handle_result(Instant now, ProbeId id, const Result<DialResponse>& result,
                                       std::uint64_t dial_data) {
  const auto probe = std::ranges::find(probes_, id, &Probe::id);
  if (probe == probes_.end() || probe->is_reported) return;
  probe->is_reported = true;
  budget_.settle(now, std::exchange(probe->reserved, 0), dial_data);
  judge_response(now, *probe, result);
  go_on(now);
}

void ReachabilityProber::judge_response(Instant now, Probe& probe, const Result<DialResponse>& result) {
  // The nonce is there: so was the server, whatever it says.
  if (probe.arrived) return end_probe(now, probe.id, probe.arrived, {});
  if (!result) return end_unanswered(now, probe.id);
  if (result->status == ResponseStatus::request_rejected || result->status == ResponseStatus::internal_error) {
    return end_probe(now, probe.id, std::nullopt, limits_.rest_after_failure);
  }
  if (result->status == ResponseStatus::ok && result->dial_status == DialStatus::ok) {
    probe.deadline = now + limits_.late_dial_back;
    return;
  }
  const bool is_failure = result->status == ResponseStatus::ok && result->dial_status == DialStatus::dial_error;
  end_probe(now, probe.id, is_failure ? std::optional(Vote{}) : std::nullopt, {});
}

void ReachabilityProber::handle_timeout(Instant now) {
  for (;;) {
    const auto probe = std::ranges::find_if(probes_, [&](const Probe& running) { return running.deadline <= now; });
    if (probe == probes_.end()) break;
    if (probe->is_reported) {
      ++lies_;
      end_probe(now, probe->id, std::nullopt, limits_.rest_after_lie);
    } else {
      // All that it was allowed may have been sent.
      budget_.settle(now, probe->reserved, probe->reserved);
      if (!probe->arrived) {
        end_unanswered(now, probe->id);
      } else {
        end_probe(now, probe->id, probe->arrived, {});
      }
    }
  }
  go_on(now);
}

// Connections end, or hang, with the network in which they were made. For a while after a change a server that does not
// answer is not to blame: it is asked again, in the same round, as soon as it can be.
void ReachabilityProber::end_unanswered(Instant now, ProbeId id) {
  if (!network_changed_ || now - *network_changed_ >= limits_.settling) {
    return end_probe(now, id, std::nullopt, limits_.rest_after_failure);
  }
  const auto probe = std::ranges::find(probes_, id, &Probe::id);
  Address* const address = find_address(probe->address);
  if (address != nullptr && address->round == probe->round) {
    std::erase(address->asked, AcceptLimiter::prefix_of(servers_.at(probe->server).address));
  }
  end_probe(now, id, std::nullopt, {});
}

void ReachabilityProber::end_probe(Instant now, ProbeId id, std::optional<Vote> vote, Duration rest) {
  const auto probe = std::ranges::find(probes_, id, &Probe::id);
  const auto server = servers_.find(probe->server);
  server->second.is_busy = false;
  server->second.rests_until = now + rest;
  if (!server->second.is_connected && rest == Duration()) servers_.erase(server);
  Address* const address = find_address(probe->address);
  if (vote && address != nullptr && address->round == probe->round) address->votes.push_back(*vote);
  probes_.erase(probe);
}

// --- what to do next -------------------------------------------------------------------------------------------

void ReachabilityProber::go_on(Instant now) {
  start_rounds(now);
  ask(now);
  conclude(now);
  tell_reachability();
  next_question_ = next_question(now);
}

void ReachabilityProber::start_rounds(Instant now) {
  for (Address& address : addresses_) {
    if (now < address.next_round) continue;
    address.round = ++next_round_;
    address.asked.clear();
    address.votes.clear();
    address.is_concluded = false;
    // Nodes that were started together do not ask together for ever.
    const auto jitter = static_cast<std::uint64_t>(address.interval.count() / 8);
    address.next_round = now + address.interval + Duration(static_cast<Duration::rep>(rng_.below(jitter + 1)));
    address.interval = std::min(address.interval * 2, limits_.max_interval);
  }
}

std::size_t ReachabilityProber::count(const Address& address, bool is_success) {
  return static_cast<std::size_t>(std::ranges::count(address.votes, is_success, &Vote::is_success));
}

std::size_t ReachabilityProber::running(const Address& address) const {
  return static_cast<std::size_t>(std::ranges::count(probes_, address.round, &Probe::round));
}

// Once a nonce has come, no number of those who deny it ends the round but that of all votes.
bool ReachabilityProber::is_decided(const Address& address, std::size_t more) const {
  const std::size_t successes = count(address, true);
  const std::size_t agreed = successes > 0 ? successes : count(address, false);
  return agreed + more >= limits_.wanted_servers || address.votes.size() + more >= limits_.max_votes;
}

bool ReachabilityProber::wants_more(const Address& address) const {
  return !address.is_concluded && !is_decided(address, running(address));
}

// Whether the server has something to say about the address in this round, now or later.
bool ReachabilityProber::may_ask(const Server& server, const Address& address) const {
  if (!server.is_connected || !can_probe(server.address, address.endpoint.address)) return false;
  return std::ranges::find(address.asked, AcceptLimiter::prefix_of(server.address)) == address.asked.end();
}

// With nobody left to ask, what is known must do; if somebody comes, the round goes on.
bool ReachabilityProber::can_learn_more(Instant now, const Address& address) const {
  return running(address) > 0 || std::ranges::any_of(servers_, [&](const auto& entry) {
           return may_ask(entry.second, address) && entry.second.rests_until <= now;
         });
}

void ReachabilityProber::ask(Instant now) {
  for (Address& address : addresses_) {
    while (probes_.size() < limits_.max_probes && wants_more(address)) {
      const auto server = choose_server(now, address);
      if (!server) break;
      start_probe(now, address, *server);
    }
  }
}

// At random, each source prefix with the same chance: who has many names has no more of a say.
std::optional<PeerId> ReachabilityProber::choose_server(Instant now, const Address& address) {
  std::map<Prefix, PeerId> ready;
  for (const auto& [peer, server] : servers_) {
    if (!may_ask(server, address) || server.is_busy || now < server.not_before || now < server.rests_until) continue;
    ready.emplace(AcceptLimiter::prefix_of(server.address), peer);
  }
  if (ready.empty()) return std::nullopt;
  return std::next(ready.begin(), static_cast<std::ptrdiff_t>(rng_.below(ready.size())))->second;
}

void ReachabilityProber::start_probe(Instant now, Address& address, const PeerId& peer) {
  Server& server = servers_.at(peer);
  server.is_busy = true;
  server.not_before = now + limits_.between_requests;
  address.asked.push_back(AcceptLimiter::prefix_of(server.address));
  const Probe& probe =
      probes_.emplace_back(Probe{.id = {next_probe_++},
                                 .server = peer,
                                 .address = address.candidate.address,
                                 .round = address.round,
                                 .nonce = rng_.u64(),
                                 .reserved = budget_.reserve(now, limits_.max_dial_data) ? limits_.max_dial_data : 0,
                                 .started = now,
                                 .deadline = now + limits_.probe,
                                 .arrived = {}});
  events_.push_back(AskServer{probe.id, peer, {{probe.address}, probe.nonce}, probe.reserved});
}

void ReachabilityProber::conclude(Instant now) {
  for (Address& address : addresses_) {
    if (address.is_concluded) continue;
    const std::size_t successes = count(address, true);
    const std::size_t failures = count(address, false);
    const bool has_stranger = std::ranges::find(address.votes, true, &Vote::is_stranger) != address.votes.end();
    if (is_decided(address, 0)) {
      address.is_concluded = true;
    } else if (can_learn_more(now, address)) {
      continue;
    }
    address.is_unanswered = address.votes.empty();
    const bool is_reached = successes > failures || successes >= limits_.wanted_servers;
    if (is_reached) tell(now, address, Verdict::reachable, {successes, has_stranger});
    if (failures > 0 && successes == 0) tell(now, address, Verdict::unreachable, {failures, false});
  }
}

void ReachabilityProber::tell(Instant now, Address& address, Verdict verdict, const Confidence& confidence) {
  if (address.verdict == verdict && address.confidence == confidence) return;
  if (address.verdict != verdict) {
    address.interval = limits_.first_interval;
    address.next_round = now + limits_.first_interval;
  }
  address.verdict = verdict;
  address.confidence = confidence;
  if (verdict == Verdict::reachable) {
    events_.push_back(AddressConfirmed{address.candidate.address, confidence});
  } else {
    events_.push_back(AddressRefuted{address.candidate.address, confidence});
  }
}

void ReachabilityProber::tell_reachability() {
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    const Verdict now_is = reachability(family);
    if (std::exchange(told_[family], now_is) != now_is) events_.push_back(ReachabilityChanged{family, now_is});
  }
}

Verdict ReachabilityProber::reachability(IpFamily family) const {
  for (const AddressScope scope : {AddressScope::internet, AddressScope::local, AddressScope::loopback}) {
    if (scope < narrowest_) break;
    const bool is_of_it = std::ranges::any_of(addresses_, [&](const Address& address) {
      return address.endpoint.address.family() == family && scope_of(address.endpoint.address) == scope &&
             (address.verdict != Verdict::unknown || !address.is_unanswered);
    });
    if (is_of_it) return reachability(family, scope);
  }
  return Verdict::unknown;
}

Verdict ReachabilityProber::reachability(IpFamily family, AddressScope scope) const {
  bool has_refuted = false;
  bool has_unknown = false;
  for (const Address& address : addresses_) {
    if (address.endpoint.address.family() != family || scope_of(address.endpoint.address) != scope) continue;
    if (address.verdict == Verdict::reachable) return Verdict::reachable;
    has_refuted = has_refuted || address.verdict == Verdict::unreachable;
    has_unknown = has_unknown || (address.verdict == Verdict::unknown && !address.is_unanswered);
  }
  return has_refuted && !has_unknown ? Verdict::unreachable : Verdict::unknown;
}

// When a server that must be waited for can be asked. What waits for the end of a probe needs no time.
std::optional<Instant> ReachabilityProber::next_question(Instant now) const {
  std::optional<Instant> next;
  for (const Address& address : addresses_) {
    if (!wants_more(address)) continue;
    for (const auto& [peer, server] : servers_) {
      const Instant ready = std::max(server.not_before, server.rests_until);
      if (may_ask(server, address) && !server.is_busy && ready > now) next = earliest(next, ready);
    }
  }
  return next;
}

std::optional<ReachabilityProber::Event> ReachabilityProber::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Instant> ReachabilityProber::next_timeout() const {
  std::optional<Instant> next = next_question_;
  for (const Probe& probe : probes_) next = earliest(next, probe.deadline);
  if (servers_.empty()) return next;  // with nobody to ask a round can wait
  for (const Address& address : addresses_) next = earliest(next, address.next_round);
  return next;
}

ProberStatus ReachabilityProber::snapshot() const {
  ProberStatus status{.candidates = {},
                      .v4 = reachability(IpFamily::v4),
                      .v6 = reachability(IpFamily::v6),
                      .servers = servers_.size(),
                      .probes = probes_.size(),
                      .dial_data = budget_.used(),
                      .lies = lies_,
                      .unwanted_dial_backs = unwanted_dial_backs_};
  for (const Address& address : addresses_) {
    status.candidates.push_back({.address = address.candidate.address,
                                 .source = address.candidate.source,
                                 .verdict = address.verdict,
                                 .confidence = address.confidence,
                                 .successes = count(address, true),
                                 .failures = count(address, false)});
  }
  return status;
}

}  // namespace dig::autonat
