// SPDX-License-Identifier: Apache-2.0
#include "proto/turn_client/credential.hpp"

#include <algorithm>

#include "crypto/secret.hpp"

namespace dig::turn {
namespace {

using stun::Attribute;
using stun::PasswordAlgorithm;

constexpr std::size_t k_max_algorithms_bytes = 128;  // two are defined; each takes four bytes

// Bytes that begin a UTF-8 character.
bool is_within_limits(BytesView value) {
  const auto begins_character = [](std::byte b) { return (b & std::byte{0xC0}) != std::byte{0x80}; };
  return !value.empty() && value.size() <= k_max_challenge_bytes &&
         std::ranges::count_if(value, begins_character) <= static_cast<std::ptrdiff_t>(k_max_challenge_characters);
}

}  // namespace

LongTermCredential::~LongTermCredential() { crypto::wipe(std::as_writable_bytes(std::span(credentials_.password))); }

Result<void> LongTermCredential::accept(const stun::Message& challenge) {
  const auto nonce = challenge.find(Attribute::nonce);
  // RFC 8489 §9.2.4 has the realm in both challenges; a 438 without it means the one we know.
  const auto realm = challenge.find(Attribute::realm);
  if (!nonce || (!realm && realm_.empty())) {
    return fail(Errc::stun_bad_response, "a challenge without NONCE or REALM");
  }
  if (!is_within_limits(*nonce) || (realm && !is_within_limits(*realm))) {
    return fail(Errc::stun_bad_response, "a NONCE or REALM beyond its size");
  }
  DIG_TRY(const Offer offer, offer_of(challenge, *nonce));

  const bool has_new_realm = realm && as_text(*realm) != realm_;
  const bool has_new_key = has_new_realm || offer.algorithm != algorithm_ || !equal(offer.algorithms, algorithms_) ||
                           offer.anonymity != uses_userhash_;
  // Requests that were under way together are challenged together, with one nonce.
  if (has_challenge() && !equal(*nonce, nonce_)) ++nonce_changes_;
  nonce_ = to_bytes(*nonce);
  if (!has_new_key) return {};
  if (has_new_realm) realm_ = as_text(*realm);
  algorithm_ = offer.algorithm;
  algorithms_ = to_bytes(offer.algorithms);
  uses_userhash_ = offer.anonymity;
  key_ = stun::LongTermKey(algorithm_, credentials_.username, realm_, credentials_.password);
  ++key_version_;
  return {};
}

Result<LongTermCredential::Offer> LongTermCredential::offer_of(const stun::Message& challenge, BytesView nonce) const {
  Offer offer;
  const auto features = stun::features_of_nonce(nonce);
  offer.anonymity = features && features->username_anonymity;
  const auto algorithms = challenge.find(Attribute::password_algorithms);
  if (features && features->password_algorithms && !algorithms) {
    // RFC 8489 §9.2.5: somebody took the list out on the way; the nonce cannot be altered unnoticed.
    return fail(Errc::turn_weak_authentication, "PASSWORD-ALGORITHMS is announced and missing");
  }
  if (algorithms) {
    if (algorithms->size() > k_max_algorithms_bytes) return fail(Errc::stun_bad_response, "PASSWORD-ALGORITHMS");
    const auto numbers = stun::decode_password_algorithms(*algorithms);
    if (!numbers) return fail(Errc::stun_bad_response, "PASSWORD-ALGORITHMS");
    // The first on the list that the client supports (RFC 8489 §9.2.5).
    const auto is_acceptable = [&](std::uint16_t number) {
      return number == static_cast<std::uint16_t>(PasswordAlgorithm::sha256) ||
             (number == static_cast<std::uint16_t>(PasswordAlgorithm::md5) && !requires_sha256_);
    };
    const auto chosen = std::ranges::find_if(*numbers, is_acceptable);
    if (chosen == numbers->end()) return fail(Errc::turn_weak_authentication, "no password algorithm in common");
    offer.algorithm = static_cast<PasswordAlgorithm>(*chosen);
    offer.algorithms = *algorithms;
  } else if (requires_sha256_) {
    return fail(Errc::turn_weak_authentication, "the server knows only MD5");
  }
  // A server does not unlearn what it could a minute ago. An attacker would like it to: the challenge is not protected.
  const bool is_less = (uses_sha256_integrity() && offer.algorithms.empty()) ||
                       (algorithm_ == PasswordAlgorithm::sha256 && offer.algorithm == PasswordAlgorithm::md5) ||
                       (uses_userhash_ && !offer.anonymity);
  if (has_challenge() && is_less) {
    return fail(Errc::turn_weak_authentication, "a challenge offers less than the one before");
  }
  return offer;
}

void LongTermCredential::sign(stun::Writer& writer) const {
  if (uses_userhash_) {
    writer.add(Attribute::userhash, stun::userhash(credentials_.username, realm_));
  } else {
    writer.add_text(Attribute::username, credentials_.username);
  }
  writer.add_text(Attribute::realm, realm_);
  writer.add(Attribute::nonce, nonce_);
  if (!uses_sha256_integrity()) {
    stun::add_integrity(writer, key_.view());
    return;
  }
  writer.add(Attribute::password_algorithms, algorithms_);
  stun::add_password_algorithm(writer, algorithm_);
  stun::add_integrity_sha256(writer, key_.view());
}

bool LongTermCredential::verify(const stun::Message& response) const {
  if (!uses_sha256_integrity()) return stun::has_valid_integrity(response, key_.view());
  // RFC 8489 §14.6: the full 32 bytes, as TURN does not say that the value may be cut.
  const auto& item = response.integrity_sha256();
  return item && item->value.size() == sizeof(crypto::Sha256Digest) &&
         stun::has_valid_integrity_sha256(response, key_.view());
}

}  // namespace dig::turn
