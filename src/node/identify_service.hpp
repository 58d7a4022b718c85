// SPDX-License-Identifier: Apache-2.0
// Identify and identify push: tells peers this node's addresses and protocols, and hears theirs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "node/outputs.hpp"
#include "node/peer_link.hpp"
#include "node/stream_handler.hpp"
#include "wire/identify_message.hpp"
#include "wire/identity.hpp"
#include "wire/multiaddr.hpp"

namespace dig::node {

// Told what a peer says of itself.
class IdentifyHost : public virtual OutputSink {
 public:
  virtual void handle_identified(Instant now, ConnectionId connection, const Identify& message) = 0;
};

class IdentifyService {
 public:
  // The deadline for a peer's message.
  static constexpr Duration deadline = 5s;

  IdentifyService(const Identity& identity, std::string agent_version, IdentifyHost& host)
      : identity_(identity), agent_version_(std::move(agent_version)), host_(host) {}

  // False when nothing changed.
  bool set_addresses(std::vector<Multiaddr> addresses);
  [[nodiscard]] const std::vector<Multiaddr>& addresses() const noexcept { return addresses_; }

  // For inbound streams.
  [[nodiscard]] std::unique_ptr<StreamHandler> make_responder(const PeerLink& link,
                                                              const std::vector<std::string>& protocols) const;
  [[nodiscard]] std::unique_ptr<StreamHandler> make_push_receiver(Instant now, const PeerLink& link) const;
  // Opens a stream and asks; what the peer says becomes a PeerIdentified fact, and the host is told.
  void request(Instant now, PeerLink& link) const;
  void push(Instant now, PeerLink& link, const std::vector<std::string>& protocols) const;

 private:
  [[nodiscard]] Identify own_message(const PeerLink& link, const std::vector<std::string>& protocols) const;

  const Identity& identity_;
  std::string agent_version_;
  IdentifyHost& host_;
  std::vector<Multiaddr> addresses_;
};

}  // namespace dig::node
