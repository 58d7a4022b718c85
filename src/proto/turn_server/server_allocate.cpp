// SPDX-License-Identifier: Apache-2.0
// Allocate and Refresh (RFC 8656 §7 and §8).
#include <algorithm>

#include "proto/turn_server/server_reply.hpp"

namespace dig::turn {
namespace {

// What an Allocate request asks for, once it is known to be well-formed.
struct Wish {
  IpFamily first = IpFamily::v4;
  bool wants_both = false;
  std::optional<bool> even_port;  // its R bit
  std::optional<std::uint64_t> token;
  std::uint32_t lifetime = 0;  // 0: none asked for
};

IpFamily ip_family(stun::AddressFamily family) {
  return family == stun::AddressFamily::ipv6 ? IpFamily::v6 : IpFamily::v4;
}

// The error code of RFC 8656 §7.2 steps 3 to 8, or the wish.
std::expected<Wish, std::uint16_t> parse_wish(const stun::Message& message) {
  using stun::Attribute;
  const auto transport = message.find(Attribute::requested_transport);
  if (!transport) return std::unexpected<std::uint16_t>(400);
  const auto protocol = stun::decode_requested_transport(*transport);
  if (!protocol) return std::unexpected<std::uint16_t>(400);
  if (*protocol != stun::k_transport_udp) return std::unexpected<std::uint16_t>(442);

  Wish wish;
  const auto family = message.find(Attribute::requested_address_family);
  const auto additional = message.find(Attribute::additional_address_family);
  if (const auto token = message.find(Attribute::reservation_token)) {
    const auto number = stun::decode_u64(*token);
    if (!number || message.has(Attribute::even_port) || family || additional)
      return std::unexpected<std::uint16_t>(400);
    wish.token = *number;
  }
  if (family && additional) return std::unexpected<std::uint16_t>(400);
  if (family) {
    const auto wanted = stun::decode_address_family(*family);
    if (!wanted) return std::unexpected<std::uint16_t>(wanted.error().code() == Errc::unsupported ? 440 : 400);
    wish.first = ip_family(*wanted);
  }
  if (const auto even = message.find(Attribute::even_port)) {
    const auto reserves = stun::decode_even_port(*even);
    if (!reserves || (*reserves && additional)) return std::unexpected<std::uint16_t>(400);
    wish.even_port = *reserves;
  }
  if (additional) {
    const auto wanted = stun::decode_address_family(*additional);
    if (!wanted || *wanted != stun::AddressFamily::ipv6) return std::unexpected<std::uint16_t>(400);
    wish.wants_both = true;
  }
  if (const auto lifetime = message.find(Attribute::lifetime)) {
    const auto seconds = stun::decode_u32(*lifetime);
    if (!seconds) return std::unexpected<std::uint16_t>(400);
    wish.lifetime = *seconds;
  }
  return wish;
}

std::uint32_t granted_lifetime(const ServerConfig::Limits& limits, std::uint32_t wanted) {
  return std::clamp(wanted, limits.default_lifetime, limits.max_lifetime);
}

}  // namespace

void Server::handle_allocate(const Request& request, Authenticated& who) {
  if (Allocation* const existing = find(request.client)) {
    // A repeated request has the same answer; while the relays are being opened it has none yet.
    const bool is_repeated =
        existing->transaction == request.message.transaction() && existing->quota.user() == who.username;
    if (!is_repeated) return refuse(request, &who, 437);
    if (!existing->is_opening) answer_allocate(request.now, *existing, request.sink);
    return;
  }
  const auto wish = parse_wish(request.message);
  if (!wish) return refuse(request, &who, wish.error());
  if (is_draining_) return redirect(request, who);
  if (is_volume_used_up_) return refuse(request, &who, 508);
  if (const std::uint16_t refusal = refusal_of(who)) return refuse(request, &who, refusal);
  IpFamily first = wish->first;
  if (!wish->token && !relay_address(first)) return refuse(request, &who, 440);
  if ((wish->even_port || wish->token) && !config_.has_even_port) return refuse(request, &who, 508);

  const std::uint32_t lifetime = granted_lifetime(config_.limits, wish->lifetime);
  auto quota = QuotaShare::take(quotas_, who.username, AcceptLimiter::prefix_of(request.client.remote.address));
  if (!quota) return refuse(request, &who, 486);

  std::optional<std::uint16_t> port;
  std::optional<std::uint64_t> reservation;
  if (wish->token) {
    // The family is that of the allocation which reserved it: the request must not name one (RFC 8656 §7.2).
    for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
      if (port) break;
      first = family;
      port = pool(family).take_reserved(request.now, *wish->token);
    }
  } else if (wish->even_port) {
    if (const auto even = pool(first).take_even(request.now, *wish->even_port)) {
      port = even->port;
      reservation = even->token;
    }
  } else {
    port = pool(first).take();
  }
  if (!port) return refuse(request, &who, 508);

  Allocation made{.quota = std::move(*quota),
                  .key = std::move(who.key),
                  .uses_sha256 = who.uses_sha256,
                  .expires = request.now + std::chrono::seconds(lifetime),
                  .transaction = request.message.transaction(),
                  .lifetime_seconds = lifetime,
                  .reservation = reservation};
  Relay& wanted = made.relay(first).emplace(Relay{{next_relay_++}, {*relay_address(first), *port}});
  wanted.may_move = !wish->even_port && !wish->token;
  if (wish->wants_both) {
    const auto second = relay_address(IpFamily::v6) ? pool(IpFamily::v6).take() : std::nullopt;
    if (second) {
      made.relays[1] = Relay{{next_relay_++}, {*config_.relay_v6, *second}};
    } else {
      made.additional_error = config_.relay_v6 ? 508 : 440;
    }
  }
  const auto place = allocations_.emplace(request.client, std::move(made)).first;
  Allocation& allocation = place->second;
  allocation.client = &place->first;
  if (config_.is_pair_relay) return allocate_for_pair(request, *who.pair, allocation);
  for (const auto& relay : allocation.relays) {
    if (!relay) continue;
    relays_[relay->id] = &allocation;
    events_.push_back(OpenRelay{relay->id, relay->family(), relay->address.port});
  }
}

// RFC 8489 §10: the answer of a server that is about to stop. Without another one to name there is no capacity here.
void Server::redirect(const Request& request, const Authenticated& who) {
  if (!alternate_) return refuse(request, &who, 508);
  counters_.refuse(300);
  Reply reply(request.message, stun::Class::error);
  stun::add_error(reply.writer(), 300);
  stun::add_address(reply.writer(), stun::Attribute::alternate_server, *alternate_);
  send(request, reply, who);
}

// The system refuses the port: it belongs to another program. Another one of the pool may do.
void Server::retry_relay(Instant now, Allocation& allocation, Relay& relay, const Error& why, Sink& sink) {
  const bool is_busy = why.code() == Errc::port_in_use;
  const std::uint16_t busy_port = relay.address.port;
  PortPool& ports = pool(relay.family());
  const auto port =
      is_busy && relay.may_move && ++relay.attempts < config_.limits.max_port_attempts ? ports.take() : std::nullopt;
  if (port) {
    ports.set_aside(now, busy_port);
    relays_.erase(relay.id);
    relay = Relay{{next_relay_++}, {relay.address.address, *port}, relay.attempts};
    relays_[relay.id] = &allocation;
    events_.push_back(OpenRelay{relay.id, relay.family(), relay.address.port});
    return;
  }
  const bool is_additional = relay.family() == IpFamily::v6 && allocation.relays[0];
  if (is_additional) {
    close_relay(allocation.relays[1]);
    if (is_busy) ports.set_aside(now, busy_port);
    allocation.additional_error = 508;
    if (allocation.relays[0]->is_open) answer_allocate(now, allocation, sink);
    return;
  }
  counters_.refuse(508);
  Reply reply(stun::Method::allocate, allocation.transaction, stun::Class::error);
  stun::add_error(reply.writer(), 508);
  reply.sign(allocation.key.view(), allocation.uses_sha256);
  sink.to_client(*allocation.client, reply.bytes(), {}, 0);
  end(allocation, AllocationEnd::relay_failed);
  if (is_busy) ports.set_aside(now, busy_port);
}

void Server::answer_allocate(Instant /*now*/, Allocation& allocation, Sink& sink) {
  if (std::exchange(allocation.is_opening, false)) {
    ++counters_.allocations_made;
    events_.push_back(AllocationMade{*allocation.client, allocation.quota.user()});
  }
  Reply reply(stun::Method::allocate, allocation.transaction, stun::Class::success);
  for (const auto& relay : allocation.relays) {
    if (relay) reply.add_xor_address(stun::Attribute::xor_relayed_address, relay->address);
  }
  reply.writer().add_u32(stun::Attribute::lifetime, allocation.lifetime_seconds);
  reply.add_xor_address(stun::Attribute::xor_mapped_address, allocation.client->remote);
  if (allocation.reservation) reply.writer().add_u64(stun::Attribute::reservation_token, *allocation.reservation);
  if (allocation.additional_error != 0) {
    stun::add_address_error(reply.writer(), stun::AddressFamily::ipv6, allocation.additional_error);
  }
  reply.sign(allocation.key.view(), allocation.uses_sha256);
  sink.to_client(*allocation.client, reply.bytes(), {}, 0);
}

// A client may give up what it has not been told of yet.
void Server::handle_refresh(const Request& request, Authenticated& who, Allocation& allocation) {
  const auto lifetime_value = request.message.find(stun::Attribute::lifetime);
  const auto wanted = lifetime_value ? stun::decode_u32(*lifetime_value) : Result<std::uint32_t>(0);
  if (!wanted) return refuse(request, &who, 400);
  const bool releases = lifetime_value && *wanted == 0;
  if (allocation.is_opening && !releases) return refuse(request, &who, 437);
  std::optional<IpFamily> family;
  if (const auto value = request.message.find(stun::Attribute::requested_address_family)) {
    const auto requested = stun::decode_address_family(*value);
    if (!requested) return refuse(request, &who, requested.error().code() == Errc::unsupported ? 440 : 400);
    family = ip_family(*requested);
    if (!allocation.relay(*family)) return refuse(request, &who, 443);
  }

  const std::uint32_t lifetime = releases ? 0 : granted_lifetime(config_.limits, *wanted);
  Reply reply(request.message, stun::Class::success);
  reply.writer().add_u32(stun::Attribute::lifetime, lifetime);
  send(request, reply, who);
  if (!releases) {
    allocation.expires = request.now + std::chrono::seconds(lifetime);
    return;
  }
  // RFC 8656 §8.2: of a dual allocation one family may be given up alone.
  const bool keeps_other = !allocation.is_opening && family && allocation.relays[0] && allocation.relays[1];
  if (keeps_other) {
    close_relay(allocation.relay(*family));
  } else {
    end(allocation, AllocationEnd::released);
  }
}

}  // namespace dig::turn
