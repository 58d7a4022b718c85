// SPDX-License-Identifier: Apache-2.0
// The requests of an allocation.
#include <algorithm>
#include <array>

#include "proto/turn_client/allocation.hpp"
#include "wire/stun_attributes.hpp"

namespace dig::turn {
namespace {

using stun::Attribute;
using stun::Method;

// Requests that keep the allocation itself find room whatever its permissions and channels ask for.
constexpr std::size_t k_reserved_transactions = 2;

std::uint32_t in_seconds(Duration duration) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

}  // namespace

template <class AddAttributes>
std::optional<stun::RequestId> ClientAllocation::send_request(Instant now, Kind kind, std::uint32_t challenges,
                                                              AddAttributes add) {
  constexpr std::array k_methods{Method::allocate, Method::refresh, Method::refresh, Method::create_permission,
                                 Method::channel_bind};
  const stun::Header header{.method = k_methods[static_cast<std::size_t>(kind)],
                            .message_class = stun::Class::request,
                            .transaction = stun::random_transaction(rng_)};
  std::array<std::byte, k_max_request> buffer;
  stun::Writer writer(buffer, header);
  add(writer, header.transaction);
  const bool is_authenticated = credential_ && credential_->has_challenge();
  if (is_authenticated) credential_->sign(writer);
  const auto started = transactions_.start(now, writer.written(), config_.server);
  if (!started) return std::nullopt;
  pending_.push_back({.id = *started,
                      .kind = kind,
                      .is_authenticated = is_authenticated,
                      .challenges = challenges,
                      .key_version = is_authenticated ? credential_->key_version() : 0});
  return *started;
}

void ClientAllocation::send_allocate(Instant now, std::uint32_t challenges) {
  send_request(now, Kind::allocate, challenges, [&](stun::Writer& writer, const stun::TransactionId&) {
    stun::add_requested_transport(writer, stun::k_transport_udp);
    writer.add_u32(Attribute::lifetime, in_seconds(config_.lifetime));
    // IPv4 is what a server allocates when no family is asked for (RFC 8656 §7.1); RFC 5766 knows no other.
    if (config_.families == RelayFamilies::ipv6) {
      stun::add_address_family(writer, Attribute::requested_address_family, stun::AddressFamily::ipv6);
    } else if (config_.families == RelayFamilies::both) {
      stun::add_address_family(writer, Attribute::additional_address_family, stun::AddressFamily::ipv6);
    }
    if (config_.even_port) stun::add_even_port(writer, *config_.even_port == EvenPort::even_and_next_reserved);
    if (config_.reservation_token) writer.add_u64(Attribute::reservation_token, *config_.reservation_token);
    if (uses_dont_fragment_) writer.add_flag(Attribute::dont_fragment);
  });
}

void ClientAllocation::send_refresh(Instant now, Kind kind, std::uint32_t challenges) {
  // Without REQUESTED-ADDRESS-FAMILY: both addresses of a dual allocation (RFC 8656 §8.1).
  send_request(now, kind, challenges, [&](stun::Writer& writer, const stun::TransactionId&) {
    writer.add_u32(Attribute::lifetime, kind == Kind::release ? 0 : in_seconds(config_.lifetime));
  });
}

std::optional<stun::RequestId> ClientAllocation::send_create_permission(Instant now,
                                                                        const std::vector<IpAddress>& peers,
                                                                        std::uint32_t challenges) {
  return send_request(now, Kind::create_permission, challenges,
                      [&](stun::Writer& writer, const stun::TransactionId& transaction) {
                        for (const IpAddress& peer : peers) {  // the port is ignored (RFC 8656 §10.1)
                          stun::add_xor_address(writer, Attribute::xor_peer_address, {peer, 0}, transaction);
                        }
                      });
}

std::optional<stun::RequestId> ClientAllocation::send_channel_bind(Instant now, const Channels::Due& channel,
                                                                   std::uint32_t challenges) {
  return send_request(now, Kind::channel_bind, challenges,
                      [&](stun::Writer& writer, const stun::TransactionId& transaction) {
                        stun::add_channel_number(writer, channel.number);
                        stun::add_xor_address(writer, Attribute::xor_peer_address, channel.peer, transaction);
                      });
}

void ClientAllocation::send_due(Instant now) {
  const auto has_room = [&] { return transactions_.size() + k_reserved_transactions < limits_.max_transactions; };
  while (has_room() && permissions_.has_due()) {
    const std::vector<IpAddress> batch = permissions_.next_batch(now, limits_.max_batch);
    const auto request = send_create_permission(now, batch, 0);
    if (!request) return;
    permissions_.mark_requested(batch, *request);
  }
  while (has_room()) {
    const auto due = channels_.next_due();
    if (!due) return;
    const auto request = send_channel_bind(now, *due, 0);
    if (!request) return;
    channels_.mark_requested(due->number, *request, now);
  }
}

// The same as before, in a new transaction and with what the last challenge said.
void ClientAllocation::send_again(Instant now, const Pending& request) {
  switch (request.kind) {
    case Kind::allocate:
      send_allocate(now, request.challenges);
      break;
    case Kind::refresh:
    case Kind::release:
      send_refresh(now, request.kind, request.challenges);
      break;
    case Kind::create_permission: {
      const std::vector<IpAddress> peers = permissions_.peers_of(request.id);
      if (peers.empty()) break;  // revoked meanwhile
      if (const auto again = send_create_permission(now, peers, request.challenges)) {
        permissions_.mark_requested(peers, *again);
      }
      break;
    }
    case Kind::channel_bind:
      if (const auto channel = channels_.of_request(request.id)) {
        const auto again = send_channel_bind(now, *channel, request.challenges);
        if (again) channels_.mark_requested(channel->number, *again, now);
      }
      break;
  }
}

}  // namespace dig::turn
