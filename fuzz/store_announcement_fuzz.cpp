// SPDX-License-Identifier: Apache-2.0
// Pages of announced stores: what is accepted survives encoding, and each of its stores is found on it.
#include "input.hpp"
#include "wire/node_record.hpp"
#include "wire/store_announcement.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto page = StoreAnnouncement::decode(std::as_bytes(std::span(data, size)));
  if (!page) return 0;
  const Bytes encoded = page->encode();
  const auto again = StoreAnnouncement::decode(encoded);
  fuzz::require(again && *again == *page && encoded.size() <= StoreAnnouncement::max_encoded_size);
  fuzz::require(page->page < NodeRecord::max_pages && !page->stores.empty());
  for (const StoreId& store : page->stores) fuzz::require(page->has(store));
  return 0;
}
