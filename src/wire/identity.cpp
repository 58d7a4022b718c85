// SPDX-License-Identifier: Apache-2.0
#include "wire/identity.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"
#include "crypto/foreign_keys.hpp"
#include "crypto/hash.hpp"

namespace dig {
namespace {

// Field 1 (Type) = 1 (Ed25519), field 2 (Data) of 64 bytes.
constexpr std::array k_file_header = {std::byte{0x08}, std::byte{0x01}, std::byte{0x12}, std::byte{0x40}};

}  // namespace

Identity::Identity(crypto::Ed25519KeyPair key)
    : key_(std::move(key)),
      public_key_(PublicKey::ed25519(key_.public_key())),
      peer_id_(PeerId::from_public_key(public_key_)) {}

Identity Identity::generate(Rng& rng) { return Identity(crypto::Ed25519KeyPair::generate(rng)); }

Result<Identity> Identity::from_seed(BytesView seed) {
  DIG_TRY(auto key, crypto::Ed25519KeyPair::from_seed(seed));
  return Identity(std::move(key));
}

IpAddress Identity::crypto_ipv6() const { return dig::crypto_ipv6(public_key_); }

IpAddress crypto_ipv6(const PublicKey& key) {
  const crypto::Sha256Digest digest = crypto::sha256(key.data);
  std::array<std::uint8_t, 16> octets{0xfd, 0x00};
  for (std::size_t i = 2; i < octets.size(); ++i) octets[i] = std::to_integer<std::uint8_t>(digest[i]);
  return IpAddress::v6(octets);
}

Result<void> verify_signature(const PublicKey& key, BytesView message, BytesView signature) {
  switch (key.type) {
    case KeyType::ed25519:
      return crypto::ed25519_verify(key.data, message, signature);
    case KeyType::secp256k1:
      return crypto::secp256k1_verify(key.data, message, signature);
    case KeyType::ecdsa:
      return crypto::ecdsa_p256_verify(key.data, message, signature);
    case KeyType::rsa:
      return crypto::rsa_verify(key.data, message, signature);
  }
  return fail(Errc::bad_public_key, "key type");
}

Result<void> check_public_key(const PublicKey& key) {
  switch (key.type) {
    case KeyType::ed25519:
      return crypto::check_ed25519_key(key.data);
    case KeyType::secp256k1:
      return crypto::check_secp256k1_key(key.data);
    case KeyType::ecdsa:
      return crypto::check_ecdsa_p256_key(key.data);
    case KeyType::rsa:
      return crypto::check_rsa_key(key.data);
  }
  return fail(Errc::bad_public_key, "key type");
}

crypto::Secret<k_identity_file_size> encode_identity_file(const Identity& identity) {
  crypto::Secret<k_identity_file_size> content;
  auto out = content.mutable_view().begin();
  out = std::ranges::copy(k_file_header, out).out;
  out = std::ranges::copy(identity.key_pair().seed().view(), out).out;
  std::ranges::copy(identity.key_pair().public_key(), out);
  return content;
}

Result<Identity> decode_identity_file(BytesView content) {
  ByteReader reader(content);
  if (content.size() != k_identity_file_size) return fail(Errc::identity_malformed, "an identity file has 68 bytes");
  DIG_TRY(const BytesView header, reader.bytes(k_file_header.size()));
  DIG_TRY(const BytesView seed, reader.bytes(32));
  DIG_TRY(const BytesView public_key, reader.bytes(32));
  if (!equal(header, k_file_header)) return fail(Errc::identity_malformed, "not an Ed25519 private key");
  DIG_TRY(Identity identity, Identity::from_seed(seed));
  if (!crypto::secure_equal(identity.key_pair().public_key(), public_key)) {
    return fail(Errc::identity_malformed, "the public key does not belong to the private key");
  }
  return identity;
}

}  // namespace dig
