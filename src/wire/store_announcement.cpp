// SPDX-License-Identifier: Apache-2.0
#include "wire/store_announcement.hpp"

#include <algorithm>

#include "node_record.pb.h"
#include "wire/node_record.hpp"
#include "wire/protobuf.hpp"
#include "wire/sequence.hpp"

namespace dig {
namespace {

// The order makes one list of stores one list of bytes, and a look-up cheap.
Result<std::vector<StoreId>> decode_stores(BytesView bytes) {
  if (bytes.empty() || bytes.size() % StoreId::size != 0) {
    return fail(Errc::malformed, "an announcement without whole store ids");
  }
  if (bytes.size() / StoreId::size > StoreAnnouncement::max_stores) {
    return fail(Errc::oversized, "an announcement with too many stores");
  }
  std::vector<StoreId> stores;
  stores.reserve(bytes.size() / StoreId::size);
  for (std::size_t at = 0; at < bytes.size(); at += StoreId::size) {
    DIG_TRY(const StoreId store, StoreId::from_bytes(bytes.subspan(at, StoreId::size)));
    if (!stores.empty() && store <= stores.back()) return fail(Errc::malformed, "announced stores that do not rise");
    stores.push_back(store);
  }
  return stores;
}

}  // namespace

bool StoreAnnouncement::has(const StoreId& store) const { return std::ranges::binary_search(stores, store); }

Result<StoreAnnouncement> StoreAnnouncement::decode(BytesView bytes) {
  DIG_TRY(const auto message, parse_protobuf<pb::StoreAnnouncement>(bytes, max_encoded_size));
  StoreAnnouncement announcement;
  DIG_TRY(announcement.peer, PeerId::from_bytes(as_bytes(message.peer_id())));
  DIG_TRY(announcement.sequence, checked_sequence(message.sequence()));
  announcement.page = message.page();
  if (announcement.page >= NodeRecord::max_pages) return fail(Errc::oversized, "too many pages of stores");
  DIG_TRY(announcement.stores, decode_stores(as_bytes(message.stores())));
  return announcement;
}

Bytes StoreAnnouncement::encode() const {
  pb::StoreAnnouncement message;
  message.set_peer_id(to_field(peer.bytes()));
  message.set_sequence(sequence);
  message.set_page(page);
  message.mutable_stores()->reserve(stores.size() * StoreId::size);
  for (const StoreId& store : stores) message.mutable_stores()->append(as_text(store.bytes));
  return serialise_protobuf(message);
}

}  // namespace dig
