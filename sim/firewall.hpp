// SPDX-License-Identifier: Apache-2.0
// A stateful firewall for UDP that translates nothing (RFC 6092 §3.2.3): who is inside may begin, who is outside may
// answer. Pure: time is an argument.
#pragma once

#include <map>

#include "sim/remote_filter.hpp"

namespace dig::sim {

struct FirewallSpec {
  Dependence filtering = Dependence::address_and_port_dependent;
  Duration lifetime = 120s;  // RFC 6092 REC-14: not less
  bool inbound_refreshes = true;
  std::size_t max_inside_endpoints = 4096;  // beyond it the one that was silent longest is forgotten
};

class Firewall {
 public:
  explicit Firewall(const FirewallSpec& spec) : spec_(spec) {}

  void outbound(Instant now, const Endpoint& inside, const Endpoint& remote);
  // Whether the datagram may pass.
  [[nodiscard]] bool inbound(Instant now, const Endpoint& remote, const Endpoint& inside);
  // A reboot: all state is gone.
  void flush() { states_.clear(); }

  [[nodiscard]] std::size_t inside_endpoints() const noexcept { return states_.size(); }

 private:
  struct State {
    RemoteFilter filter;
    Instant expires;
  };

  void make_room(Instant now);

  FirewallSpec spec_;
  std::map<Endpoint, State> states_;
};

}  // namespace dig::sim
