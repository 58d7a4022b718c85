// SPDX-License-Identifier: Apache-2.0
// Requests and responses of the store exchange: what is accepted survives encoding and stays within its limit.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/store_message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  if (const auto request = dig::decode_store_request(input)) {
    const dig::Bytes encoded = dig::encode_store_request(*request);
    const auto again = dig::decode_store_request(encoded);
    if (!again || *again != *request || encoded.size() > dig::k_max_store_request) std::abort();
  }
  if (const auto response = dig::decode_store_response(input)) {
    const dig::Bytes encoded = dig::encode_store_response(*response);
    const auto again = dig::decode_store_response(encoded);
    if (!again || *again != *response || encoded.size() > dig::k_max_store_response) std::abort();
  }
  return 0;
}
