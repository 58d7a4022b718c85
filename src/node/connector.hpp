// SPDX-License-Identifier: Apache-2.0
// Reaches one peer by its addresses: races them as RFC 8305 says, resolves names meanwhile and lets what they mean join
// the race, and counts an address as won only when the peer has proven its identity there. Keeps the attempt list as it
// goes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ladder/attempt_log.hpp"
#include "proto/dial/happy_eyeballs.hpp"
#include "wire/multiaddr.hpp"

namespace dig::node {

class Connector {
 public:
  struct Limits {
    std::size_t max_addresses = 32;
    dial::HappyEyeballs::Limits race;
  };

  // What the owner is to do; answered by the handle_… of the same index.
  struct Resolve {
    std::size_t index = 0;
    std::string name;
    std::optional<IpFamily> family;
  };
  // What lies around the bytes of libp2p, as Multiaddr::StreamTarget has it.
  struct Way {
    Multiaddr::Carrier carrier = Multiaddr::Carrier::plain;
    std::string tls_name{};
    std::string http_host{};
    friend bool operator==(const Way&, const Way&) = default;
  };
  struct Dial {
    std::size_t index = 0;
    Endpoint remote;
    Way way{};
  };
  struct Cancel {
    std::size_t index = 0;
  };
  // Always the last: the index of the dial that won.
  struct Done {
    Result<std::size_t> result;
  };
  using Event = std::variant<Resolve, Dial, Cancel, Done>;

  // `log` must outlive the connector.
  Connector(Instant now, const std::vector<Multiaddr>& addresses, ladder::AttemptLog& log, const Limits& limits);
  Connector(Instant now, const std::vector<Multiaddr>& addresses, ladder::AttemptLog& log)
      : Connector(now, addresses, log, Limits()) {}

  void handle_resolved(Instant now, std::size_t index, Result<std::vector<IpAddress>> addresses);
  // The connection stands and the peer is the one that was meant.
  void handle_established(Instant now, std::size_t index);
  void handle_failed(Instant now, std::size_t index, const Error& error);
  void handle_timeout(Instant now);
  void cancel(Instant now);

  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  [[nodiscard]] bool is_done() const noexcept { return is_done_; }
  // The method by which it reaches the peer.
  [[nodiscard]] const ladder::MethodRow& method() const noexcept { return row_; }

 private:
  struct Name {
    std::string target;
    std::uint16_t port = 0;
    std::uint32_t way = 0;
    Instant started;
    bool is_open = true;
  };

  void add_address(Instant now, const Multiaddr& address, std::vector<dial::Candidate>& known);
  [[nodiscard]] std::uint32_t number_of(Way way);
  void note_failure(Error error);
  [[nodiscard]] dial::HappyEyeballs::Candidates completeness() const;
  void end_open_names(Instant now, dignet::Outcome outcome, const Error& why);
  void drain_race(Instant now);
  void finish(Result<std::size_t> result);

  ladder::AttemptLog& log_;
  Limits limits_;
  const ladder::MethodRow& row_;
  std::vector<Name> names_;
  std::vector<Way> ways_;                                      // by their numbers in the race
  std::optional<dial::HappyEyeballs> race_;                    // from the constructor on
  std::map<std::size_t, ladder::AttemptLog::Index> attempts_;  // by index of the race
  std::optional<Error> worst_;  // what to tell when all fail: a proven wrong identity before anything else
  std::deque<Event> events_;
  bool is_done_ = false;
};

}  // namespace dig::node
