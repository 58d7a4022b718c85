// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/requests.hpp"

#include "proto/relay/protocol.hpp"

namespace dig::relay {
namespace {

template <class Message>
Result<Message> read_ok(BytesView bytes) {
  DIG_TRY(Message message, Message::decode(bytes));
  if (message.type != Message::Type::status) return fail(Errc::protocol_violation, "an answer that is no STATUS");
  if (message.status != circuit::Status::ok) return std::unexpected(refusal(message.status));
  return message;
}

}  // namespace

Bytes ReserveRequest::encode() const { return circuit::HopMessage::reserve().encode(); }

Result<GrantedReservation> ReserveRequest::read_answer(BytesView bytes) const {
  DIG_TRY(circuit::HopMessage message, read_ok<circuit::HopMessage>(bytes));
  if (!message.reservation) return fail(Errc::malformed, "a grant without its reservation");
  GrantedReservation granted{.expiration = message.reservation->expiration,
                             .addresses = std::move(message.reservation->addresses),
                             .limit = message.limit,
                             .voucher = std::nullopt};
  if (!message.reservation->voucher.empty()) {
    DIG_TRY(granted.voucher, ReservationVoucher::open(message.reservation->voucher));
    if (granted.voucher->relay != relay || granted.voucher->peer != client) {
      return fail(Errc::peer_id_mismatch, "a reservation voucher for others");
    }
  }
  return granted;
}

Bytes ConnectRequest::encode() const { return circuit::HopMessage::connect(target).encode(); }

Result<circuit::Limit> ConnectRequest::read_answer(BytesView bytes) const {
  DIG_TRY(const circuit::HopMessage message, read_ok<circuit::HopMessage>(bytes));
  return message.limit;
}

Bytes StopRequest::encode() const { return circuit::StopMessage::connect(initiator, limit).encode(); }

Result<void> StopRequest::read_answer(BytesView bytes) const {
  DIG_CHECK(read_ok<circuit::StopMessage>(bytes));
  return {};
}

}  // namespace dig::relay
