// SPDX-License-Identifier: Apache-2.0
// /dignet/udp-probe/1.0.0 both ways: sends a datagram for a peer that asks for it on a direct connection, and has
// connected peers that do the same try the relay ports of this node. The judging is udp_probe::PortProber's.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "node/outputs.hpp"
#include "node/peer_link.hpp"
#include "node/stream_handler.hpp"
#include "proto/autonat/dial_policy.hpp"
#include "proto/autonat/request_book.hpp"
#include "proto/udp_probe/port_prober.hpp"
#include "proto/udp_probe/protocol.hpp"
#include "wire/identify_message.hpp"

namespace dig::node {

// What it needs of the core around it.
class UdpProbeHost : public virtual OutputSink {
 public:
  [[nodiscard]] virtual PeerLink* find_direct_link(const PeerId& peer, std::optional<ConnectionId> except) = 0;
  // Call settle() soon, not from inside this call.
  virtual void mark_udp_probes_active() = 0;
  virtual void mark_stream_active(ConnectionId connection, StreamId stream) = 0;
};

class UdpProbeService {
 public:
  struct Limits {
    autonat::RequestBook::Limits requests{.total = 120, .per_peer = 6, .per_source = 12};
    udp_probe::PortProber::Limits prober{};
  };

  // Both outlive the service, and the service its handlers.
  UdpProbeService(Rng& rng, UdpProbeHost& host, const Limits& limits);
  UdpProbeService(const UdpProbeService&) = delete;
  UdpProbeService& operator=(const UdpProbeService&) = delete;

  // --- this node as a server ---
  void set_policy(const autonat::DialPolicy& policy) { policy_ = policy; }
  // Answers SendUdpProbe: whether the datagram has left. What has not is no verdict on anybody's ports.
  void handle_sent(UdpSendId id, bool is_sent);
  // For an inbound stream of a direct connection.
  [[nodiscard]] std::unique_ptr<StreamHandler> make_answer_handler(Instant now, const PeerLink& link);

  // --- this node as a client ---
  // Under which address of the family this node is reached, with relay ports to be tried; nothing: nobody wants to
  // know.
  void set_target(Instant now, IpFamily family, const std::optional<IpAddress>& target);
  // Of a direct connection. `is_bootstrap`: one of the servers that the owner has named.
  void handle_identified(Instant now, const PeerLink& link, const Identify& message, bool is_bootstrap);
  void handle_link_closed(Instant now, const PeerLink& link);
  void handle_network_changed(Instant now);
  // Answers OpenUdpProbe: where others reach the port, or why there is none.
  void handle_listening(Instant now, UdpProbeId id, const Result<Endpoint>& relay);
  void handle_datagram(Instant now, UdpProbeId id, BytesView datagram);
  // Opens the streams that are due. True when what is_reached() or why_not() say has changed.
  [[nodiscard]] bool settle(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  // Nothing is tried any more.
  void stop(Instant now);

  [[nodiscard]] bool is_reached(IpFamily family) const { return probers_[index_of(family)].is_reached(); }
  [[nodiscard]] std::string why_not(IpFamily family) const { return probers_[index_of(family)].why_not(); }
  [[nodiscard]] autonat::RequestBook::Status snapshot() const { return book_.snapshot(); }

 private:
  class AnswerHandler;
  class AskHandler;

  [[nodiscard]] static std::size_t index_of(IpFamily family) { return family == IpFamily::v6 ? 1 : 0; }
  [[nodiscard]] udp_probe::PortProber& prober(IpFamily family) { return probers_[index_of(family)]; }
  void remove_server(Instant now, const PeerId& peer);
  void ask(Instant now, IpFamily family, const udp_probe::WantDatagram& wanted);

  UdpProbeHost& host_;
  autonat::DialPolicy policy_;
  autonat::RequestBook book_;
  std::map<UdpSendId, AnswerHandler*> sending_;
  std::uint64_t next_send_ = 0;
  std::array<udp_probe::PortProber, 2> probers_;  // IPv4, IPv6
  bool is_stopped_ = false;
};

}  // namespace dig::node
