// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_credentials/issuer.hpp"

#include <algorithm>

#include "base/accept_limiter.hpp"
#include "base/hash_mix.hpp"

namespace dig::turn_credentials {
namespace {

// A bucket counts by the second: one credential costs a minute's worth of it.
bool take_one(TokenBucket& bucket, Instant now, std::uint32_t per_minute) {
  constexpr std::uint64_t k_cost = 60;
  return bucket.take(now, {.per_second = per_minute, .burst = k_cost * per_minute}, k_cost);
}

}  // namespace

Issuer::Issuer(turn::PairCredentials& credentials, Rng& rng, const Limits& limits)
    : credentials_(credentials),
      rng_(rng),
      limits_(limits),
      seed_(rng.u64()),
      requesters_(std::max<std::size_t>(1, limits.places)),
      sources_(std::max<std::size_t>(1, limits.places)) {}

// The source first: who has many identities must not use up the budgets of others with them.
bool Issuer::take(const Ask& ask) {
  const std::uint64_t source = hash_mix(seed_ ^ AcceptLimiter::prefix_of(ask.source));
  const std::uint64_t requester = hash_mix(seed_ ^ std::hash<PeerId>{}(ask.requester));
  return take_one(sources_[source % sources_.size()], ask.now, limits_.source_per_minute) &&
         take_one(requesters_[requester % requesters_.size()], ask.now, limits_.requester_per_minute) &&
         take_one(total_, ask.now, limits_.total_per_minute);
}

TurnCredentialResponse Issuer::refuse(TurnCredentialStatus status, std::uint64_t& counter) {
  ++counter;
  return {status, {}};
}

TurnCredentialResponse Issuer::issue(const Ask& ask) {
  if (!offer_) return refuse(TurnCredentialStatus::not_offered, status_.not_offered);
  if (!take(ask)) return refuse(TurnCredentialStatus::busy, status_.busy);
  auto minted = credentials_.mint(ask.wall, {ask.requester, ask.target}, rng_);
  if (!minted) return refuse(TurnCredentialStatus::refused, status_.refused);
  ++status_.issued;
  return {TurnCredentialStatus::ok, TurnCredentials{.kind = offer_->kind,
                                                    .username = std::move(minted->username),
                                                    .password = std::move(minted->password),
                                                    .expires_in = minted->lifetime,
                                                    .servers = offer_->servers}};
}

Issuer::Status Issuer::snapshot() const {
  Status status = status_;
  status.is_offered = offer_.has_value();
  return status;
}

}  // namespace dig::turn_credentials
