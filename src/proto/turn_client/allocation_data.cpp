// SPDX-License-Identifier: Apache-2.0
// Data to and from peers (RFC 8656 §11, §12).
#include <algorithm>

#include "proto/turn_client/allocation.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/turn_channel_data.hpp"

namespace dig::turn {
namespace {

using stun::Attribute;

constexpr std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

}  // namespace

SendResult ClientAllocation::send(Instant now, const Endpoint& peer, BytesView data) {
  if (const SendResult may = may_send(now, peer, data.size()); may != SendResult::taken) return may;
  const auto channel = channels_.number_of(peer, now);
  const MutableBytes room = output_.reserve(frame_size(channel, peer, data.size()));
  if (room.empty()) {
    wants_writable_ = true;
    return SendResult::would_block;
  }
  write_frame(channel, peer, data, room);
  count_sent(now, channel, peer, data.size());
  return SendResult::taken;
}

ClientAllocation::Framed ClientAllocation::write_datagram(Instant now, const Endpoint& peer, BytesView data,
                                                          MutableBytes out) {
  if (is_stream_) return {};
  if (const SendResult may = may_send(now, peer, data.size()); may != SendResult::taken) return {.result = may};
  const auto channel = channels_.number_of(peer, now);
  const std::size_t size = frame_size(channel, peer, data.size());
  if (size > out.size()) return {};
  write_frame(channel, peer, data, out.first(size));
  count_sent(now, channel, peer, data.size());
  return {.result = SendResult::taken, .size = size};
}

SendResult ClientAllocation::may_send(Instant now, const Endpoint& peer, std::size_t size) {
  if (phase_ != AllocationPhase::active || size > limits_.max_payload) return SendResult::refused;
  if (permissions_.is_installed(peer.address, now)) return SendResult::taken;
  return permit(now, peer.address) ? SendResult::no_permission : SendResult::refused;
}

std::size_t ClientAllocation::frame_size(std::optional<std::uint16_t> channel, const Endpoint& peer,
                                         std::size_t size) const {
  // RFC 8656 §12.5: padding is for streams; a datagram has an end of its own.
  if (channel) return k_channel_header_size + size + (is_stream_ ? channel_padding(size) : 0);
  const std::size_t address = stun::k_attribute_header_size + 4 + peer.address.bytes().size();
  const std::size_t flag = uses_dont_fragment_ ? stun::k_attribute_header_size : 0;
  return stun::k_header_size + address + flag + stun::k_attribute_header_size + padded(size);
}

void ClientAllocation::write_frame(std::optional<std::uint16_t> channel, const Endpoint& peer, BytesView data,
                                   MutableBytes out) {
  if (channel) {
    encode_channel_header(*channel, data.size(), out.first<k_channel_header_size>());
    std::ranges::copy(data, out.begin() + k_channel_header_size);
    // Zero: what was in the buffer before is nobody's business.
    std::ranges::fill(out.subspan(k_channel_header_size + data.size()), std::byte{0});
    return;
  }
  const stun::Header header{.method = stun::Method::send,
                            .message_class = stun::Class::indication,
                            .transaction = stun::random_transaction(rng_)};
  stun::Writer writer(out, header);
  stun::add_xor_address(writer, Attribute::xor_peer_address, peer, header.transaction);
  if (uses_dont_fragment_) writer.add_flag(Attribute::dont_fragment);
  writer.add(Attribute::data, data);
}

void ClientAllocation::count_sent(Instant now, std::optional<std::uint16_t> channel, const Endpoint& peer,
                                  std::size_t size) {
  ++status_.packets_sent;
  status_.bytes_sent += size;
  if (channel) {
    ++status_.channel_packets_sent;
  } else if (config_.binds_channels && !channels_.is_wanted(peer)) {
    // Without a free number the data goes on in Send indications.
    static_cast<void>(channels_.add(peer, now));
  }
}

std::optional<PeerData> ClientAllocation::handle_message(Instant now, BytesView datagram) {
  if (!datagram.empty() && starts_channel_data(datagram.front())) return handle_channel_data(now, datagram);
  const auto message = stun::Message::parse(datagram);
  if (!message) {
    ++status_.malformed;
    return std::nullopt;
  }
  if (message->is(stun::Method::data, stun::Class::indication)) return handle_data_indication(*message);
  if (message->message_class() == stun::Class::success || message->message_class() == stun::Class::error) {
    handle_response(now, *message);
  } else {
    ++status_.unexpected;
  }
  return std::nullopt;
}

std::optional<PeerData> ClientAllocation::handle_bytes(Instant now, BytesView& bytes) {
  while (phase_ != AllocationPhase::ended || transactions_.size() > 0) {
    // Without an allocation there are no channels. What looks like one is another protocol: "HTTP" does, and its length
    // would keep us waiting for more.
    const bool is_foreign = phase_ == AllocationPhase::allocating && framer_.is_idle() && !bytes.empty() &&
                            starts_channel_data(bytes.front());
    const auto frame = is_foreign
                           ? Result<std::optional<BytesView>>(fail(Errc::malformed, "the server does not speak TURN"))
                           : framer_.next(bytes);
    if (!frame) {
      ++status_.malformed;
      handle_leg_closed(now, Error(Errc::stun_bad_response, frame.error().detail()));
      break;
    }
    if (!*frame) return std::nullopt;
    if (const auto data = handle_message(now, **frame)) return data;
  }
  bytes = {};
  return std::nullopt;
}

std::optional<PeerData> ClientAllocation::handle_channel_data(Instant now, BytesView datagram) {
  const auto decoded = decode_channel_data(datagram);
  if (!decoded) {
    ++status_.malformed;
    return std::nullopt;
  }
  const Endpoint* const peer = channels_.peer_of(decoded->channel, now);
  if (phase_ != AllocationPhase::active || peer == nullptr) {
    ++status_.unknown_channel;
    return std::nullopt;
  }
  return deliver(*peer, decoded->data);
}

std::optional<PeerData> ClientAllocation::handle_data_indication(const stun::Message& message) {
  // RFC 8489 §6.3.2: an indication with an attribute that must be known and is not is discarded.
  if (stun::unknown_required(message)) {
    ++status_.unexpected;
    return std::nullopt;
  }
  const auto peer = stun::xor_address(message, Attribute::xor_peer_address);
  const auto data = message.find(Attribute::data);
  if (!peer || !data) {
    // An ICMP message about an earlier packet has no DATA (RFC 8656 §11.5): what carries the data finds out by itself.
    ++(message.has(Attribute::icmp) ? status_.unexpected : status_.malformed);
    return std::nullopt;
  }
  return deliver(*peer, *data);
}

// A peer that has been asked for counts, even if the server's consent is still on its way: packets overtake each other.
std::optional<PeerData> ClientAllocation::deliver(const Endpoint& peer, BytesView data) {
  if (phase_ != AllocationPhase::active || !permissions_.contains(peer.address)) {
    ++status_.without_permission;
    return std::nullopt;
  }
  ++status_.packets_received;
  status_.bytes_received += data.size();
  return PeerData{.peer = peer, .data = data};
}

}  // namespace dig::turn
