// SPDX-License-Identifier: Apache-2.0
// A stream to a relay that carries a connection of ours: the transport of a relayed link, as a TCP socket is that of a
// direct one.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "node/ids.hpp"
#include "node/stream_handler.hpp"

namespace dig::node {

// The links that are carried, by the core.
class CarriedLinks {
 public:
  virtual ~CarriedLinks() = default;
  virtual void handle_carried_bytes(Instant now, ConnectionId id, BytesView bytes) = 0;
  virtual void handle_carried_eof(Instant now, ConnectionId id) = 0;
  // The stream is gone.
  virtual void handle_carrier_lost(Instant now, ConnectionId id, const Error& why) = 0;
  [[nodiscard]] virtual std::size_t poll_carried(Instant now, ConnectionId id, MutableBytes out) = 0;
  [[nodiscard]] virtual bool wants_carried(ConnectionId id) const = 0;
  // It is closed, and poll_carried() has given all that it had to say.
  [[nodiscard]] virtual bool is_carried_over(ConnectionId id) const = 0;
};

[[nodiscard]] std::unique_ptr<StreamHandler> make_link_carrier(CarriedLinks& links, ConnectionId link);

}  // namespace dig::node
