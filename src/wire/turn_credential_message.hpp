// SPDX-License-Identifier: Apache-2.0
// The messages of /dignet/turn-credentials/1.0.0 as plain structs. A decoded message has every field it needs, and each
// is within its limit. What a response says about servers is the responder's claim: whoever uses them asks the address
// policy first.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/peer_id.hpp"
#include "wire/stun_uri.hpp"

namespace dig {

struct TurnCredentialRequest {
  static constexpr std::size_t max_encoded_size = 128;

  PeerId target;

  [[nodiscard]] static Result<TurnCredentialRequest> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const TurnCredentialRequest&, const TurnCredentialRequest&) = default;
};

enum class TurnRelayKind : std::uint8_t {
  pair = 1,  // to the target only, which needs the mirrored credential of the same relay
  open = 2,  // to any public address
};

struct TurnCredentials {
  static constexpr std::size_t max_username = 508;  // RFC 8489 §14.3
  static constexpr std::size_t max_password = 256;
  static constexpr std::size_t max_servers = 16;
  static constexpr std::size_t max_server_size = 300;
  static constexpr std::chrono::seconds max_lifetime = std::chrono::hours(24);

  TurnRelayKind kind = TurnRelayKind::pair;
  std::string username;  // not empty and printable, like the password
  std::string password;
  std::chrono::seconds expires_in{};
  std::vector<StunUri> servers;  // at least one, TURN each
  friend bool operator==(const TurnCredentials&, const TurnCredentials&) = default;
};

enum class TurnCredentialStatus : std::uint8_t { ok = 0, refused = 1, busy = 2, not_offered = 3, malformed = 4 };

struct TurnCredentialResponse {
  static constexpr std::size_t max_encoded_size = 8 * 1024;

  TurnCredentialStatus status = TurnCredentialStatus::ok;
  std::optional<TurnCredentials> credentials;  // with `ok` and only with `ok`

  // Servers that are not understood are left out; `unsupported` when none is left, or the kind is unknown.
  [[nodiscard]] static Result<TurnCredentialResponse> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const TurnCredentialResponse&, const TurnCredentialResponse&) = default;
};

}  // namespace dig
