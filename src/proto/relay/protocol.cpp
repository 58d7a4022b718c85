// SPDX-License-Identifier: Apache-2.0
#include "proto/relay/protocol.hpp"

namespace dig::relay {
namespace {

Errc code_of(circuit::Status status) {
  switch (status) {
    case circuit::Status::reservation_refused:
      return Errc::relay_reservation_refused;
    case circuit::Status::resource_limit_exceeded:
      return Errc::relay_limit_exceeded;
    case circuit::Status::permission_denied:
      return Errc::relay_permission_denied;
    case circuit::Status::connection_failed:
      return Errc::relay_connection_failed;
    case circuit::Status::no_reservation:
      return Errc::relay_no_reservation;
    default:
      return Errc::relay_refused;
  }
}

}  // namespace

Error refusal(circuit::Status status) { return Error(code_of(status), circuit::status_name(status)); }

}  // namespace dig::relay
