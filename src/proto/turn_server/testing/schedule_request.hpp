// SPDX-License-Identifier: Apache-2.0
// The requests of a schedule: what a client means, and the bytes that say it. Test-only.
#pragma once

#include "proto/turn_server/testing/server_model.hpp"
#include "wire/stun_attributes.hpp"
#include "wire/stun_integrity.hpp"

namespace dig::turn::testing {

inline constexpr std::string_view k_schedule_realm = "example.org";

// How a request shows who sent it: rightly, or with one thing wrong.
enum class Proof : std::uint8_t {
  good,
  none,
  wrong_password,
  unknown_user,
  wrong_realm,
  foreign_nonce,  // that another client was given
  broken_nonce,
  no_username,
  no_realm,
  no_nonce,
  bid_down,  // the strong algorithm taken out of the list
  count
};

// How a client authenticates itself.
struct Habit {
  bool uses_sha256 = false;
  bool uses_userhash = false;
};

struct Ask {
  std::size_t client = 0;
  stun::Method method = stun::Method::allocate;
  std::string user;
  Proof proof = Proof::good;
  stun::TransactionId transaction{};
  bool has_unknown_attribute = false;
  AllocateWish wish;                      // Allocate
  std::optional<std::uint32_t> lifetime;  // Refresh
  std::optional<std::uint8_t> family;     // Refresh
  std::vector<Peer> peers;                // CreatePermission, ChannelBind
  std::optional<std::uint16_t> number;    // ChannelBind
  std::string nonce;
  Instant nonce_made;
  Bytes bytes;
};

[[nodiscard]] std::string_view method_name(stun::Method method);
// "user" has the password "pass", "other" has "word".
[[nodiscard]] std::string_view password_of(std::string_view user);
[[nodiscard]] stun::LongTermKey key_of(std::string_view user, const Habit& habit);
[[nodiscard]] Bytes encode(const Ask& ask, const Habit& habit);

// The error that the credentials of a request deserve at `now`, 0 for none (RFC 8489 §9.2.4).
[[nodiscard]] int refusal_of_proof(const Ask& ask, Instant now, Duration nonce_lifetime);
// Of the answer to a stranger: nothing but what RFC 8489 asks for is in it.
[[nodiscard]] std::size_t stranger_answer_size(int code, std::size_t nonce_size);
[[nodiscard]] constexpr std::size_t attribute_size(std::size_t value) { return 4 + (value + 3) / 4 * 4; }

}  // namespace dig::turn::testing
