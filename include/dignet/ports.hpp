// SPDX-License-Identifier: Apache-2.0
// The port manager: takes a preferred port, or the next free one, for TCP and UDP on IPv4 and IPv6 at once and holds
// it.
//
// Thread-safety: a PortManager may be used from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dignet/error.hpp"

namespace dignet {

// One port that is held, and why it is this one.
struct PortLease {
  std::string purpose;          // "libp2p-main"
  std::uint16_t preferred = 0;  // 0: any
  std::uint16_t port = 0;
  std::vector<std::string> protocols;  // "tcp4", "udp4", "tcp6", "udp6"
  std::string reason;                  // one sentence for the user
};

class PortManager {
 public:
  PortManager();
  ~PortManager();  // frees every port
  PortManager(PortManager&&) noexcept;
  PortManager& operator=(PortManager&&) noexcept;

  // Takes `preferred`, or the next free number after it; 0 takes any. A port below 1024, one that browsers block or one
  // that routers inspect is never chosen by itself. Errors: port_forbidden, port_permission, no_free_port.
  [[nodiscard]] Result<PortLease> take(std::uint16_t preferred, const std::string& purpose);
  [[nodiscard]] std::vector<PortLease> leases() const;
  void release(const std::string& purpose);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dignet
