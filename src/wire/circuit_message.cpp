// SPDX-License-Identifier: Apache-2.0
#include "wire/circuit_message.hpp"

#include <algorithm>
#include <limits>

#include "circuit.pb.h"
#include "wire/protobuf.hpp"

namespace dig::circuit {
namespace {

// The cap of the message bounds the list too; an address of a kind we do not know must not cost us the others.
template <class Fields>
std::vector<Multiaddr> decode_addresses(const Fields& fields) {
  std::vector<Multiaddr> addresses;
  for (const std::string& field : fields) {
    if (auto address = Multiaddr::from_bytes(as_bytes(field))) addresses.push_back(*std::move(address));
  }
  return addresses;
}

template <class Message>
void encode_addresses(const std::vector<Multiaddr>& addresses, Message& out) {
  for (const Multiaddr& address : addresses) out.add_addrs(to_field(address.bytes()));
}

template <class Message>
Result<std::optional<Peer>> decode_peer(const Message& message) {
  if (!message.has_peer()) return std::optional<Peer>();
  auto id = PeerId::from_bytes(as_bytes(message.peer().id()));
  if (!id) return fail(Errc::malformed, "a peer without a valid id");
  return std::optional(Peer{*std::move(id), decode_addresses(message.peer().addrs())});
}

template <class Message>
void encode_peer(const std::optional<Peer>& peer, Message& out) {
  if (!peer) return;
  out.mutable_peer()->set_id(to_field(peer->id.bytes()));
  encode_addresses(peer->addresses, *out.mutable_peer());
}

std::optional<Reservation> decode_reservation(const pb::HopMessage& message) {
  if (!message.has_reservation()) return std::nullopt;
  const pb::CircuitReservation& field = message.reservation();
  constexpr std::uint64_t k_latest = std::numeric_limits<std::int64_t>::max();
  return Reservation{.expiration = {static_cast<std::int64_t>(std::min(field.expire(), k_latest))},
                     .addresses = decode_addresses(field.addrs()),
                     .voucher = to_bytes(field.voucher())};
}

void encode_reservation(const std::optional<Reservation>& reservation, pb::HopMessage& out) {
  if (!reservation) return;
  pb::CircuitReservation& field = *out.mutable_reservation();
  field.set_expire(static_cast<std::uint64_t>(std::max<std::int64_t>(0, reservation->expiration.seconds)));
  encode_addresses(reservation->addresses, field);
  if (!reservation->voucher.empty()) field.set_voucher(to_field(reservation->voucher));
}

template <class Message>
Limit decode_limit(const Message& message) {
  return {message.limit().duration(), message.limit().data()};
}

// Left out where nothing is limited: others take its mere presence for a limited circuit.
template <class Message>
void encode_limit(const Limit& limit, Message& out) {
  if (limit.is_unlimited()) return;
  out.mutable_limit()->set_duration(limit.duration);
  out.mutable_limit()->set_data(limit.data);
}

template <class Type, class Message>
Result<Type> decode_type(const Message& message, Type last) {
  const bool is_known = message.has_type() && message.type() >= 0 && message.type() <= static_cast<int>(last);
  if (!is_known) return fail(Errc::malformed, "a relay message of a type that is missing or unknown");
  return static_cast<Type>(message.type());
}

}  // namespace

std::string status_name(Status status) {
  switch (status) {
    case Status::unused:
      return "UNUSED";
    case Status::ok:
      return "OK";
    case Status::reservation_refused:
      return "RESERVATION_REFUSED";
    case Status::resource_limit_exceeded:
      return "RESOURCE_LIMIT_EXCEEDED";
    case Status::permission_denied:
      return "PERMISSION_DENIED";
    case Status::connection_failed:
      return "CONNECTION_FAILED";
    case Status::no_reservation:
      return "NO_RESERVATION";
    case Status::malformed_message:
      return "MALFORMED_MESSAGE";
    case Status::unexpected_message:
      return "UNEXPECTED_MESSAGE";
  }
  return "status " + std::to_string(static_cast<std::int32_t>(status));
}

HopMessage HopMessage::reserve() {
  HopMessage message;
  message.type = Type::reserve;
  return message;
}

HopMessage HopMessage::connect(PeerId target) {
  HopMessage message;
  message.type = Type::connect;
  message.peer = Peer{std::move(target), {}};
  return message;
}

HopMessage HopMessage::answer(Status status, const Limit& limit) {
  HopMessage message;
  message.limit = limit;
  message.status = status;
  return message;
}

Result<HopMessage> HopMessage::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::HopMessage>(bytes, k_max_message_size));
  HopMessage hop;
  DIG_TRY(hop.type, decode_type(message, Type::status));
  DIG_TRY(hop.peer, decode_peer(message));
  hop.reservation = decode_reservation(message);
  hop.limit = decode_limit(message);
  hop.status = static_cast<Status>(message.status());
  return hop;
}

Bytes HopMessage::encode() const {
  pb::HopMessage message;
  message.set_type(static_cast<int>(type));
  encode_peer(peer, message);
  encode_reservation(reservation, message);
  encode_limit(limit, message);
  if (status != Status::unused) message.set_status(static_cast<std::int32_t>(status));
  return serialise_protobuf(message);
}

StopMessage StopMessage::connect(PeerId initiator, const Limit& limit) {
  StopMessage message;
  message.type = Type::connect;
  message.peer = Peer{std::move(initiator), {}};
  message.limit = limit;
  return message;
}

StopMessage StopMessage::answer(Status status) {
  StopMessage message;
  message.status = status;
  return message;
}

Result<StopMessage> StopMessage::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::StopMessage>(bytes, k_max_message_size));
  StopMessage stop;
  DIG_TRY(stop.type, decode_type(message, Type::status));
  DIG_TRY(stop.peer, decode_peer(message));
  stop.limit = decode_limit(message);
  stop.status = static_cast<Status>(message.status());
  return stop;
}

Bytes StopMessage::encode() const {
  pb::StopMessage message;
  message.set_type(static_cast<int>(type));
  encode_peer(peer, message);
  encode_limit(limit, message);
  if (status != Status::unused) message.set_status(static_cast<std::int32_t>(status));
  return serialise_protobuf(message);
}

}  // namespace dig::circuit
