// SPDX-License-Identifier: Apache-2.0
// What a NAT's filtering and a stateful firewall have in common: which remotes may send to an inside endpoint because
// it has sent to them before (RFC 4787 §5, RFC 6092 §3.2.3).
#pragma once

#include <cstdint>
#include <map>

#include "base/endpoint.hpp"
#include "base/time.hpp"

namespace dig::sim {

// How much of the remote endpoint a decision looks at (RFC 4787 §4.1 for mappings, §5 for filters).
enum class Dependence : std::uint8_t { endpoint_independent, address_dependent, address_and_port_dependent };

// The part of `remote` that is looked at; the rest is zero, so that equal parts compare equal.
[[nodiscard]] Endpoint relevant_part(Dependence dependence, const Endpoint& remote);

class RemoteFilter {
 public:
  struct Spec {
    Dependence dependence = Dependence::address_and_port_dependent;
    Duration lifetime = 120s;
    std::size_t max_remotes = 1024;  // beyond it the one that would lapse first is forgotten
  };

  explicit RemoteFilter(const Spec& spec) : spec_(spec) {}

  // The inside endpoint has sent to `remote`: it may answer for a lifetime.
  void allow(Instant now, const Endpoint& remote);
  [[nodiscard]] bool admits(Instant now, const Endpoint& remote) const;
  [[nodiscard]] std::size_t size() const noexcept { return until_.size(); }

 private:
  void make_room(Instant now);

  Spec spec_;
  std::map<Endpoint, Instant> until_;
};

}  // namespace dig::sim
