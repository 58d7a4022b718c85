// SPDX-License-Identifier: Apache-2.0
// The libp2p peer record (RFC 0003 of the libp2p specs): where a peer says it can be reached, signed by itself, with a
// number that rises with each new record.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "wire/identity.hpp"
#include "wire/multiaddr.hpp"
#include "wire/peer_id.hpp"

namespace dig {

struct PeerRecord {
  static constexpr std::size_t max_encoded_size = 8 * 1024;  // without the envelope
  static constexpr std::size_t max_addresses = 128;

  PeerId peer_id;
  std::uint64_t sequence = 0;
  std::vector<Multiaddr> addresses;
  // Addresses that were left out because this version does not understand them.
  std::size_t skipped = 0;

  // An encoded envelope, signed by `identity`, whose the record must be.
  [[nodiscard]] Bytes seal(const Identity& identity) const;
  // Errors: those of SignedEnvelope; oversized; malformed; peer_id_mismatch: signed by another peer.
  [[nodiscard]] static Result<PeerRecord> open(BytesView envelope);
  friend bool operator==(const PeerRecord&, const PeerRecord&) = default;
};

}  // namespace dig
