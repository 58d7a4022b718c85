// SPDX-License-Identifier: Apache-2.0
// The messages of /dignet/dial-back/1.0.0 (proto/autonat/dial_back_helper.hpp says what they are for).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/multiaddr.hpp"
#include "wire/peer_id.hpp"

namespace dig::autonat {

struct DialBackOrder {
  static constexpr std::size_t max_encoded_size = 2048;

  PeerId peer;
  Multiaddr address;
  std::uint64_t nonce = 0;

  [[nodiscard]] static Result<DialBackOrder> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const DialBackOrder&, const DialBackOrder&) = default;
};

// How a dial-back ended.
enum class DialBackOutcome : std::uint8_t {
  not_tried = 0,      // this server would not or could not dial
  dialled_back = 1,   // the peer was there and has taken the nonce
  not_connected = 2,  // nobody, or somebody else, was reached at the address
  not_delivered = 3,  // the peer was there, but did not take the nonce
};

struct DialBackReport {
  static constexpr std::size_t max_encoded_size = 64;

  DialBackOutcome outcome = DialBackOutcome::not_tried;

  [[nodiscard]] static Result<DialBackReport> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const DialBackReport&, const DialBackReport&) = default;
};

}  // namespace dig::autonat
