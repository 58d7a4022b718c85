// SPDX-License-Identifier: Apache-2.0
// This node as a server of AutoNAT v2: answers dial-request streams, has partners dial back in its place where it can
// (proto/autonat/dial_back_helper.hpp), and does the same for them. What may be dialled and how much of it is decided
// by proto/autonat.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "node/peer_link.hpp"
#include "node/stream_handler.hpp"
#include "proto/autonat/dial_back.hpp"
#include "proto/autonat/dial_back_helper.hpp"
#include "proto/autonat/dial_request_server.hpp"

namespace dig::node {

using DialBackId = StrongId<struct DialBackIdTag>;  // given by the service

// What it needs of the core around it.
class DialBackHost {
 public:
  virtual ~DialBackHost() = default;
  [[nodiscard]] virtual PeerLink* find_direct_link(const PeerId& peer, std::optional<ConnectionId> except) = 0;
  virtual void mark_stream_active(ConnectionId connection, StreamId stream) = 0;
  // Whether a connection, of whatever peer, has this address at its other end.
  [[nodiscard]] virtual bool is_connected_to(const IpAddress& address) const = 0;
  // On a connection of its own, from another port than the listening one (dial_back.hpp). Answered by
  // handle_dial_back_ended(), never from inside this call, unless it is cancelled.
  virtual void dial_back(Instant now, DialBackId id, const autonat::WantDialBack& wanted) = 0;
  virtual void cancel_dial_back(DialBackId id) = 0;
  // Call settle() soon, not from inside this call.
  virtual void mark_dial_backs_active() = 0;
  // Answered by handle_partner_reached().
  virtual void dial_partner(Instant now, const PeerId& partner, const std::vector<Multiaddr>& addresses) = 0;
};

struct DialBackStatus {
  std::size_t dial_backs = 0;  // running, here or at a partner
  std::size_t partners = 0;
  std::uint64_t ordered = 0;  // that partners have made for this node
  std::uint64_t dialled = 0;  // by this node
  autonat::RequestBook::Status requests;
  autonat::RequestBook::Status orders;
};

class DialBackService {
 public:
  static constexpr std::size_t max_partners = 16;
  static constexpr Duration first_retry = 2s;  // of a partner that cannot be reached; doubled each time
  static constexpr Duration max_retry = 5min;

  struct Limits {
    autonat::RequestBook::Limits requests;
    autonat::DialRequestServer::Limits request;
  };

  // Both outlive the service, and the service its handlers.
  DialBackService(Rng& rng, DialBackHost& host, const Limits& limits)
      : rng_(rng), host_(host), limits_(limits), requests_(limits.requests) {}

  void set_policy(const autonat::DialPolicy& policy) { config_.policy = policy; }
  // This server dials back for the partner, and asks the partner to. A connection to it is kept. Errors: limit_reached.
  [[nodiscard]] Result<void> add_partner(Instant now, const PeerId& partner, std::vector<Multiaddr> addresses);
  [[nodiscard]] bool has_partners() const noexcept { return !partners_.empty(); }

  // For inbound streams of direct connections.
  [[nodiscard]] std::unique_ptr<StreamHandler> make_request_handler(Instant now, const PeerLink& link);
  [[nodiscard]] std::unique_ptr<StreamHandler> make_order_handler(Instant now, const PeerLink& link);

  void handle_dial_back_ended(Instant now, DialBackId id, autonat::DialBackOutcome outcome);
  void handle_partner_reached(Instant now, const PeerId& partner, bool is_connected);
  void handle_link_closed(Instant now, const PeerId& peer);
  // Opens the streams that are due.
  void settle(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;
  // No partner is dialled any more.
  void stop();
  [[nodiscard]] DialBackStatus snapshot() const;

 private:
  template <class Machine>
  class Stream;
  class OrderStream;
  // Who wants a dial-back.
  class Waiter {
   public:
    virtual ~Waiter() = default;
    virtual void handle_outcome(autonat::DialBackOutcome outcome) = 0;
  };
  struct Work {
    Waiter* waiter = nullptr;
    autonat::WantDialBack wanted;
    bool may_order = false;  // from a partner
    bool is_dialled = false;
  };
  struct Partner {
    std::vector<Multiaddr> addresses;
    Duration retry = first_retry;
    std::optional<Instant> next_dial;
  };

  [[nodiscard]] DialBackId start(Waiter& waiter, const autonat::WantDialBack& wanted, bool may_order);
  [[nodiscard]] PeerLink* choose_partner(const autonat::WantDialBack& wanted);
  void handle_report(Instant now, DialBackId id, autonat::DialBackOutcome outcome);
  void abandon(DialBackId id);
  void dial(Instant now, DialBackId id, Work& work);
  void end(DialBackId id, autonat::DialBackOutcome outcome);
  void reach(Instant now, const PeerId& id, Partner& partner);

  Rng& rng_;
  DialBackHost& host_;
  Limits limits_;
  autonat::RequestBook requests_;
  autonat::RequestBook orders_{autonat::HelperConfig::k_limits};
  autonat::HelperConfig config_{.partners = {}, .policy = {}};
  std::map<PeerId, Partner> partners_;
  std::map<DialBackId, Work> work_;
  std::vector<DialBackId> waiting_;  // to be ordered or dialled
  std::uint64_t next_id_ = 1;
  std::uint64_t ordered_ = 0;
  std::uint64_t dialled_ = 0;
};

// Says the nonce on the connection that was dialled; tells `told` how it went, once.
class DialBackEnds {
 public:
  virtual ~DialBackEnds() = default;
  virtual void handle_nonce_said(DialBackId id, autonat::DialBackOutcome outcome) = 0;
};
[[nodiscard]] std::unique_ptr<StreamHandler> make_dial_back_sender(Instant now, DialBackEnds& told, DialBackId id,
                                                                   std::uint64_t nonce);

}  // namespace dig::node
