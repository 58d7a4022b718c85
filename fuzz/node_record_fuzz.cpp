// SPDX-License-Identifier: Apache-2.0
// What a node signs of itself: what is accepted survives encoding, but for addresses of unknown kinds, and stays within
// its limit.
#include "input.hpp"
#include "wire/node_record.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  if (auto record = NodeRecord::decode(input)) {
    record->skipped_addresses = 0;
    const Bytes encoded = record->encode();
    const auto again = NodeRecord::decode(encoded);
    fuzz::require(again && *again == *record && encoded.size() <= NodeRecord::max_encoded_size);
    fuzz::require(record->addresses.size() <= NodeRecord::max_addresses && record->pages <= NodeRecord::max_pages);
  }
  if (const auto removal = NodeRemoval::decode(input)) {
    const auto again = NodeRemoval::decode(removal->encode());
    fuzz::require(again && *again == *removal);
  }
  return 0;
}
