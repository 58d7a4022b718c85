// SPDX-License-Identifier: Apache-2.0
#include "wire/dial_back_order.hpp"

#include "dial_back_order.pb.h"
#include "wire/protobuf.hpp"

namespace dig::autonat {

Result<DialBackOrder> DialBackOrder::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::DialBackOrder>(bytes, max_encoded_size));
  if (!message.has_nonce()) return fail(Errc::malformed, "an order to dial back without a nonce");
  DialBackOrder order{.peer = {}, .address = {}, .nonce = message.nonce()};
  DIG_TRY(order.peer, PeerId::from_bytes(as_bytes(message.peer())));
  DIG_TRY(order.address, Multiaddr::from_bytes(as_bytes(message.address())));
  return order;
}

Bytes DialBackOrder::encode() const {
  pb::DialBackOrder message;
  message.set_peer(to_field(peer.bytes()));
  message.set_address(to_field(address.bytes()));
  message.set_nonce(nonce);
  return serialise_protobuf(message);
}

Result<DialBackReport> DialBackReport::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::DialBackReport>(bytes, max_encoded_size));
  // An unknown outcome reads as absent in proto2.
  if (!message.has_outcome()) return fail(Errc::malformed, "a report of a dial-back without a known outcome");
  return DialBackReport{static_cast<DialBackOutcome>(message.outcome())};
}

Bytes DialBackReport::encode() const {
  pb::DialBackReport message;
  message.set_outcome(static_cast<pb::DialBackReport::Outcome>(outcome));
  return serialise_protobuf(message);
}

}  // namespace dig::autonat
