// SPDX-License-Identifier: Apache-2.0
// What the server answers to an allocation's requests.
#include <algorithm>

#include "proto/turn_client/allocation.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/stun_integrity.hpp"

namespace dig::turn {
namespace {

using stun::Attribute;

// RFC 8489 §14.8, RFC 8656 §19.
enum Code : std::uint16_t {
  try_alternate = 300,
  unauthenticated = 401,
  forbidden = 403,
  unknown_attribute = 420,
  allocation_mismatch = 437,
  stale_nonce = 438,
  family_not_supported = 440,
  wrong_credentials = 441,
  unsupported_transport = 442,
  peer_family_mismatch = 443,
  quota_reached = 486,
  server_error = 500,
  insufficient_capacity = 508,
};

Errc errc_of(std::uint16_t code) noexcept {
  switch (code) {
    case try_alternate:
      return Errc::turn_redirected;
    case unauthenticated:
    case wrong_credentials:
      return Errc::turn_unauthorized;
    case allocation_mismatch:
      return Errc::turn_mismatch;
    case stale_nonce:
      return Errc::turn_stale_nonce;
    case family_not_supported:
      return Errc::turn_family_unsupported;
    case unsupported_transport:
      return Errc::turn_transport_unsupported;
    case peer_family_mismatch:
      return Errc::turn_peer_family_mismatch;
    case quota_reached:
      return Errc::turn_quota;
    case insufficient_capacity:
      return Errc::turn_no_capacity;
    default:
      return Errc::turn_refused;
  }
}

bool names(const stun::Message& response, Attribute type) {
  std::array<std::uint16_t, 16> types{};
  const auto value = response.find(Attribute::unknown_attributes);
  const auto count = value ? stun::decode_unknown_attributes(*value, types) : Result<std::size_t>(0);
  const auto listed = std::span(types).first(count.value_or(0));
  return std::ranges::find(listed, static_cast<std::uint16_t>(type)) != listed.end();
}

}  // namespace

std::optional<ClientAllocation::Pending> ClientAllocation::take(stun::RequestId id) {
  const auto found = std::ranges::find(pending_, id, &Pending::id);
  if (found == pending_.end()) return std::nullopt;
  const Pending request = *found;
  pending_.erase(found);
  return request;
}

void ClientAllocation::handle_response(Instant now, const stun::Message& response) {
  const auto id = transactions_.find(response.header(), config_.server);
  const auto found = id ? std::ranges::find(pending_, *id, &Pending::id) : pending_.end();
  if (found == pending_.end()) return;
  if (response.fingerprint() && !stun::has_valid_fingerprint(response)) {
    ++status_.malformed;
    return;
  }
  std::optional<stun::ErrorCode> error;
  if (response.message_class() == stun::Class::error) {
    const auto code = stun::error_of(response);
    if (!code) {
      ++status_.malformed;
      return;
    }
    error = *code;
  }
  const bool is_challenge = error && (error->code == unauthenticated || error->code == stale_nonce);
  if (!is_trusted(now, *found, response, is_challenge)) return;
  const Pending request = *take(*id);
  if (const auto unknown = stun::unknown_required(response)) {
    transactions_.cancel(*id);
    handle_failure(now, request,
                   {.error = Error(Errc::stun_bad_response,
                                   "an unknown attribute that must be known: " + std::to_string(*unknown))});
  } else if (is_challenge) {
    transactions_.finish(now, *id);
    handle_challenge(now, request, response, *error);
  } else if (error) {
    transactions_.finish(now, *id);
    handle_error(now, request, response, *error);
  } else {
    handle_success(now, request, response);
  }
}

// RFC 8489 §9.2.5. A challenge cannot be protected: it is what the protection is made from.
bool ClientAllocation::is_trusted(Instant now, Pending& request, const stun::Message& response, bool is_challenge) {
  if (is_challenge) return true;
  // A first request has no key to protect its answer with; an error is then all that is believed.
  const bool is_first_error = !request.is_authenticated && response.message_class() == stun::Class::error;
  if (!credential_ || is_first_error) return true;
  const auto nonce = response.find(Attribute::nonce);
  const auto features = nonce ? stun::features_of_nonce(*nonce) : std::nullopt;
  const bool is_bid_down = features && features->password_algorithms && !response.has(Attribute::password_algorithms);
  if (request.is_authenticated && !is_bid_down && credential_->verify(response)) return true;
  ++status_.bad_integrity;
  request.had_bad_integrity = true;
  if (is_stream_) {
    // Nobody but the server can have sent it: waiting for a better answer is no use.
    const Pending ended = *take(request.id);
    transactions_.cancel(ended.id);
    handle_failure(now, ended, {.error = Error(Errc::stun_integrity, config_.server.to_string())});
  }
  return false;
}

void ClientAllocation::handle_challenge(Instant now, Pending request, const stun::Message& response,
                                        const stun::ErrorCode& error) {
  const Failure refused{.error = Error(errc_of(error.code), stun::describe(error)), .code = error.code};
  if (!credential_) {
    handle_failure(now, request,
                   {.error = Error(Errc::turn_unauthorized, "the server asks for credentials"), .code = error.code});
    return;
  }
  if (const auto accepted = credential_->accept(response); !accepted) {
    handle_failure(now, request, {.error = accepted.error()});
    return;
  }
  const bool is_final =
      error.code == unauthenticated && request.is_authenticated && request.key_version == credential_->key_version();
  if (is_final || ++request.challenges > limits_.max_challenges) {
    handle_failure(now, request, refused);
    return;
  }
  send_again(now, request);
}

void ClientAllocation::handle_error(Instant now, const Pending& request, const stun::Message& response,
                                    const stun::ErrorCode& error) {
  if (request.kind == Kind::allocate && error.code == unknown_attribute && uses_dont_fragment_ &&
      names(response, Attribute::dont_fragment)) {
    // RFC 8656 §7.4: the client may do without it.
    uses_dont_fragment_ = false;
    send_allocate(now, request.challenges);
    return;
  }
  Failure failure{.error = Error(errc_of(error.code), stun::describe(error)), .code = error.code};
  if (error.code == forbidden && (request.kind == Kind::create_permission || request.kind == Kind::channel_bind)) {
    failure.error = Error(Errc::turn_peer_forbidden, stun::describe(error));
  }
  if (error.code == try_alternate && config_.follows_redirect) {
    failure.alternate = stun::alternate_of(response, config_.server, config_.address_policy);
  }
  handle_failure(now, request, failure);
}

void ClientAllocation::handle_success(Instant now, const Pending& request, const stun::Message& response) {
  const auto completion = transactions_.finish(now, request.id);
  switch (request.kind) {
    case Kind::allocate:
      handle_allocated(now, completion.first_sent, response);
      break;
    case Kind::refresh:
      handle_refreshed(now, completion.first_sent, response);
      break;
    case Kind::release:
      if (phase_ == AllocationPhase::releasing) end(Released{});
      break;
    case Kind::create_permission:
      permission_failure_.reset();
      for (const IpAddress& peer : permissions_.handle_success(request.id, completion.first_sent, now)) {
        events_.push_back(PermissionInstalled{peer});
      }
      break;
    case Kind::channel_bind: {
      channel_failure_.reset();
      const auto channel = channels_.of_request(request.id);
      const auto fresh = channels_.handle_success(request.id, completion.first_sent, now);
      if (channel && permissions_.handle_channel_bound(channel->peer.address, completion.first_sent, now)) {
        events_.push_back(PermissionInstalled{channel->peer.address});
      }
      if (fresh) events_.push_back(ChannelBound{*fresh});
      break;
    }
  }
}

void ClientAllocation::handle_allocated(Instant now, Instant sent, const stun::Message& response) {
  auto allocated = read_allocated(response);
  if (!allocated) {
    // What is of no use is given back, so that it does not count against the user's quota for ten minutes.
    end(Ended{.error = allocated.error(), .alternate = std::nullopt});
    send_refresh(now, Kind::release, 0);
    return;
  }
  phase_ = AllocationPhase::active;
  status_.relayed_v4 = allocated->relayed_v4;
  status_.relayed_v6 = allocated->relayed_v6;
  set_lifetime(sent, allocated->lifetime);
  events_.push_back(*std::move(allocated));
}

// RFC 8656 §7.3.
Result<Allocated> ClientAllocation::read_allocated(const stun::Message& response) const {
  Allocated allocated;
  DIG_TRY(allocated.lifetime, read_lifetime(response));
  const auto mapped = stun::xor_address(response, Attribute::xor_mapped_address);
  if (!mapped) return fail(Errc::stun_bad_response, "no XOR-MAPPED-ADDRESS");
  allocated.mapped = *mapped;
  Result<void> usable;
  response.for_each(Attribute::xor_relayed_address, [&](BytesView value) {
    const auto relayed = stun::decode_xor_address(value, response.transaction());
    if (!relayed) {
      usable = fail(Errc::stun_bad_response, "XOR-RELAYED-ADDRESS");
      return false;
    }
    auto& place = relayed->address.is_v4() ? allocated.relayed_v4 : allocated.relayed_v6;
    const RelayFamilies own_kind = relayed->address.is_v4() ? RelayFamilies::ipv4 : RelayFamilies::ipv6;
    const bool was_asked_for = config_.families == RelayFamilies::both || config_.families == own_kind ||
                               config_.reservation_token.has_value();
    if (place || !was_asked_for || !stun::is_usable(*relayed, config_.address_policy)) {
      usable = fail(Errc::turn_bad_relay, relayed->to_string());
      return false;
    }
    place = *relayed;
    return true;
  });
  DIG_CHECK(usable);
  if (!allocated.relayed_v4 && !allocated.relayed_v6) return fail(Errc::stun_bad_response, "no XOR-RELAYED-ADDRESS");
  if (config_.families == RelayFamilies::both && (!allocated.relayed_v4 || !allocated.relayed_v6)) {
    const auto value = response.find(Attribute::address_error_code);
    const auto refused =
        value ? stun::decode_address_error(*value) : Result<stun::AddressErrorCode>(fail(Errc::stun_bad_response));
    allocated.missing_family = refused
                                   ? Error(errc_of(refused->error.code), stun::describe(refused->error))
                                   : Error(Errc::turn_family_unsupported, "the server gave one address and no reason");
  }
  const bool has_expected = config_.expected_relay_family != IpFamily::v4 || allocated.relayed_v4;
  const bool has_expected_v6 = config_.expected_relay_family != IpFamily::v6 || allocated.relayed_v6;
  if (!has_expected || !has_expected_v6) {
    return std::unexpected(allocated.missing_family.value_or(
        Error(Errc::turn_family_unsupported, "no relayed address of the family that is needed")));
  }
  if (const auto token = response.find(Attribute::reservation_token)) {
    const auto number = stun::decode_u64(*token);
    if (number) allocated.reservation_token = *number;
  }
  return allocated;
}

Result<Duration> ClientAllocation::read_lifetime(const stun::Message& response) const {
  const auto value = response.find(Attribute::lifetime);
  const auto seconds = value ? stun::decode_u32(*value) : Result<std::uint32_t>(fail(Errc::malformed));
  if (!seconds) return fail(Errc::stun_bad_response, "no LIFETIME");
  const Duration granted = std::chrono::seconds(*seconds);
  if (granted < limits_.min_lifetime) {
    return fail(Errc::stun_bad_response, "a lifetime of " + std::to_string(*seconds) + " s");
  }
  return std::min(granted, std::max(limits_.max_lifetime, config_.lifetime));
}

void ClientAllocation::handle_refreshed(Instant now, Instant sent, const stun::Message& response) {
  const auto lifetime = read_lifetime(response);
  if (!lifetime) {
    lose(lifetime.error());
    send_refresh(now, Kind::release, 0);
    return;
  }
  ++status_.refreshes;
  refresh_failure_.reset();
  set_lifetime(sent, *lifetime);
}

// A minute before the end at the latest, or half-way when the lifetime is short: time for a lost Refresh and another.
void ClientAllocation::set_lifetime(Instant sent, Duration lifetime) {
  status_.lifetime = lifetime;
  expires_ = sent + lifetime;
  refresh_at_ = sent + (lifetime > 2min ? lifetime - 1min : lifetime / 2);
}

void ClientAllocation::handle_failure(Instant now, const Pending& request, const Failure& failure) {
  if (request.kind == Kind::release) {
    // 437 says that it is gone already; silence, that the server is. Either way there is nothing left to do.
    if (phase_ == AllocationPhase::releasing) end(Released{});
    return;
  }
  if (request.kind == Kind::allocate) {
    end(Ended{.error = failure.error, .alternate = failure.alternate});
  } else if (failure.code == allocation_mismatch) {
    lose(failure.error);  // RFC 8656 §8.3: the server knows no such allocation
  } else if (request.kind == Kind::refresh) {
    handle_refresh_failure(now, failure);
  } else if (request.kind == Kind::create_permission) {
    handle_permission_failure(now, request, failure);
  } else {
    handle_channel_failure(now, request, failure);
  }
}

void ClientAllocation::handle_refresh_failure(Instant now, const Failure& failure) {
  if (failure.code != 0 && failure.code < server_error && failure.code != stale_nonce) {
    lose(failure.error);
    return;
  }
  refresh_failure_ = failure.error;
  if (failure.error.code() == Errc::stun_silent) {
    send_refresh(now, Kind::refresh, 0);
  } else {
    refresh_at_ = now + limits_.retry_delay;
  }
}

void ClientAllocation::handle_permission_failure(Instant now, const Pending& request, const Failure& failure) {
  const bool may_pass = failure.code == 0 || failure.code == stale_nonce || failure.code >= server_error;
  const bool was_silent = failure.error.code() == Errc::stun_silent;
  permission_failure_ = failure.error;
  const auto lost = may_pass
                        ? permissions_.handle_failure(request.id, now, was_silent ? now : now + limits_.retry_delay)
                        : permissions_.handle_refusal(request.id);
  for (const IpAddress& peer : lost) lose_permission(peer, failure.error);
}

void ClientAllocation::handle_channel_failure(Instant now, const Pending& request, const Failure& failure) {
  const bool may_pass = failure.code == 0 || failure.code == stale_nonce || failure.code >= server_error;
  const bool was_silent = failure.error.code() == Errc::stun_silent;
  channel_failure_ = failure.error;
  const auto again = may_pass ? std::optional(was_silent ? now : now + limits_.retry_delay) : std::nullopt;
  if (const auto peer = channels_.handle_failure(request.id, now, again)) {
    events_.push_back(ChannelLost{.peer = *peer, .error = failure.error});
  }
}

}  // namespace dig::turn
