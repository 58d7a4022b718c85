// SPDX-License-Identifier: Apache-2.0
// The message of identify and identify push (libp2p identify spec): what a peer says about itself. Nothing in it is
// proven; it is bounded and cleaned here so that everybody above may keep and print it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/safe_text.hpp"
#include "wire/multiaddr.hpp"
#include "wire/public_key.hpp"

namespace dig {

struct Identify {
  static constexpr std::size_t max_encoded_size = 8 * 1024;
  static constexpr std::size_t max_protocols = 1024;
  static constexpr std::size_t max_protocol_size = 256;
  static constexpr std::size_t max_addresses = 128;

  std::optional<PublicKey> public_key;
  std::vector<Multiaddr> listen_addresses;
  std::vector<std::string> protocols;  // printable
  std::optional<Multiaddr> observed_address;
  SafeText protocol_version;
  SafeText agent_version;
  Bytes signed_peer_record;  // an envelope, not yet decoded
  // Addresses and protocol names that were left out because this version does not understand them.
  std::size_t skipped = 0;

  // Errors: a message, list or entry above its limit, a public key that is not acceptable, no protobuf at all.
  [[nodiscard]] static Result<Identify> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const Identify&, const Identify&) = default;
};

}  // namespace dig
