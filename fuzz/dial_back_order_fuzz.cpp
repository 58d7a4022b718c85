// SPDX-License-Identifier: Apache-2.0
// The messages of /dignet/dial-back/1.0.0: what is accepted survives encoding.
#include "wire/dial_back_order.hpp"

#include "input.hpp"

using namespace dig;
using namespace dig::autonat;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  if (const auto order = DialBackOrder::decode(input)) {
    require(!order->peer.empty() && !order->address.empty());
    const auto again = DialBackOrder::decode(order->encode());
    require(again && *again == *order);
  }
  if (const auto report = DialBackReport::decode(input)) {
    require(report->outcome <= DialBackOutcome::not_delivered);
    require(DialBackReport::decode(report->encode()).value() == *report);
  }
  return 0;
}
