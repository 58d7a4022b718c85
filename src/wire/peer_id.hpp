// SPDX-License-Identifier: Apache-2.0
// PeerId: the multihash of a libp2p public key. Keys of at most 42 encoded bytes are inlined (identity multihash),
// others are hashed with SHA-256 (peer-ids spec).
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/public_key.hpp"

namespace dig {

class PeerId {
 public:
  static constexpr std::size_t max_size = 44;  // identity multihash of 42 bytes

  PeerId() = default;  // empty: no peer
  [[nodiscard]] static PeerId from_public_key(const PublicKey& key);
  // The multihash bytes: identity (1..42 bytes that decode to a PublicKey) or sha2-256.
  [[nodiscard]] static Result<PeerId> from_bytes(BytesView multihash);
  // base58btc ("12D3KooW…", "Qm…") or CIDv1 with codec libp2p-key in base32, base36 or base58 ("bafz…", "k51…").
  [[nodiscard]] static Result<PeerId> parse(std::string_view text);

  [[nodiscard]] bool empty() const noexcept { return multihash_.empty(); }
  [[nodiscard]] BytesView bytes() const noexcept { return as_bytes(multihash_); }
  [[nodiscard]] std::string to_string() const;  // base58btc
  [[nodiscard]] std::string to_cid() const;     // CIDv1, base32
  // The key, when it is inlined.
  [[nodiscard]] std::optional<PublicKey> public_key() const;

  friend auto operator<=>(const PeerId&, const PeerId&) = default;

 private:
  std::string multihash_;  // a string for its small-buffer and comparison operators
};

}  // namespace dig

template <>
struct std::hash<dig::PeerId> {
  std::size_t operator()(const dig::PeerId& id) const noexcept {
    return std::hash<std::string_view>{}(dig::as_text(id.bytes()));
  }
};
