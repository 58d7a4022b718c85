// SPDX-License-Identifier: Apache-2.0
// What others say where they see us (identify's observedAddr). Anybody may lie and most see only one side of a NAT, so
// it is votes that are counted, one for each source prefix of an observer, and what comes out are candidates: addresses
// worth a probe, nothing to believe in. Each scope has its own votes: who is on the Internet sees an address of the
// Internet, who is in our private network one of that; anything else is no observation.
//
// Votes fade after a while and the owner need not say when a connection ends. It says each observation again when an
// observer identifies again.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/accept_limiter.hpp"
#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "proto/autonat/address_scope.hpp"

namespace dig::autonat {

struct Observation {
  IpAddress observer;
  Endpoint observed;  // our address, as the observer sees it
  // The connection ends at our listening port: it is inbound, or it was dialled from that port. Otherwise the observed
  // port is one that a NAT chose for this connection, and says nothing about where we can be reached.
  bool is_listening_port = false;
};

struct ObservedAddress {
  Endpoint endpoint;
  std::size_t votes = 0;
  friend bool operator==(const ObservedAddress&, const ObservedAddress&) = default;
};
struct ObservedHost {
  IpAddress address;
  std::size_t votes = 0;
  friend bool operator==(const ObservedHost&, const ObservedHost&) = default;
};

class ObservedAddresses {
 public:
  struct Limits {
    std::size_t max_votes = 128;
    // Distinct observers that must agree; all of them, where there are fewer.
    std::size_t wanted_votes = 2;
    Duration lifetime = 2h;  // of a vote
  };

  ObservedAddresses() : ObservedAddresses(Limits()) {}
  explicit ObservedAddresses(const Limits& limits) : limits_(limits) {}

  // Another vote of the same prefix replaces the one before.
  void observe(Instant now, const Observation& observation);

  // Addresses with a port that is ours, the most voted first.
  [[nodiscard]] std::vector<ObservedAddress> addresses(Instant now) const;
  // Our IP addresses, whatever the port: of use where the outer port is known (an address without NAT in front, a port
  // that was forwarded by hand).
  [[nodiscard]] std::vector<ObservedHost> hosts(Instant now) const;
  [[nodiscard]] std::size_t votes() const noexcept { return votes_.size(); }

 private:
  struct Vote {
    Endpoint observed;
    bool is_listening_port = false;
    Instant at;
  };

  [[nodiscard]] bool is_alive(const Vote& vote, Instant now) const { return now - vote.at < limits_.lifetime; }
  [[nodiscard]] std::size_t wanted_of(std::size_t observers) const;

  Limits limits_;
  std::map<AcceptLimiter::Prefix, Vote> votes_;
};

}  // namespace dig::autonat
