// SPDX-License-Identifier: Apache-2.0
// What comes in and whom it concerns, the relayed sockets, and time.
#include "proto/turn_server/server.hpp"

#include <algorithm>
#include <utility>

#include "proto/turn_server/server_reply.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::turn {
namespace {

constexpr Duration k_sweep_interval = 1s;

PortPool::Range range_of(const ServerConfig& config, bool has_address) {
  PortPool::Range range = config.ports;
  if (!has_address) range.first = 1, range.last = 0;  // no ports of a family that is not served
  return range;
}

std::uint32_t port_key(IpFamily family, std::uint16_t port) { return (family == IpFamily::v6 ? 1U << 16U : 0U) | port; }

// Calls visit(segment) for each datagram of a batch.
template <class Visit>
void for_each_segment(BytesView bytes, std::uint16_t segment_size, Visit visit) {
  if (segment_size == 0) return visit(bytes);
  while (!bytes.empty()) {
    const std::size_t size = std::min<std::size_t>(segment_size, bytes.size());
    visit(bytes.first(size));
    bytes = bytes.subspan(size);
  }
}

}  // namespace

Server::Server(ServerConfig config, const CredentialSource& credentials, QuotaBook& quotas, Rng& rng)
    : config_(std::move(config)),
      credentials_(credentials),
      quotas_(quotas),
      rng_(rng),
      nonces_(rng, config_.limits.nonce_lifetime),
      limiter_(rng, config_.limits.replies),
      pools_{PortPool(rng, range_of(config_, config_.is_pair_relay || config_.relay_v4)),
             PortPool(rng, range_of(config_, config_.is_pair_relay || config_.relay_v6))},
      allocations_(0, ClientPathHash{rng.u64()}),
      pairs_(config_.limits.max_pair_allocations) {
  if (config_.limits.server_volume != 0) volume_left_ = config_.limits.server_volume;
}

Server::~Server() = default;

// --- what comes in ------------------------------------------------------------------------------------------------

void Server::route(const FromClient& in, Sink& sink) {
  Allocation* allocation = nullptr;
  bool is_looked_up = false;
  for_each_segment(in.bytes, in.segment_size, [&](BytesView segment) {
    if (segment.empty() || !starts_channel_data(segment.front())) {
      handle_message(in, segment, sink);
      is_looked_up = false;  // the message may have made or ended the allocation
      return;
    }
    if (!std::exchange(is_looked_up, true)) allocation = find(in.client);
    if (allocation == nullptr) return drop(Drop::no_allocation);
    handle_channel_data(in, *allocation, segment, sink);
  });
}

void Server::route(const FromPeer& in, Sink& sink) {
  Allocation* const allocation = owner_of(in.relay);
  for_each_segment(in.bytes, in.segment_size, [&](BytesView segment) {
    if (allocation == nullptr) return drop(Drop::unknown_relay);
    send_to_client(in.now, *allocation, in.peer, segment, sink);
  });
}

void Server::handle_message(const FromClient& in, BytesView bytes, Sink& sink) {
  const auto message = stun::Message::parse(bytes);
  if (!message) {
    drop(Drop::malformed);
    if (in.client.is_stream()) events_.push_back(CloseClient{in.client});
    return;
  }
  if (message->fingerprint() && !stun::has_valid_fingerprint(*message)) return drop(Drop::bad_fingerprint);
  if (message->message_class() == stun::Class::request) {
    handle_request({in.now, in.wall, in.client, *message, sink});
  } else if (message->is(stun::Method::send, stun::Class::indication)) {
    handle_send(in, *message, sink);
  } else if (!message->is(stun::Method::binding, stun::Class::indication)) {  // that one is a keepalive
    drop(Drop::unexpected_class);
  }
}

void Server::handle_request(const Request& request) {
  const stun::Method method = request.message.method();
  if (method == stun::Method::binding) return handle_binding(request);
  auto who = authenticate(request);
  if (!who) return;
  limiter_.prove(request.now, request.client.remote.address);
  if (refuse_unknown_attributes(request, &*who)) return;
  if (method == stun::Method::allocate) return handle_allocate(request, *who);
  if (method != stun::Method::refresh && method != stun::Method::create_permission &&
      method != stun::Method::channel_bind) {
    return refuse(request, &*who, 400);
  }
  Allocation* const allocation = find(request.client);
  if (allocation == nullptr) return refuse(request, &*who, 437);
  if (allocation->quota.user() != who->username) return refuse(request, &*who, 441);
  if (method == stun::Method::refresh) {
    handle_refresh(request, *who, *allocation);
  } else if (allocation->is_opening) {
    refuse(request, &*who, 437);
  } else if (method == stun::Method::create_permission) {
    handle_create_permission(request, *who, *allocation);
  } else {
    handle_channel_bind(request, *who, *allocation);
  }
}

// --- answers ------------------------------------------------------------------------------------------------------

void Server::send(const Request& request, Reply& reply) {
  if (request.message.fingerprint()) reply.add_fingerprint();
  const BytesView bytes = reply.bytes();
  if (bytes.empty()) return drop(Drop::oversized);
  if (!request.client.is_verified() &&
      !limiter_.allows(request.now, request.client.remote.address, request.message.bytes().size(), bytes.size())) {
    return drop(Drop::reply_limit);
  }
  request.sink.to_client(request.client, bytes, {}, 0);
}

void Server::send(const Request& request, Reply& reply, const Authenticated& who) {
  reply.sign(who);
  if (request.message.fingerprint()) reply.add_fingerprint();
  // Whoever knows the key has received the nonce: the address is verified.
  if (!reply.bytes().empty()) request.sink.to_client(request.client, reply.bytes(), {}, 0);
}

void Server::refuse(const Request& request, const Authenticated* who, std::uint16_t code) {
  counters_.refuse(code);
  Reply reply(request.message, stun::Class::error);
  // The words are for people; an unverified source gets none, as they would only make the answer larger.
  stun::add_error(reply.writer(), code, who != nullptr ? stun::reason_of(code) : std::string_view());
  if (who != nullptr) return send(request, reply, *who);
  send(request, reply);
}

bool Server::refuse_unknown_attributes(const Request& request, const Authenticated* who) {
  std::array<std::uint16_t, 8> unknown{};
  std::size_t count = 0;
  for (const stun::Message::Item& item : request.message.attributes()) {
    if (knows(item.type) || count == unknown.size()) continue;
    unknown[count++] = static_cast<std::uint16_t>(item.type);
  }
  if (count == 0) return false;
  counters_.refuse(420);
  Reply reply(request.message, stun::Class::error);
  stun::add_error(reply.writer(), 420);
  stun::add_unknown_attributes(reply.writer(), std::span(unknown).first(count));
  if (who != nullptr) {
    send(request, reply, *who);
  } else {
    send(request, reply);
  }
  return true;
}

// What RFC 5780 adds is unknown to a server with one address.
bool Server::knows(stun::Attribute type) const noexcept {
  const bool is_discovery = type == stun::Attribute::change_request || type == stun::Attribute::padding ||
                            type == stun::Attribute::response_port;
  return is_discovery ? config_.discovery.has_value() : stun::is_understood(type);
}

// --- allocations and their relays ---------------------------------------------------------------------------------

bool Server::is_channel_bound(Instant now, const ClientPath& client, std::uint16_t channel) const {
  const auto found = allocations_.find(client);
  return found != allocations_.end() && found->second.find_channel(now, channel) != nullptr;
}

Allocation* Server::find(const ClientPath& client) {
  const auto found = allocations_.find(client);
  return found == allocations_.end() ? nullptr : &found->second;
}

Allocation* Server::owner_of(RelayId relay) {
  const auto found = relays_.find(relay);
  return found == relays_.end() ? nullptr : found->second;
}

std::optional<IpAddress> Server::relay_address(IpFamily family) const noexcept {
  return family == IpFamily::v6 ? config_.relay_v6 : config_.relay_v4;
}

void Server::close_relay(std::optional<Relay>& relay) {
  if (!relay) return;
  if (relay->is_open) relay_of_port_.erase(port_key(relay->family(), relay->address.port));
  if (relays_.erase(relay->id) > 0) events_.push_back(CloseRelay{relay->id});
  pool(relay->family()).give_back(relay->address.port);
  relay.reset();
}

void Server::end(Allocation& allocation, AllocationEnd why) {
  // The client never learned the token.
  if (allocation.is_opening && allocation.reservation) {
    for (PortPool& ports : pools_) ports.cancel(*allocation.reservation);
  }
  for (auto& relay : allocation.relays) close_relay(relay);
  if (allocation.pair) pairs_.remove(allocation);
  ++counters_.allocations_ended;
  events_.push_back(AllocationEnded{*allocation.client, allocation.quota.user(), why, allocation.bytes_relayed});
  const ClientPath client = *allocation.client;  // the key must not be of what is erased
  allocations_.erase(client);
}

void Server::handle_relay_opened(Instant now, RelayId id, const Result<void>& result, Sink& sink) {
  Allocation* const allocation = owner_of(id);
  if (allocation == nullptr) return;  // ended meanwhile; the shell was told to close it
  for (auto& relay : allocation->relays) {
    if (!relay || relay->id != id || relay->is_open) continue;
    if (!result) return retry_relay(now, *allocation, *relay, result.error(), sink);
    relay->is_open = true;
    relay_of_port_[port_key(relay->family(), relay->address.port)] = id;
  }
  const bool is_waiting =
      std::ranges::any_of(allocation->relays, [](const auto& relay) { return relay && !relay->is_open; });
  if (allocation->is_opening && !is_waiting) answer_allocate(now, *allocation, sink);
}

void Server::handle_client_closed(Instant /*now*/, const ClientPath& client) {
  if (Allocation* const allocation = find(client)) end(*allocation, AllocationEnd::client_closed);
}

void Server::drain(std::optional<Endpoint> alternate) {
  is_draining_ = true;
  alternate_ = std::move(alternate);
}

// --- time ---------------------------------------------------------------------------------------------------------

void Server::handle_timeout(Instant now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + k_sweep_interval;
  for (PortPool& ports : pools_) ports.expire(now);
  std::vector<Allocation*> expired;
  for (auto& [client, allocation] : allocations_) {
    if (allocation.expires <= now) {
      expired.push_back(&allocation);
      continue;
    }
    std::erase_if(allocation.permissions, [&](const Permission& permission) { return permission.expires <= now; });
    // A channel that has expired keeps its number for its peer for a while (RFC 8656 §12: five minutes).
    std::erase_if(allocation.channels, [&](const Channel& channel) { return channel.expires + 5min <= now; });
  }
  for (Allocation* const allocation : expired) end(*allocation, AllocationEnd::expired);
}

std::optional<Instant> Server::next_timeout() const {
  const bool has_work = !allocations_.empty() || pools_[0].reservations() + pools_[1].reservations() > 0;
  return has_work ? std::optional(next_sweep_) : std::nullopt;
}

std::optional<ServerEvent> Server::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace dig::turn
