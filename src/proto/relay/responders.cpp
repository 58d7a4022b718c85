// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/responders.hpp"

namespace dig::relay {

Result<HopProtocol::Request> HopProtocol::read(BytesView bytes) {
  DIG_TRY(circuit::HopMessage message, circuit::HopMessage::decode(bytes));
  switch (message.type) {
    case circuit::HopMessage::Type::reserve:
      return ReserveAsked{};
    case circuit::HopMessage::Type::connect:
      if (!message.peer) return fail(Errc::malformed, "CONNECT without a peer");
      return ConnectAsked{std::move(message.peer->id)};
    case circuit::HopMessage::Type::status:
      break;
  }
  return fail(Errc::protocol_violation, "a STATUS that nobody asked for");
}

Result<CircuitOffered> StopProtocol::read(BytesView bytes) {
  DIG_TRY(circuit::StopMessage message, circuit::StopMessage::decode(bytes));
  if (message.type != circuit::StopMessage::Type::connect) {
    return fail(Errc::protocol_violation, "a STATUS that nobody asked for");
  }
  if (!message.peer) return fail(Errc::malformed, "CONNECT without a peer");
  return CircuitOffered{std::move(message.peer->id), message.limit};
}

}  // namespace dig::relay
