// SPDX-License-Identifier: Apache-2.0
// This node as a TURN server for its peers, as far as the core has to do with it: gives credentials to peers that ask
// on a stream of /dignet/turn-credentials/1.0.0, and asks other nodes for them. The TURN server itself stands beside
// the core and takes its credentials from here.
#pragma once

#include <memory>
#include <optional>
#include <set>

#include "node/outputs.hpp"
#include "node/peer_link.hpp"
#include "node/stream_handler.hpp"
#include "proto/turn_credentials/issuer.hpp"
#include "proto/turn_credentials/requester.hpp"

namespace dig::node {

// What it needs of the core around it.
class TurnCredentialHost : public virtual OutputSink {
 public:
  [[nodiscard]] virtual UnixTime wall(Instant now) const = 0;
};

class TurnCredentialService {
 public:
  struct Limits {
    turn_credentials::Issuer::Limits issuer;
    turn::PairCredentials::Limits credentials;
    std::size_t max_streams = 256;  // each lives ten seconds at most
    std::size_t max_streams_per_peer = 4;
  };

  // `rng` and `host` outlive the service, and the service its handlers.
  TurnCredentialService(const PeerId& self, Rng& rng, TurnCredentialHost& host, const Limits& limits)
      : credentials_(self, limits.credentials),
        issuer_(credentials_, rng, limits.issuer),
        host_(host),
        limits_(limits) {}
  TurnCredentialService(const TurnCredentialService&) = delete;
  TurnCredentialService& operator=(const TurnCredentialService&) = delete;

  // nullptr when too many streams are served already.
  [[nodiscard]] std::unique_ptr<StreamHandler> make_handler(Instant now, const PeerLink& link);
  void set_offer(std::optional<turn_credentials::Issuer::Offer> offer);
  [[nodiscard]] const std::optional<turn_credentials::Issuer::Offer>& offer() const noexcept { return offer_; }
  // Those that were given, for the TURN server of this node.
  [[nodiscard]] const turn::CredentialSource& source() const noexcept { return credentials_; }
  [[nodiscard]] turn_credentials::Issuer::Status snapshot() const { return issuer_.snapshot(); }

 private:
  class Handler;

  turn::PairCredentials credentials_;
  turn_credentials::Issuer issuer_;
  TurnCredentialHost& host_;
  Limits limits_;
  std::optional<turn_credentials::Issuer::Offer> offer_;
  std::multiset<PeerId> streams_;  // by who asks on them
};

// Asks on one stream, and tells the end by TurnCredentialsEnded.
[[nodiscard]] std::unique_ptr<StreamHandler> make_turn_requester(Instant now, OutputSink& sink, OperationId operation,
                                                                 const PeerId& target);

}  // namespace dig::node
