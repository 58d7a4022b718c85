// SPDX-License-Identifier: Apache-2.0
// The client of AutoNAT v2 (autonat/autonat-v2.md, Implementation Suggestions): finds out which addresses of this node
// can be reached from outside, by asking servers at several places to dial them back.
//
// What counts is what arrives. An address is confirmed by nonces that came in on new inbound connections, never by what
// a server says; a server that claims a dial-back that did not come counts for nothing and is left alone for a while.
// That an address cannot be reached is what servers say when nothing came, and takes as many of them: it counts only
// while no nonce has come in the same round, for a nonce is a fact and the other is said easily. Each request is about
// one address, so that a nonce speaks for one.
//
// An address is probed by servers of its own scope (address_scope.hpp): one of the Internet by those on the Internet, a
// private one by those in private networks, loopback by loopback. Each other would see it from the wrong side. Where
// this node is asked for from a wider scope, narrower addresses are of no use, and say nothing about whether it is
// reached.
//
// For the owner:
//   - AskServer: open a dial-request stream to the server with a DialRequestClient, and report its end by
//     handle_result(). Not over a relayed connection.
//   - Every dial-back stream on an inbound connection, whoever made it: ask handle_dial_back(). Not on connections that
//     this node dialled, nor on relayed ones: they prove nothing.
//   - add_server() for each connected peer that speaks the protocol over a direct connection.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/accept_limiter.hpp"
#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "base/strong_id.hpp"
#include "base/time.hpp"
#include "proto/autonat/address_scope.hpp"
#include "proto/autonat/data_budget.hpp"
#include "wire/autonat_message.hpp"
#include "wire/peer_id.hpp"

namespace dig::autonat {

using ProbeId = StrongId<struct ProbeIdTag>;

// In the order in which they are probed.
enum class CandidateSource : std::uint8_t {
  mapped,     // a port mapping of the router
  listening,  // an address of an interface that is listened on
  observed,   // see ObservedAddresses
};
struct Candidate {
  Multiaddr address;
  CandidateSource source = CandidateSource::listening;
  std::size_t votes = 0;  // of observers; more are probed first
};

enum class Verdict : std::uint8_t { unknown, reachable, unreachable };

struct Confidence {
  std::size_t servers = 0;  // that said so; fewer than Limits::wanted_servers when no more were there
  // A dial-back came from an IP address with which this node has no connection. Without, a NAT that filters by address
  // may have let in only those whom this node has called (dial_back_helper.hpp).
  bool has_stranger = false;
  friend bool operator==(const Confidence&, const Confidence&) = default;
};

struct AskServer {
  ProbeId probe;
  PeerId server;
  DialRequest request;
  std::uint64_t max_dial_data = 0;
};
// Told again when the confidence changes.
struct AddressConfirmed {
  Multiaddr address;
  Confidence confidence;
};
struct AddressRefuted {
  Multiaddr address;
  Confidence confidence;
};
// It was confirmed, and is no candidate any more.
struct AddressForgotten {
  Multiaddr address;
};
// Of a family, in the widest scope of which something is known, and not below set_narrowest_scope(): reachable when one
// of its addresses is, unreachable when all are of which anybody could say something.
struct ReachabilityChanged {
  IpFamily family = IpFamily::v4;
  Verdict reachability = Verdict::unknown;
};

// A nonce that came in.
struct DialBackArrival {
  std::uint64_t nonce = 0;
  Endpoint local;            // our end of the connection it came on
  Endpoint remote;           // and the other one
  Instant established;       // of that connection
  bool is_stranger = false;  // there is, and lately was, no other connection with its IP address
};

struct CandidateStatus {
  Multiaddr address;
  CandidateSource source = CandidateSource::listening;
  Verdict verdict = Verdict::unknown;
  Confidence confidence;
  std::size_t successes = 0;  // of the current round
  std::size_t failures = 0;
};
struct ProberStatus {
  std::vector<CandidateStatus> candidates;
  Verdict v4 = Verdict::unknown;
  Verdict v6 = Verdict::unknown;
  std::size_t servers = 0;
  std::size_t probes = 0;                 // running
  std::uint64_t dial_data = 0;            // used of the budget of this hour
  std::uint64_t lies = 0;                 // dial-backs that were claimed and did not come
  std::uint64_t unwanted_dial_backs = 0;  // nonces that belong to no probe, or came the wrong way
};

class ReachabilityProber {
 public:
  struct Limits {
    std::size_t max_candidates = 16;
    std::size_t max_servers = 128;  // connected ones, and those that are left alone
    std::size_t max_probes = 3;     // at once
    std::size_t wanted_servers = 3;
    std::size_t max_votes = 9;              // of a round in which servers disagree
    std::uint64_t max_dial_data = 100'000;  // of one probe
    std::uint64_t dial_data_per_hour = 1'000'000;
    Duration probe = 30s;                // until the owner must have reported; a DialRequestClient ends before
    Duration late_dial_back = 5s;        // how long a nonce may come after the response that claims it
    Duration between_requests = 6s;      // to one server: servers of go allow 12 a minute
    Duration rest_after_failure = 5min;  // of a server that did not serve
    Duration rest_after_lie = 2h;
    Duration settling = 2min;  // after a change of the network: see end_unanswered()
    // Between the rounds of an address: doubled each time, from the beginning when the verdict changes.
    Duration first_interval = 10min;
    Duration max_interval = 6h;
    // Where networks come and go all the time, as those of containers do, a round must have time to end.
    Duration between_restarts = 1min;
  };
  using Event = std::variant<AskServer, AddressConfirmed, AddressRefuted, AddressForgotten, ReachabilityChanged>;

  // `rng` must outlive the prober: nonces must be secret.
  ReachabilityProber(Rng& rng, const Limits& limits) : rng_(rng), limits_(limits), budget_(limits.dial_data_per_hour) {}
  explicit ReachabilityProber(Rng& rng) : ReachabilityProber(rng, Limits()) {}

  // All candidates there are. Known ones keep what is known; what is no TCP address of any scope is left out.
  void set_candidates(Instant now, std::span<const Candidate> candidates);
  // Addresses of narrower scopes have no say in whether this node is reached. At first all have.
  void set_narrowest_scope(Instant now, AddressScope scope);
  // Everything may be different now: every address is probed again. Connections may be dead.
  void handle_network_changed(Instant now);
  void add_server(Instant now, const PeerId& server, const IpAddress& remote);
  void remove_server(Instant now, const PeerId& server);

  // Whether the nonce was awaited: then answer the dial-back stream, otherwise reset it.
  [[nodiscard]] bool handle_dial_back(Instant now, const DialBackArrival& arrival);
  // How the dial-request stream ended, and how much dial data was sent on it.
  void handle_result(Instant now, ProbeId probe, const Result<DialResponse>& result, std::uint64_t dial_data);
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] ProberStatus snapshot() const;

 private:
  using Prefix = AcceptLimiter::Prefix;

  struct Server {
    IpAddress address;
    bool is_connected = true;
    bool is_busy = false;
    Instant not_before{};   // its next request, for politeness
    Instant rests_until{};  // it did not serve, or lied
  };
  struct Vote {
    bool is_success = false;
    bool is_stranger = false;
  };
  // An address, and its current round of questions.
  struct Address {
    Candidate candidate;
    Endpoint endpoint;
    Verdict verdict = Verdict::unknown;
    Confidence confidence;
    std::uint64_t round = 0;    // never the same twice, of no address
    std::vector<Prefix> asked;  // each source prefix is asked once in a round, and has one vote
    std::vector<Vote> votes;
    bool is_concluded = false;
    bool is_unanswered = false;  // a round is over, and nobody had anything to say; no verdict waits for it
    Instant next_round{};
    Duration interval{};
  };
  struct Probe {
    ProbeId id;
    PeerId server;
    Multiaddr address;
    std::uint64_t round = 0;
    std::uint64_t nonce = 0;
    std::uint64_t reserved = 0;  // of the budget, until the owner has reported
    Instant started;
    Instant deadline;
    bool is_reported = false;  // waits for the nonce that the server claims to have delivered
    std::optional<Vote> arrived;
  };

  [[nodiscard]] bool forget_server();
  [[nodiscard]] Address* find_address(const Multiaddr& address);
  [[nodiscard]] static std::size_t count(const Address& address, bool is_success);
  [[nodiscard]] std::size_t running(const Address& address) const;
  // Whether the round is over, with `more` answers like those that came.
  [[nodiscard]] bool is_decided(const Address& address, std::size_t more) const;
  [[nodiscard]] bool wants_more(const Address& address) const;
  [[nodiscard]] bool may_ask(const Server& server, const Address& address) const;
  [[nodiscard]] bool can_learn_more(Instant now, const Address& address) const;
  [[nodiscard]] bool comes_as_awaited(const Probe& probe, const DialBackArrival& arrival);

  void go_on(Instant now);
  void start_rounds(Instant now);
  void ask(Instant now);
  [[nodiscard]] std::optional<PeerId> choose_server(Instant now, const Address& address);
  void start_probe(Instant now, Address& address, const PeerId& server);
  void judge_response(Instant now, Probe& probe, const Result<DialResponse>& result);
  void end_unanswered(Instant now, ProbeId id);
  void end_probe(Instant now, ProbeId id, std::optional<Vote> vote, Duration rest);
  void conclude(Instant now);
  void tell(Instant now, Address& address, Verdict verdict, const Confidence& confidence);
  void tell_reachability();
  [[nodiscard]] Verdict reachability(IpFamily family) const;
  [[nodiscard]] Verdict reachability(IpFamily family, AddressScope scope) const;
  [[nodiscard]] std::optional<Instant> next_question(Instant now) const;

  Rng& rng_;
  Limits limits_;
  DataBudget budget_;
  std::vector<Address> addresses_;  // in the order of their priority
  std::map<PeerId, Server> servers_;
  std::vector<Probe> probes_;
  std::deque<Event> events_;
  std::map<IpFamily, Verdict> told_;
  AddressScope narrowest_ = AddressScope::loopback;
  std::optional<Instant> next_question_;
  std::optional<Instant> network_changed_;
  std::optional<Instant> restarted_;  // all rounds, for that
  std::uint64_t next_probe_ = 0;
  std::uint64_t next_round_ = 0;
  std::uint64_t lies_ = 0;
  std::uint64_t unwanted_dial_backs_ = 0;
};

}  // namespace dig::autonat
