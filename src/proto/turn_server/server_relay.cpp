// SPDX-License-Identifier: Apache-2.0
// The path of data: Send and ChannelData from clients, datagrams from peers, and from one allocation to another.
#include <array>

#include "proto/turn_server/server_reply.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::turn {
namespace {

constexpr std::size_t k_max_datagram = 65507;  // of UDP over IPv4; a relayed datagram may be as large as came in

// RFC 8656 §11.5: destination unreachable and time exceeded; of IPv6 also packet too big.
bool is_told_to_clients(IpFamily family, std::uint8_t icmp_type) {
  return family == IpFamily::v4 ? icmp_type == 3 || icmp_type == 11 : icmp_type >= 1 && icmp_type <= 3;
}

}  // namespace

void Server::handle_channel_data(const FromClient& in, Allocation& allocation, BytesView bytes, Sink& sink) {
  const auto data = decode_channel_data(bytes);
  if (!data) return drop(Drop::malformed);
  const Channel* const channel = allocation.find_channel(in.now, data->channel);
  if (channel == nullptr) return drop(Drop::no_channel);
  send_to_peer(in.now, allocation, channel->peer, data->data, false, sink);
}

// RFC 8656 §11.2: an indication that cannot be carried out is dropped without a word.
void Server::handle_send(const FromClient& in, const stun::Message& message, Sink& sink) {
  Allocation* const allocation = find(in.client);
  if (allocation == nullptr || allocation->is_opening) return drop(Drop::no_allocation);
  for (const stun::Message::Item& item : message.attributes()) {
    if (!knows(item.type)) return drop(Drop::unknown_attribute);
  }
  const auto peer = stun::xor_address(message, stun::Attribute::xor_peer_address);
  const auto data = message.find(stun::Attribute::data);
  if (!peer || !data) return drop(Drop::malformed);
  send_to_peer(in.now, *allocation, *peer, *data, message.has(stun::Attribute::dont_fragment), sink);
}

bool Server::may_relay(Instant now, Allocation& allocation, std::size_t size, bool is_counted) {
  const ServerConfig::Limits& limits = config_.limits;
  const std::uint64_t share = is_counted ? 0 : size;
  const bool is_beyond_all = volume_left_ && share > *volume_left_;
  is_volume_used_up_ = is_volume_used_up_ || is_beyond_all;
  if (is_beyond_all || (limits.allocation_volume != 0 && allocation.bytes_relayed + size > limits.allocation_volume)) {
    drop(Drop::volume);
    return false;
  }
  if (!allocation.bandwidth.take(now, limits.allocation_bandwidth, size) ||
      !bandwidth_.take(now, limits.server_bandwidth, share)) {
    drop(Drop::bandwidth);
    return false;
  }
  allocation.bytes_relayed += size;
  bytes_relayed_ += share;
  if (volume_left_) *volume_left_ -= share;
  return true;
}

void Server::send_to_peer(Instant now, Allocation& allocation, const Endpoint& peer, BytesView payload,
                          bool dont_fragment, Sink& sink) {
  const std::optional<Relay>& relay = allocation.relay(peer.address.family());
  if (!relay) return drop(Drop::family_mismatch);
  if (!allocation.has_permission(now, peer.address)) return drop(Drop::no_permission);
  Allocation* const mirror = find_mirror(allocation, peer);
  if (config_.is_pair_relay ? mirror == nullptr : !may_be_peer(peer.address)) return drop(Drop::peer_forbidden);
  if (payload.size() > k_max_datagram) return drop(Drop::oversized);
  if (!may_relay(now, allocation, payload.size())) return;
  ++counters_.packets_to_peers;
  counters_.bytes_to_peers += payload.size();
  if (mirror != nullptr) return send_to_client(now, *mirror, relay->address, payload, sink);
  if (!is_own_relay_address(peer.address)) return sink.to_peer(relay->id, peer, payload, dont_fragment);
  // From one allocation to another of this server: in memory, without the kernel.
  const auto other = relay_of_port_.find((peer.address.is_v4() ? 0U : 1U << 16U) | peer.port);
  Allocation* const target = other == relay_of_port_.end() ? nullptr : owner_of(other->second);
  if (target != nullptr) return send_to_client(now, *target, relay->address, payload, sink);
  if (!is_shard_port(peer.port) && !may_send_to(peer.address)) return drop(Drop::own_address);
  sink.to_peer(relay->id, peer, payload, dont_fragment);
}

void Server::send_to_client(Instant now, Allocation& allocation, const Endpoint& peer, BytesView payload, Sink& sink) {
  if (!allocation.has_permission(now, peer.address)) return drop(Drop::no_permission);
  // From the other half of a pair: it was counted when that sent it, and burdens its owner's line once.
  if (!may_relay(now, allocation, payload.size(), allocation.pair.has_value())) return;
  ++counters_.packets_to_clients;
  counters_.bytes_to_clients += payload.size();
  if (const Channel* const channel = allocation.find_channel(now, peer)) {
    std::array<std::byte, k_channel_header_size> head;
    encode_channel_header(channel->number, payload.size(), head);
    const std::size_t padding = allocation.client->is_stream() ? channel_padding(payload.size()) : 0;
    return sink.to_client(*allocation.client, head, payload, padding);
  }
  // A Data indication (RFC 8656 §11.3), its payload left where it is: the attribute's header is written here, with the
  // size of what follows.
  std::array<std::byte, 64> buffer;
  stun::Writer writer(buffer, {stun::Method::data, stun::Class::indication, stun::random_transaction(rng_)});
  stun::add_xor_address(writer, stun::Attribute::xor_peer_address, peer, writer.transaction());
  const auto head = writer.finish_before(stun::Attribute::data, payload.size());
  if (!head) return drop(Drop::oversized);
  sink.to_client(*allocation.client, head->bytes, payload, head->padding);
}

// The permission is that of the peer the datagram was for: whoever sent the error is a router that has none.
void Server::handle_peer_error(const PeerError& in, Sink& sink) {
  Allocation* const allocation = owner_of(in.relay);
  if (allocation == nullptr) return drop(Drop::unknown_relay);
  if (!is_told_to_clients(in.peer.address.family(), in.icmp.type)) return drop(Drop::peer_error);
  if (!allocation->has_permission(in.now, in.peer.address)) return drop(Drop::no_permission);
  if (!may_be_peer(in.peer.address)) return drop(Drop::peer_forbidden);
  if (!allocation->peer_errors.take(in.now, config_.limits.peer_errors, 1)) return drop(Drop::peer_error);
  ++counters_.peer_errors;
  std::array<std::byte, 64> buffer;
  stun::Writer writer(buffer, {stun::Method::data, stun::Class::indication, stun::random_transaction(rng_)});
  stun::add_xor_address(writer, stun::Attribute::xor_peer_address, in.peer, writer.transaction());
  stun::add_icmp(writer, in.icmp);
  sink.to_client(*allocation->client, writer.written(), {}, 0);
}

}  // namespace dig::turn
