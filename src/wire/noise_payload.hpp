// SPDX-License-Identifier: Apache-2.0
// The payload of Noise messages 2 and 3 (libp2p noise spec): who sends it, the proof of that, and the muxers it offers.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/public_key.hpp"

namespace dig {

struct NoisePayload {
  static constexpr std::size_t max_encoded_size = 4096;
  static constexpr std::size_t max_signature = 512;  // RSA-4096
  static constexpr std::size_t max_muxers = 16;
  static constexpr std::size_t max_muxer_name = 256;

  PublicKey identity_key;
  Bytes identity_key_bytes;         // as they came; encode() writes the canonical form of identity_key
  Bytes signature;                  // over "noise-libp2p-static-key:" and the static key; not verified here
  std::vector<std::string> muxers;  // in the sender's order of preference; printable

  // Key and signature must be there. More muxers than the limit, or unprintable ones, are an error.
  [[nodiscard]] static Result<NoisePayload> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const NoisePayload&, const NoisePayload&) = default;
};

}  // namespace dig
