// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_client/allocation.hpp"

#include <algorithm>

namespace dig::turn {
namespace {

constexpr Duration k_max_wanted_lifetime = 24h;

bool is_stream_leg(StunTransport transport) noexcept {
  return transport == StunTransport::tcp || transport == StunTransport::tls;
}

}  // namespace

Result<void> AllocationConfig::validate() const {
  if (server.port == 0) return fail(Errc::invalid_argument, "a TURN server without a port");
  if (lifetime < 1s || lifetime > k_max_wanted_lifetime) return fail(Errc::invalid_argument, "a lifetime");
  if (credentials && (credentials->username.empty() || credentials->username.size() > k_max_username ||
                      credentials->password.empty() || credentials->password.size() > k_max_username)) {
    return fail(Errc::invalid_argument, "a user name or password that is empty or too long");
  }
  const RelayFamilies needed = expected_relay_family == IpFamily::v6 ? RelayFamilies::ipv6 : RelayFamilies::ipv4;
  if (expected_relay_family && families != RelayFamilies::both && families != needed && !reservation_token) {
    return fail(Errc::invalid_argument, "a family that is expected and not asked for");
  }
  // RFC 8656 §7.1: what must not stand in one request.
  if (reservation_token && (even_port || families != RelayFamilies::ipv4)) {
    return fail(Errc::invalid_argument, "a reservation token with an even port or an address family");
  }
  if (even_port == EvenPort::even_and_next_reserved && families == RelayFamilies::both) {
    return fail(Errc::invalid_argument, "a reserved port with both address families");
  }
  return {};
}

ClientAllocation::ClientAllocation(Instant now, const AllocationConfig& config, Rng& rng, Limits limits)
    : config_(config),
      limits_(limits),
      rng_(rng),
      is_stream_(is_stream_leg(config.transport)),
      transactions_(is_stream_, config.timers, limits.max_transactions),
      output_(is_stream_, limits.max_output),
      permissions_(limits.max_permissions),
      channels_(limits.max_channels),
      uses_dont_fragment_(config.dont_fragment) {
  if (const auto valid = config_.validate(); !valid) {
    end(Ended{.error = valid.error(), .alternate = std::nullopt});
    return;
  }
  if (config_.credentials) credential_.emplace(*std::move(config_.credentials), config_.requires_sha256);
  send_allocate(now, 0);
}

Result<void> ClientAllocation::permit(Instant, const IpAddress& peer) {
  if (phase_ != AllocationPhase::active) return fail(Errc::allocation_lost, "the allocation is not active");
  if (!can_reach(peer)) return fail(Errc::turn_peer_family_mismatch, peer.to_string());
  if (!permissions_.add(peer)) return fail(Errc::limit_reached, "permissions of one allocation");
  return {};
}

void ClientAllocation::revoke(Instant, const IpAddress& peer) {
  permissions_.remove(peer);
  channels_.abandon(peer);
}

Result<void> ClientAllocation::bind_channel(Instant now, const Endpoint& peer) {
  const bool had_permission = permissions_.contains(peer.address);
  DIG_CHECK(permit(now, peer.address));
  if (channels_.add(peer, now)) return {};
  if (!had_permission) permissions_.remove(peer.address);
  return fail(Errc::limit_reached, "channels of one allocation");
}

void ClientAllocation::release(Instant now) {
  if (phase_ == AllocationPhase::releasing || phase_ == AllocationPhase::ended) return;
  // Before the server has challenged us it has allocated nothing; after that, an Allocate may be on its way.
  const bool may_exist = phase_ == AllocationPhase::active || (credential_ && credential_->has_challenge());
  if (!may_exist) {
    end(Released{});
    return;
  }
  transactions_.clear();
  pending_.clear();
  output_.clear();
  refresh_at_.reset();
  phase_ = AllocationPhase::releasing;
  send_refresh(now, Kind::release, 0);
}

void ClientAllocation::handle_leg_closed(Instant, const Error& error) {
  if (phase_ == AllocationPhase::active) {
    lose(error);
  } else if (phase_ == AllocationPhase::releasing) {
    end(Released{});
  } else if (phase_ == AllocationPhase::allocating) {
    end(Ended{.error = error, .alternate = std::nullopt});
  }
  transactions_.clear();
  pending_.clear();
}

void ClientAllocation::handle_timeout(Instant now) {
  transactions_.handle_timeout(now);
  while (const auto expired = transactions_.poll_expired()) {
    const auto request = take(*expired);
    if (!request) continue;
    // RFC 8489 §9.2.5: if every response was discarded, that is the reason to give, not the silence.
    const Errc reason = request->had_bad_integrity ? Errc::stun_integrity : Errc::stun_silent;
    handle_failure(now, *request, {.error = Error(reason, config_.server.to_string())});
  }
  if (phase_ != AllocationPhase::active) return;
  if (now >= expires_) {
    lose(refresh_failure_.value_or(Error(Errc::timed_out, "the lifetime")));
    return;
  }
  if (refresh_at_ && now >= *refresh_at_) {
    refresh_at_.reset();
    send_refresh(now, Kind::refresh, 0);
  }
  for (const IpAddress& peer : permissions_.handle_timeout(now)) {
    lose_permission(peer, permission_failure_.value_or(Error(Errc::timed_out, "the permission")));
  }
  for (const Endpoint& peer : channels_.handle_timeout(now)) {
    const Error reason = channel_failure_.value_or(Error(Errc::timed_out, "the channel"));
    events_.push_back(ChannelLost{.peer = peer, .error = reason});
  }
}

std::size_t ClientAllocation::poll_transmit(Instant now, MutableBytes out) {
  if (phase_ == AllocationPhase::active) send_due(now);
  if (is_stream_) {
    std::array<std::byte, k_max_request> request;
    while (const auto due = transactions_.poll_transmit(request)) {
      const MutableBytes room = output_.reserve(due->size, limits_.max_transactions * k_max_request);
      // No room: the leg has stood still for a long time. The request will time out, and is asked again if it matters.
      if (!room.empty()) std::ranges::copy(MutableBytes(request).first(due->size), room.begin());
    }
  } else if (const auto due = transactions_.poll_transmit(out)) {
    return due->size;
  }
  const std::size_t size = output_.pop(out);
  if (wants_writable_ && output_.is_half_empty()) {
    wants_writable_ = false;
    events_.push_back(Writable{});
  }
  return size;
}

std::optional<ClientAllocation::Event> ClientAllocation::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Instant> ClientAllocation::next_timeout() const {
  std::optional<Instant> next = transactions_.next_timeout();
  if (phase_ != AllocationPhase::active) return next;
  next = earliest(earliest(next, expires_), refresh_at_);
  return earliest(earliest(next, permissions_.next_timeout()), channels_.next_timeout());
}

AllocationStatus ClientAllocation::snapshot(Instant now) const {
  AllocationStatus status = status_;
  status.phase = phase_;
  status.rtt = transactions_.smoothed_rtt(config_.server.address);
  status.expires = expires_;
  status.waiting = output_.size();
  status.stray_responses = transactions_.stray_responses();
  if (credential_) {
    status.nonce_changes = credential_->nonce_changes();
    status.uses_sha256 = credential_->uses_sha256_integrity();
    status.uses_userhash = credential_->uses_userhash();
  }
  status.uses_dont_fragment = uses_dont_fragment_;
  status.permissions = permissions_.installed(now);
  status.channels = channels_.bound(now);
  return status;
}

bool ClientAllocation::can_reach(const IpAddress& peer) const noexcept {
  return peer.is_v4() ? status_.relayed_v4.has_value() : status_.relayed_v6.has_value();
}

void ClientAllocation::lose_permission(const IpAddress& peer, const Error& cause) {
  channels_.abandon(peer);
  events_.push_back(PermissionLost{.peer = peer, .error = cause});
}

void ClientAllocation::end(Event last) {
  phase_ = AllocationPhase::ended;
  transactions_.clear();
  pending_.clear();
  output_.clear();
  refresh_at_.reset();
  wants_writable_ = false;
  events_.push_back(std::move(last));
}

void ClientAllocation::lose(const Error& cause) {
  end(Ended{.error = Error(Errc::allocation_lost, cause.message()), .alternate = std::nullopt});
}

}  // namespace dig::turn
