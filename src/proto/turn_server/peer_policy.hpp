// SPDX-License-Identifier: Apache-2.0
// Which addresses a TURN server relays to: global unicast ones, and what its owner has allowed by name. Everything else
// is refused, in every spelling; the server asks here at each entry point and again before it sends.
#pragma once

#include <vector>

#include "base/cidr.hpp"

namespace dig::turn {

class PeerPolicy {
 public:
  PeerPolicy() = default;
  explicit PeerPolicy(std::vector<Cidr> allowed) : allowed_(std::move(allowed)) {}

  // IPv6 forms that carry an IPv4 address are refused whatever is allowed: who means an IPv4 host can say so, and a
  // relay of that family exists for it (RFC 8656 §21.1.6 has the tunnels, coturn's history the rest).
  [[nodiscard]] bool permits(const IpAddress& peer) const noexcept;

 private:
  std::vector<Cidr> allowed_;
};

}  // namespace dig::turn
