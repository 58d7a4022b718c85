// SPDX-License-Identifier: Apache-2.0
// The messages of circuit relay: what is accepted survives encoding.
#include <cstdint>

#include "input.hpp"
#include "wire/circuit_message.hpp"

using namespace dig;

namespace {

template <class Message>
void check(BytesView input) {
  const auto message = Message::decode(input);
  if (!message) return;
  fuzz::require(input.size() <= circuit::k_max_message_size);
  const auto again = Message::decode(message->encode());
  fuzz::require(again && *again == *message);
  fuzz::require(!circuit::status_name(message->status).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  check<circuit::HopMessage>(input);
  check<circuit::StopMessage>(input);
  return 0;
}
