// SPDX-License-Identifier: Apache-2.0
// The messages of AutoNAT v2: what is accepted survives encoding, within its limits.
#include "wire/autonat_message.hpp"

#include "input.hpp"

using namespace dig;
using namespace dig::autonat;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  if (const auto message = decode_message(input)) {
    if (const auto* request = std::get_if<DialRequest>(&*message)) {
      require(request->addresses.size() <= k_max_addresses);
    }
    if (const auto* response = std::get_if<DialDataResponse>(&*message)) {
      require(response->data.size() <= k_max_dial_data);
    }
    const auto again = decode_message(encode_message(*message));
    require(again && *again == *message);
  }
  if (const auto dial_back = DialBack::decode(input)) {
    require(DialBack::decode(dial_back->encode()).value() == *dial_back);
  }
  static_cast<void>(DialBackResponse::decode(input));
  return 0;
}
