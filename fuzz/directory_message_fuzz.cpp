// SPDX-License-Identifier: Apache-2.0
// Requests and responses of the directory: what is accepted survives encoding and stays within its limit.
#include "input.hpp"
#include "wire/directory_message.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  if (const auto request = decode_directory_request(input)) {
    const Bytes encoded = encode_directory_request(*request);
    const auto again = decode_directory_request(encoded);
    fuzz::require(again && *again == *request && encoded.size() <= k_max_directory_message);
  }
  if (const auto response = decode_directory_response(input)) {
    const Bytes encoded = encode_directory_response(*response);
    const auto again = decode_directory_response(encoded);
    fuzz::require(again && *again == *response && encoded.size() <= k_max_directory_message);
  }
  return 0;
}
