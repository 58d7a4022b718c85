// SPDX-License-Identifier: Apache-2.0
#include "proto/one_port/datagram_router.hpp"

#include "wire/turn_channel_data.hpp"

namespace dig::one_port {
namespace {

// First bytes, the last one of each range (RFC 7983 §7, RFC 9443 §3).
constexpr std::uint8_t k_last_stun = 3;
constexpr std::uint8_t k_last_reserved = 19;
constexpr std::uint8_t k_last_dtls = 63;
constexpr std::uint8_t k_last_channel = 79;
constexpr std::uint8_t k_last_short_header = 127;
constexpr std::uint8_t k_last_rtp = 191;

// RFC 9000 §17.2.1: a packet of version 0, whose fixed bit means nothing. Only who dials gets one.
bool is_version_negotiation(BytesView datagram) {
  constexpr std::array<std::byte, 4> k_no_version{};
  return datagram.size() >= 5 && equal(datagram.subspan(1, 4), k_no_version);
}

}  // namespace

std::string_view to_text(Refusal refusal) noexcept {
  switch (refusal) {
    case Refusal::empty:
      return "empty";
    case Refusal::not_stun:
      return "not_stun";
    case Refusal::reserved:
      return "reserved";
    case Refusal::rtp:
      return "rtp";
  }
  return "";
}

Destination DatagramRouter::refuse(Refusal why) noexcept {
  ++status_.refused[static_cast<std::size_t>(why)];
  return Destination::refused;
}

Destination DatagramRouter::destination_of(const Received& in, const Tuple& tuple, BytesView datagram) {
  const Destination destination = [&] {
    if (datagram.empty()) return refuse(Refusal::empty);
    const auto first = std::to_integer<std::uint8_t>(datagram.front());
    if (first <= k_last_stun) return stun::is_stun(datagram) ? of_stun(tuple, datagram) : refuse(Refusal::not_stun);
    if (first <= k_last_reserved) return refuse(Refusal::reserved);
    if (first <= k_last_dtls) return tuple.is_ice_validated ? Destination::webrtc : Destination::turn_dtls;
    if (first <= k_last_channel) return of_channel_or_quic(in, tuple, datagram);
    if (first <= k_last_short_header || first > k_last_rtp) return Destination::quic;
    const bool is_answer = tuple.has_quic_connection && is_version_negotiation(datagram);
    return is_answer ? Destination::quic : refuse(Refusal::rtp);
  }();
  ++status_.datagrams[static_cast<std::size_t>(destination)];
  return destination;
}

// A connection may move to a 5-tuple on which there was none (RFC 9000 §9): a connection id of ours decides in any
// case.
Destination DatagramRouter::of_channel_or_quic(const Received& in, const Tuple& tuple, BytesView datagram) const {
  if (!tuple.has_allocation || state_.begins_with_connection_id(datagram.subspan(1))) return Destination::quic;
  if (!tuple.has_quic_connection) return Destination::channel_data;  // what it is not, the TURN server drops by name
  const auto data = turn::decode_channel_data(datagram);             // the length fits, and padding is at most 3
  const bool is_data = data && state_.is_channel_bound(in.now, in.local, in.remote, data->channel);
  return is_data ? Destination::channel_data : Destination::quic;
}

Destination DatagramRouter::of_stun(const Tuple& tuple, BytesView datagram) const {
  const stun::Header header = stun::header_of(datagram);
  const bool is_binding = header.method == stun::Method::binding;
  switch (header.message_class) {
    case stun::Class::request:
      return is_binding && is_ice_check(datagram) ? Destination::ice : Destination::stun_server;
    case stun::Class::indication:
      if (is_binding && tuple.is_ice_validated) return Destination::ice;  // RFC 8445 §11: a keepalive
      return header.method == stun::Method::data ? Destination::stun_client : Destination::stun_server;
    case stun::Class::success:
    case stun::Class::error:
      break;
  }
  return is_binding && state_.is_ice_transaction(header.transaction) ? Destination::ice : Destination::stun_client;
}

bool DatagramRouter::is_ice_check(BytesView request) const {
  const auto message = stun::Message::parse(request);
  const auto username = message ? message->find(stun::Attribute::username) : std::nullopt;
  if (!username) return false;
  const std::size_t colon = as_text(*username).find(':');
  return colon != std::string_view::npos && state_.is_ice_fragment(as_text(username->first(colon)));
}

}  // namespace dig::one_port
