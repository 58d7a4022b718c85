// SPDX-License-Identifier: Apache-2.0
#include "node/reachability_service.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "node/question_stream.hpp"
#include "proto/autonat/dial_back.hpp"
#include "proto/autonat/dial_request_client.hpp"
#include "proto/autonat/dial_request_server.hpp"

namespace dig::node {

using autonat::AddressScope;
using autonat::Candidate;
using autonat::CandidateSource;
using autonat::Verdict;

namespace {

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::reachable:
      return "reachable";
    case Verdict::unreachable:
      return "unreachable";
    case Verdict::unknown:
      break;
  }
  return "unknown";
}

}  // namespace

// A dial-request stream to a server.
class ReachabilityService::Question final : public QuestionStream<autonat::DialRequestClient> {
 public:
  Question(Instant now, ReachabilityService& service, const autonat::AskServer& question)
      : QuestionStream(autonat::DialRequestClient(now, question.request, question.max_dial_data)),
        service_(service),
        probe_(question.probe) {}

 protected:
  void handle_outcome(Instant now, const Result<autonat::DialResponse>& response) override {
    service_.handle_answer(now, probe_, response, machine().snapshot().dial_data_sent);
  }

 private:
  ReachabilityService& service_;
  autonat::ProbeId probe_;
};

// A dial-back stream of whoever has dialled this node.
class ReachabilityService::Receiver final : public AnswerStream<autonat::DialBackReceiver> {
 public:
  Receiver(Instant now, ReachabilityService& service, ConnectionId connection)
      : AnswerStream(now, autonat::k_dial_back_timeout), service_(service), connection_(connection) {}

 protected:
  void handle_task(Instant now, const autonat::DialBack& request) override {
    if (service_.handle_nonce(now, connection_, request.nonce)) {
      machine().answer({});
    } else {
      fail_with(Error(Errc::protocol_violation, "a nonce that nobody waits for"));
    }
  }

 private:
  ReachabilityService& service_;
  ConnectionId connection_;
};

// --- what connections tell ----------------------------------------------------------------------------------------

void ReachabilityService::handle_link_made(Instant now, const PeerLink& link) {
  connections_.insert_or_assign(link.id(), Connection{.made = now});
  contacts_.handle_opened(now, link.path().remote.address);
}

void ReachabilityService::handle_link_closed(Instant now, const PeerLink& link) {
  if (connections_.erase(link.id()) == 0) return;
  contacts_.handle_closed(now, link.path().remote.address);
  if (link.is_established() && host_.find_direct_link(link.peer(), link.id()) == nullptr) {
    prober_.remove_server(now, link.peer());
    drain();
  }
}

void ReachabilityService::handle_identified(Instant now, const PeerLink& link, const Identify& message,
                                            bool is_bootstrap) {
  if (is_stopped_ || !connections_.contains(link.id())) return;
  widen_audience(now, link, is_bootstrap);
  if (message.observed_address) observe(now, link, *message.observed_address);
  // A push may tell the addresses alone.
  if (!message.protocols.empty()) {
    if (std::ranges::find(message.protocols, autonat::k_dial_request_protocol) != message.protocols.end()) {
      prober_.add_server(now, link.peer(), link.path().remote.address);
    } else if (host_.find_direct_link(link.peer(), link.id()) == nullptr) {
      prober_.remove_server(now, link.peer());
    }
  }
  update_candidates(now);
}

// The port says something when the connection ends at a port that is listened on: it is inbound, or it was dialled from
// there, as the shell does where it can.
void ReachabilityService::observe(Instant now, const PeerLink& link, const Multiaddr& observed) {
  const Result<Endpoint> endpoint = observed.tcp_endpoint();
  if (!endpoint) return;
  const bool is_from_listener =
      std::ranges::any_of(endpoints_, [&](const Endpoint& own) { return own.port == link.path().local.port; });
  const autonat::Observation observation{
      .observer = link.path().remote.address,
      .observed = *endpoint,
      .is_listening_port = link.direction() == Direction::inbound || is_from_listener};
  observed_.observe(now, observation);
  connections_.at(link.id()).observation = observation;
  if (!next_observation_) next_observation_ = now + observation_interval;
}

// Through a connection that stands its other end sees what it saw.
void ReachabilityService::observe_again(Instant now) {
  next_observation_.reset();
  for (const auto& [id, connection] : connections_) {
    if (!connection.observation) continue;
    observed_.observe(now, *connection.observation);
    next_observation_ = now + observation_interval;
  }
}

// Those for whom the addresses and roles are: the bootstrap servers, where this node is published; without any, the
// peers with which it is connected. It does not shrink when a connection ends.
void ReachabilityService::widen_audience(Instant now, const PeerLink& link, bool is_bootstrap) {
  const AddressScope before = audience();
  AddressScope& widest = is_bootstrap ? bootstrap_scope_ : peer_scope_;
  widest = std::max(widest, autonat::scope_of(link.path().remote.address));
  if (audience() == before) return;
  has_changed_ = true;  // what is confirmed may be of use no more, or again
  prober_.set_narrowest_scope(now, audience());
  drain();
}

AddressScope ReachabilityService::audience() const {
  return bootstrap_scope_ == AddressScope::none ? peer_scope_ : bootstrap_scope_;
}

bool ReachabilityService::handle_nonce(Instant now, ConnectionId connection, std::uint64_t nonce) {
  PeerLink* const link = host_.find_link(connection);
  const auto known = connections_.find(connection);
  if (link == nullptr || known == connections_.end()) return false;
  const bool is_awaited =
      prober_.handle_dial_back(now, {.nonce = nonce,
                                     .local = link->path().local,
                                     .remote = link->path().remote,
                                     .established = known->second.made,
                                     .is_stranger = contacts_.is_stranger(now, link->path().remote.address)});
  drain();
  return is_awaited;
}

// dial_back.hpp: a connection that this node has made, or that a relay carries, proves nothing.
std::unique_ptr<StreamHandler> ReachabilityService::make_dial_back_handler(Instant now, const PeerLink& link) {
  if (link.direction() != Direction::inbound || link.path().is_relayed) return nullptr;
  return std::make_unique<Receiver>(now, *this, link.id());
}

// --- candidates -----------------------------------------------------------------------------------------------------

void ReachabilityService::set_addresses(Instant now, std::vector<Multiaddr> listening,
                                        std::vector<Multiaddr> announced) {
  listening_ = std::move(listening);
  announced_ = std::move(announced);
  endpoints_.clear();
  for (const Multiaddr& address : listening_) {
    if (const auto endpoint = address.tcp_endpoint()) endpoints_.insert(*endpoint);
  }
  update_candidates(now);
}

// What others saw before stays, and fades: the outer address often does when an inner one changes.
void ReachabilityService::handle_network_changed(Instant now, std::vector<Multiaddr> listening,
                                                 std::vector<Multiaddr> announced) {
  set_addresses(now, std::move(listening), std::move(announced));
  prober_.handle_network_changed(now);
  drain();
}

void ReachabilityService::update_candidates(Instant now) {
  if (is_stopped_) return;
  prober_.set_candidates(now, candidates(now));
  drain();
}

// What the owner announces is all there is then. Otherwise also where others see this node: with the port that they see
// where it is ours, and with the ports that are listened on, for a NAT with a port forwarded by hand. Votes are swung
// easily and fade: an address that a nonce has proven stays, before all others, until it is refuted.
std::vector<Candidate> ReachabilityService::candidates(Instant now) const {
  std::vector<Candidate> all;
  for (const Multiaddr& address : announced_) all.push_back({address, CandidateSource::mapped});
  if (!all.empty()) return all;
  std::map<IpFamily, std::set<std::uint16_t>> ports;
  for (const Multiaddr& address : listening_) all.push_back({address, CandidateSource::listening});
  for (const Endpoint& own : endpoints_) {
    auto& of_family = ports[own.address.family()];
    if (of_family.size() < max_guessed_ports) of_family.insert(own.port);
  }
  std::map<IpFamily, std::size_t> kept;
  for (const autonat::CandidateStatus& known : prober_.snapshot().candidates) {
    if (known.source != CandidateSource::observed || known.verdict != Verdict::reachable) continue;
    if (++kept[known.address.has(Protocol::ip6) ? IpFamily::v6 : IpFamily::v4] > max_guessed_ports) continue;
    all.push_back({known.address, CandidateSource::observed, std::numeric_limits<std::size_t>::max()});
  }
  for (const auto& [endpoint, votes] : observed_.addresses(now)) {
    all.push_back({Multiaddr::tcp(endpoint), CandidateSource::observed, votes});
  }
  for (const auto& [address, votes] : observed_.hosts(now)) {
    for (const std::uint16_t port : ports[address.family()]) {
      all.push_back({Multiaddr::tcp({address, port}), CandidateSource::observed, votes});
    }
  }
  return all;
}

// --- probing --------------------------------------------------------------------------------------------------------

void ReachabilityService::drain() {
  while (auto event = prober_.poll_event()) {
    if (auto* question = std::get_if<autonat::AskServer>(&*event)) {
      questions_.push_back(std::move(*question));
    } else {
      has_changed_ = true;
    }
  }
  if (has_changed_ || !questions_.empty()) host_.mark_reachability_active();
}

bool ReachabilityService::settle(Instant now) {
  while (!questions_.empty()) {
    const autonat::AskServer question = std::move(questions_.front());
    questions_.pop_front();
    ask(now, question);
  }
  if (!std::exchange(has_changed_, false) || is_stopped_) return false;
  tell();
  return true;
}

void ReachabilityService::ask(Instant now, const autonat::AskServer& question) {
  PeerLink* const link = host_.find_direct_link(question.server, std::nullopt);
  const auto opened = link == nullptr ? fail(Errc::connection_closed)
                                      : link->open(now, std::string(autonat::k_dial_request_protocol),
                                                   std::make_unique<Question>(now, *this, question));
  if (!opened) handle_answer(now, question.probe, std::unexpected(opened.error()), 0);
}

void ReachabilityService::handle_answer(Instant now, autonat::ProbeId probe,
                                        const Result<autonat::DialResponse>& result, std::uint64_t dial_data) {
  prober_.handle_result(now, probe, result, dial_data);
  drain();
}

void ReachabilityService::handle_timeout(Instant now) {
  if (next_observation_ && *next_observation_ <= now) {
    observe_again(now);
    update_candidates(now);
  }
  prober_.handle_timeout(now);
  drain();
}

std::optional<Instant> ReachabilityService::next_timeout() const {
  return is_stopped_ ? prober_.next_timeout() : earliest(prober_.next_timeout(), next_observation_);
}

void ReachabilityService::stop(Instant now) {
  is_stopped_ = true;
  prober_.set_candidates(now, {});
  drain();
}

// --- what is known --------------------------------------------------------------------------------------------------

bool ReachabilityService::is_confirmed(const autonat::CandidateStatus& candidate) const {
  const auto endpoint = candidate.address.tcp_endpoint();
  return candidate.verdict == Verdict::reachable && endpoint && autonat::scope_of(endpoint->address) >= audience();
}

std::vector<Multiaddr> ReachabilityService::confirmed() const {
  std::vector<Multiaddr> found;
  for (const autonat::CandidateStatus& candidate : prober_.snapshot().candidates) {
    if (is_confirmed(candidate)) found.push_back(candidate.address);
  }
  return found;
}

bool ReachabilityService::is_reachable() const {
  const autonat::ProberStatus status = prober_.snapshot();
  return status.v4 == Verdict::reachable || status.v6 == Verdict::reachable;
}

bool ReachabilityService::is_reached_by_strangers() const {
  return std::ranges::any_of(prober_.snapshot().candidates, [](const autonat::CandidateStatus& candidate) {
    const auto endpoint = candidate.address.tcp_endpoint();
    return candidate.verdict == Verdict::reachable && candidate.confidence.has_stranger && endpoint &&
           autonat::scope_of(endpoint->address) == autonat::AddressScope::internet;
  });
}

bool ReachabilityService::is_unreachable() const {
  const autonat::ProberStatus status = prober_.snapshot();
  const bool is_refuted = status.v4 == Verdict::unreachable || status.v6 == Verdict::unreachable;
  return is_refuted && status.v4 != Verdict::reachable && status.v6 != Verdict::reachable;
}

// What a NAT does to UDP is found out elsewhere. Here: an address of an interface that the Internet reaches has no NAT
// in front, and over IPv6 somebody on the Internet has seen us, or not.
Reachability ReachabilityService::facts(Instant now) const {
  Reachability facts;
  const autonat::ProberStatus status = prober_.snapshot();
  for (const autonat::CandidateStatus& candidate : status.candidates) {
    const auto endpoint = candidate.address.tcp_endpoint();
    const bool is_public = endpoint && autonat::scope_of(endpoint->address) == autonat::AddressScope::internet;
    if (!is_public || candidate.verdict != Verdict::reachable) continue;
    if (endpoint->address.is_v4() && candidate.source == CandidateSource::listening) facts.mapping = NatMapping::none;
    if (!endpoint->address.is_v4()) facts.ipv6 = true;
  }
  const bool is_seen_over_v6 = std::ranges::any_of(observed_.hosts(now), [](const autonat::ObservedHost& host) {
    return !host.address.is_v4() && autonat::scope_of(host.address) == autonat::AddressScope::internet;
  });
  if (is_seen_over_v6) facts.ipv6 = true;
  return facts;
}

void ReachabilityService::tell() {
  const autonat::ProberStatus status = prober_.snapshot();
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    const Verdict verdict = family == IpFamily::v4 ? status.v4 : status.v6;
    dignet::ReachabilityChanged changed{.family = family == IpFamily::v4 ? "ipv4" : "ipv6",
                                        .verdict = std::string(verdict_name(verdict)),
                                        .addresses = {},
                                        .servers = 0,
                                        .has_stranger = false};
    for (const autonat::CandidateStatus& candidate : status.candidates) {
      const auto endpoint = candidate.address.tcp_endpoint();
      if (!endpoint || endpoint->address.family() != family) continue;
      if (is_confirmed(candidate)) changed.addresses.push_back(candidate.address.to_string());
      if (candidate.verdict != verdict) continue;
      changed.servers = std::max(changed.servers, candidate.confidence.servers);
      changed.has_stranger = changed.has_stranger || candidate.confidence.has_stranger;
    }
    const auto before = told_.find(family);
    if (before == told_.end() ? verdict == Verdict::unknown : before->second == changed) continue;
    told_.insert_or_assign(family, changed);
    host_.put(NodeFact{std::move(changed)});
  }
}

}  // namespace dig::node
