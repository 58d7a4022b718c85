// SPDX-License-Identifier: Apache-2.0
// One allocation on one TURN server, with its leg: looks the server up, connects, allocates, and keeps it all alive
// (proto/turn_client). Follows one redirect (RFC 8489 §10), and tries once more from another local port where the
// server still knows the old one (RFC 8656 §7.4).
//
// Thread-safety: none; everything happens on the thread of the loop. From inside a handler every method may be called,
// and methods may call handlers; the client must not be destroyed inside a handler, only later from a task of the loop.
#pragma once

#include <functional>
#include <memory>

#include "net/leg.hpp"
#include "proto/turn_client/allocation.hpp"

namespace dig::net {

class TurnClient {
 public:
  struct Config {
    LegTarget server;
    LegOptions leg;
    turn::AllocationConfig allocation;  // `server` and `transport` are filled in here
    turn::AllocationLimits limits{};
  };
  struct Handlers {
    // turn::Ended is the last one; so is turn::Released.
    std::function<void(Instant, const turn::ClientAllocation::Event&)> on_event;
    std::function<void(Instant, const turn::PeerData&)> on_data;
  };

  TurnClient(Loop& loop, Resolver& resolver, Rng& rng, Config config, Handlers handlers);
  ~TurnClient();
  TurnClient(const TurnClient&) = delete;
  TurnClient& operator=(const TurnClient&) = delete;

  // As those of turn::ClientAllocation; allocation_lost and SendResult::refused while there is none.
  [[nodiscard]] Result<void> permit(const IpAddress& peer);
  [[nodiscard]] Result<void> bind_channel(const Endpoint& peer);
  [[nodiscard]] turn::SendResult send(const Endpoint& peer, BytesView data);
  // Ends with turn::Released.
  void release();

  // Of the leg, once it is open.
  [[nodiscard]] const std::optional<LegOpened>& leg() const noexcept;
  // Empty until the leg is open.
  [[nodiscard]] std::optional<turn::AllocationStatus> snapshot() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
