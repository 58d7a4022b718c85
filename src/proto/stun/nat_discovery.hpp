// SPDX-License-Identifier: Apache-2.0
// What kind of NAT this socket is behind (RFC 5780; the words are those of RFC 4787): how it maps, what it lets in, and
// whether two hosts behind it can meet at their outer addresses. Asks from one local UDP socket:
//   several ordinary servers tell the mapping, as far as their addresses differ;
//   one server with two addresses and ports (OTHER-ADDRESS) tells mapping and filtering;
//   a request to our own mapped address tells hairpinning.
// What cannot be found out is `unknown`, never guessed. The answers are a server's word: they steer which way is tried
// first, and nothing is believed because of them. Packets go only to the configured servers, and, a few, to addresses
// that the policy allows.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/machine.hpp"
#include "base/rng.hpp"
#include "proto/stun/response.hpp"
#include "proto/stun/transaction.hpp"
#include "wire/nat_behaviour.hpp"

namespace dig::stun {

using dig::NatFiltering;
using dig::NatMapping;
// RFC 5780 §3.4 asks from a second port; there is one socket here. `unsupported` says that its packets to its own
// mapped address do not come back; a NAT that refuses only these, and not those of other hosts behind it, looks the
// same.
enum class NatHairpin : std::uint8_t { unknown, supported, unsupported };

struct NatDiscoveryConfig {
  // All of the family of the socket. The first that has OTHER-ADDRESS serves the tests of RFC 5780.
  std::vector<Endpoint> servers;
  std::optional<Endpoint> local;  // of the socket, if it is known: it tells whether there is a NAT at all
  AddressPolicy address_policy = AddressPolicy::global_only;  // for OTHER-ADDRESS, and for our mapped address
  // Half of what is to be found out shows in silence: Rc and Rm are smaller than for a request that wants an answer.
  TransactionTimers timers{.max_requests = 4, .last_wait = 4};
};

struct NatObservation {
  Endpoint server;
  Endpoint mapped;
  std::optional<Duration> rtt;
};
struct NatBehaviour {
  NatMapping mapping = NatMapping::unknown;
  NatFiltering filtering = NatFiltering::unknown;
  NatHairpin hairpin = NatHairpin::unknown;
  std::vector<NatObservation> observations;  // of the servers that answered, in the order of the configuration
  // A mapped address that servers of at least two IP addresses agree on, and that the policy allows.
  std::optional<Endpoint> confirmed;
};

class NatDiscovery {
 public:
  using Event = NatBehaviour;  // once, at the end
  static constexpr std::size_t k_max_servers = 8;

  NatDiscovery(Instant now, const NatDiscoveryConfig& config, Rng& rng);

  void handle_datagram(const Received& in);
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Transmit> poll_transmit(Instant now, MutableBytes out);
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const { return transactions_.next_timeout(); }
  [[nodiscard]] bool is_done() const noexcept { return is_done_; }

 private:
  enum class Kind : std::uint8_t {
    first,                 // RFC 5780 §4.3 and §4.4, test I; for each server
    filter_address,        // §4.4, test II: to be answered from the other address and port
    filter_port,           // §4.4, test III: from the other port
    mapping_address,       // §4.3, test II: to the other address
    mapping_address_port,  // §4.3, test III: to the other address and port
    hairpin,               // §3.4: to ourselves
  };
  enum class State : std::uint8_t { waiting, answered, silent, spoiled };  // spoiled: says nothing
  struct Test {
    Kind kind = Kind::first;
    State state = State::waiting;
    RequestId request;
    TransactionId transaction{};
    Endpoint destination;
    BindingAnswer answer;
    std::optional<Duration> rtt{};
  };

  void ask(Instant now, Kind kind, const Endpoint& destination, const Endpoint& source);
  void handle_message(Instant now, const Endpoint& source, BytesView bytes);
  // A response to a CHANGE-REQUEST from where it was not wanted: the server does not do what it was asked to.
  [[nodiscard]] bool is_unchanged(const Message& message, const Endpoint& source);
  void handle_answered(Test& test, const Message& message);
  // Starts what can be started now, and ends when nothing is left.
  void go_on(Instant now);
  void begin_with(Instant now, const Test& first);
  [[nodiscard]] bool has_ended(Kind kind) const;
  [[nodiscard]] const Test* test_of(Kind kind) const;

  [[nodiscard]] NatBehaviour behaviour() const;
  [[nodiscard]] NatMapping mapping_by_one_server() const;
  [[nodiscard]] NatMapping mapping_by_servers(const std::vector<NatObservation>& observations) const;
  [[nodiscard]] NatFiltering filtering() const;

  NatDiscoveryConfig config_;
  Rng& rng_;
  TransactionTable transactions_;
  std::vector<Test> tests_;          // at most one of a kind, and `first` for each server
  std::optional<Endpoint> primary_;  // the server of the tests of RFC 5780
  std::optional<Endpoint> other_;    // and its other address
  std::optional<Endpoint> mapped_;   // as the primary server, or the first to answer, sees it
  bool is_done_ = false;
  std::optional<Event> event_;
};

}  // namespace dig::stun
