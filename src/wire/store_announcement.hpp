// SPDX-License-Identifier: Apache-2.0
// One page of the stores that a node holds, signed by it like its record. A page lives as long as the node's record
// does, and counts while its number is below the record's `pages`.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/hash256.hpp"
#include "wire/peer_id.hpp"

namespace dig {

struct StoreAnnouncement {
  static constexpr std::string_view domain = "dignet-store-announcement";
  static constexpr std::string_view payload_type = "/dignet/store-announcement/1";
  static constexpr std::size_t max_stores = 1024;
  static constexpr std::size_t max_encoded_size = max_stores * StoreId::size + 256;

  PeerId peer;
  std::uint64_t sequence = 0;  // as in NodeRecord, for each page by itself
  std::uint32_t page = 0;
  std::vector<StoreId> stores;  // rising, 1 … max_stores

  [[nodiscard]] bool has(const StoreId& store) const;

  // Errors: malformed, oversized, bad_peer_id.
  [[nodiscard]] static Result<StoreAnnouncement> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const StoreAnnouncement&, const StoreAnnouncement&) = default;
};

}  // namespace dig
