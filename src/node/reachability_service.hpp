// SPDX-License-Identifier: Apache-2.0
// This node as a client of AutoNAT v2: gathers the addresses at which it may be reached (its own, and where others see
// it), has servers among the connected peers dial them, and knows which were proven. The judging is
// autonat::ReachabilityProber's.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/contacts.hpp"
#include "node/outputs.hpp"
#include "node/peer_link.hpp"
#include "node/stream_handler.hpp"
#include "proto/autonat/observed_addresses.hpp"
#include "proto/autonat/reachability_prober.hpp"
#include "wire/identify_message.hpp"
#include "wire/node_record.hpp"

namespace dig::node {

// What it needs of the core around it.
class ReachabilityHost : public virtual OutputSink {
 public:
  [[nodiscard]] virtual PeerLink* find_link(ConnectionId connection) = 0;
  [[nodiscard]] virtual PeerLink* find_direct_link(const PeerId& peer, std::optional<ConnectionId> except) = 0;
  // Call settle() soon, not from inside this call.
  virtual void mark_reachability_active() = 0;
};

class ReachabilityService {
 public:
  static constexpr std::size_t max_guessed_ports = 4;
  // How often what connected peers see is counted again: a vote fades (autonat::ObservedAddresses), a connection stays.
  static constexpr Duration observation_interval = 30min;

  struct Limits {
    autonat::ReachabilityProber::Limits prober;
    autonat::ObservedAddresses::Limits observed;
  };

  // Both outlive the service, and the service its handlers.
  ReachabilityService(Rng& rng, ReachabilityHost& host, const Limits& limits)
      : host_(host), observed_(limits.observed), prober_(rng, limits.prober) {}

  // `listening`: of the interfaces, with ports. `announced`: what the owner says instead; empty: nothing.
  void set_addresses(Instant now, std::vector<Multiaddr> listening, std::vector<Multiaddr> announced);
  // The same when this machine may be somewhere else: what is known is asked again at once.
  void handle_network_changed(Instant now, std::vector<Multiaddr> listening, std::vector<Multiaddr> announced);
  // A connection that is no circuit stands, or is about to; nobody is known on it yet.
  void handle_link_made(Instant now, const PeerLink& link);
  // `is_bootstrap`: this node publishes itself there.
  void handle_identified(Instant now, const PeerLink& link, const Identify& message, bool is_bootstrap);
  void handle_link_closed(Instant now, const PeerLink& link);
  // This node has sent something to the address, or is about to.
  void note_contact(Instant now, const IpAddress& address) { contacts_.note(now, address); }
  // For inbound streams. nullptr: a connection that proves nothing.
  [[nodiscard]] std::unique_ptr<StreamHandler> make_dial_back_handler(Instant now, const PeerLink& link);

  // Opens the streams that are due. True when what is proven has changed.
  [[nodiscard]] bool settle(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  // Nothing is asked any more.
  void stop(Instant now);

  // Addresses that were proven, of the widest scope first, as far as they are of use to those who ask for this node: on
  // the Internet private ones are not, and tell about a network that is nobody's business.
  [[nodiscard]] std::vector<Multiaddr> confirmed() const;
  [[nodiscard]] bool is_reachable() const;
  // On the Internet, by somebody with whom this node had no connection.
  [[nodiscard]] bool is_reached_by_strangers() const;
  // Of no family can it be reached, and of one that was tried.
  [[nodiscard]] bool is_unreachable() const;
  // As far as it is known here.
  [[nodiscard]] Reachability facts(Instant now) const;
  [[nodiscard]] autonat::ProberStatus snapshot() const { return prober_.snapshot(); }

 private:
  class Question;
  class Receiver;
  struct Connection {
    Instant made;
    std::optional<autonat::Observation> observation{};  // what its other end sees
  };

  [[nodiscard]] bool handle_nonce(Instant now, ConnectionId connection, std::uint64_t nonce);
  void handle_answer(Instant now, autonat::ProbeId probe, const Result<autonat::DialResponse>& result,
                     std::uint64_t dial_data);
  void observe(Instant now, const PeerLink& link, const Multiaddr& observed);
  void observe_again(Instant now);
  void widen_audience(Instant now, const PeerLink& link, bool is_bootstrap);
  [[nodiscard]] autonat::AddressScope audience() const;
  [[nodiscard]] bool is_confirmed(const autonat::CandidateStatus& candidate) const;
  void update_candidates(Instant now);
  [[nodiscard]] std::vector<autonat::Candidate> candidates(Instant now) const;
  void drain();
  void ask(Instant now, const autonat::AskServer& question);
  void tell();

  ReachabilityHost& host_;
  autonat::ObservedAddresses observed_;
  autonat::ReachabilityProber prober_;
  std::vector<Multiaddr> listening_;
  std::vector<Multiaddr> announced_;
  std::set<Endpoint> endpoints_;  // of listening_
  std::map<ConnectionId, Connection> connections_;
  std::optional<Instant> next_observation_;
  // The widest from which somebody was connected.
  autonat::AddressScope bootstrap_scope_ = autonat::AddressScope::none;
  autonat::AddressScope peer_scope_ = autonat::AddressScope::none;
  Contacts contacts_;
  std::map<IpFamily, dignet::ReachabilityChanged> told_;
  std::deque<autonat::AskServer> questions_;  // at most one a probe
  bool has_changed_ = false;
  bool is_stopped_ = false;
};

}  // namespace dig::node
