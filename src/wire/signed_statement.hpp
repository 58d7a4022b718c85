// SPDX-License-Identifier: Apache-2.0
// What a peer says of itself, in a signed envelope: the key in the envelope must be the one of the peer in the payload.
// A Statement has `peer`, `sequence`, `domain`, `payload_type`, decode() and encode().
#pragma once

#include "wire/signed_envelope.hpp"

namespace dig {

template <class Statement>
[[nodiscard]] SignedEnvelope sign_statement(const Identity& identity, const Statement& statement) {
  return SignedEnvelope::seal(identity, Statement::domain, as_bytes(Statement::payload_type), statement.encode());
}

template <class Statement>
[[nodiscard]] bool is_statement(const SignedEnvelope& envelope) {
  return equal(envelope.payload_type, as_bytes(Statement::payload_type));
}

// Everything but the signature, which costs a hundred times more to check. Errors: malformed, oversized,
// bad_public_key (not Ed25519, the key of every node), record_of_another_peer.
template <class Statement>
[[nodiscard]] Result<Statement> read_unverified(const SignedEnvelope& envelope) {
  if (!is_statement<Statement>(envelope)) return fail(Errc::malformed, "an envelope with something else in it");
  if (envelope.public_key.type != KeyType::ed25519) return fail(Errc::bad_public_key, "a node has an Ed25519 key");
  DIG_TRY(Statement statement, Statement::decode(envelope.payload));
  if (statement.peer != envelope.signer()) return fail(Errc::record_of_another_peer);
  return statement;
}

template <class Statement>
[[nodiscard]] Result<void> verify_statement(const SignedEnvelope& envelope) {
  return envelope.verify(Statement::domain, as_bytes(Statement::payload_type));
}

// Both; the errors of both.
template <class Statement>
[[nodiscard]] Result<Statement> read_statement(const SignedEnvelope& envelope) {
  DIG_TRY(Statement statement, read_unverified<Statement>(envelope));
  DIG_CHECK(verify_statement<Statement>(envelope));
  return statement;
}

}  // namespace dig
