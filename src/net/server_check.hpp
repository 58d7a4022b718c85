// SPDX-License-Identifier: Apache-2.0
// Whether a STUN or TURN server works, by using it: a Binding request; for TURN two allocations as well, and data that
// goes from one relayed address to the other and back. That is how two peers meet on a public server (design §3).
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/leg.hpp"
#include "proto/turn_client/allocation_types.hpp"

namespace dig::net {

struct ServerCheckConfig {
  StunUri server;
  std::optional<turn::Credentials> credentials;  // of TURN
  LegOptions leg;
  Duration timeout = 10s;  // of the whole check
};

struct ServerHealth {
  std::optional<Error> error{};       // none: it works
  std::optional<Duration> rtt{};      // of the Binding request, or of the allocation where Binding is refused
  std::optional<Endpoint> mapped{};   // this end, as the server sees it
  std::optional<Endpoint> relayed{};  // of the first allocation
  std::optional<Duration> echo{};     // from one relayed address to the other and back
  std::optional<Duration> opened{};   // until the connection stood, name and handshakes included
  std::string tls{};                  // "TLSv1.3"
};

class ServerCheck {
 public:
  using Handler = std::move_only_function<void(ServerHealth)>;

  // Calls back once, from a task of the loop; the check may be destroyed in it.
  ServerCheck(Loop& loop, Resolver& resolver, Rng& rng, ServerCheckConfig config, Handler on_done);
  // Ends the check; no call comes any more.
  ~ServerCheck();
  ServerCheck(const ServerCheck&) = delete;
  ServerCheck& operator=(const ServerCheck&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
