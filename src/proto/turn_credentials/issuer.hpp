// SPDX-License-Identifier: Apache-2.0
// Who gets TURN credentials of this node: anybody whose connection has proven a PeerId, so often. One issuer serves all
// streams of /dignet/turn-credentials/1.0.0.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "base/token_bucket.hpp"
#include "proto/turn_server/pair_credentials.hpp"
#include "wire/turn_credential_message.hpp"

namespace dig::turn_credentials {

class Issuer {
 public:
  struct Limits {
    std::uint32_t requester_per_minute = 10;  // of one PeerId, sustained and at once
    std::uint32_t source_per_minute = 60;     // of one address prefix, see AcceptLimiter::prefix_of
    std::uint32_t total_per_minute = 1200;
    std::size_t places = 1024;  // of each table; those that share a place in it share its budget
  };
  struct Offer {
    TurnRelayKind kind = TurnRelayKind::pair;
    std::vector<StunUri> servers;  // at least one, at most TurnCredentials::max_servers
    friend bool operator==(const Offer&, const Offer&) = default;
  };
  struct Ask {
    Instant now;
    UnixTime wall;
    PeerId requester;  // whom the connection has proven to be there, never who a message says it is
    IpAddress source;  // of the connection that carries the stream
    PeerId target;
  };
  struct Status {
    bool is_offered = false;
    std::uint64_t issued = 0;
    std::uint64_t busy = 0;
    std::uint64_t refused = 0;
    std::uint64_t not_offered = 0;
  };

  // Both references outlive the issuer.
  Issuer(turn::PairCredentials& credentials, Rng& rng, const Limits& limits);
  Issuer(turn::PairCredentials& credentials, Rng& rng) : Issuer(credentials, rng, Limits{}) {}

  // Nothing: this node is no TURN server now. What was issued before stays valid.
  void set_offer(std::optional<Offer> offer) { offer_ = std::move(offer); }
  [[nodiscard]] TurnCredentialResponse issue(const Ask& ask);
  [[nodiscard]] Status snapshot() const;

 private:
  [[nodiscard]] bool take(const Ask& ask);
  [[nodiscard]] TurnCredentialResponse refuse(TurnCredentialStatus status, std::uint64_t& counter);

  turn::PairCredentials& credentials_;
  Rng& rng_;
  Limits limits_;
  std::uint64_t seed_;  // so that nobody can choose with whom to share a place
  std::optional<Offer> offer_;
  std::vector<TokenBucket> requesters_;
  std::vector<TokenBucket> sources_;
  TokenBucket total_;
  Status status_;
};

}  // namespace dig::turn_credentials
