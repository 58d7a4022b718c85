// SPDX-License-Identifier: Apache-2.0
#include "crypto/x25519.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>

namespace dig::crypto {
namespace {

struct DeriveContextDelete {
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
};

}  // namespace

X25519KeyPair X25519KeyPair::generate(Rng& rng) {
  Secret<32> private_key;
  rng.fill(private_key.mutable_view());
  return X25519KeyPair(private_key);
}

X25519KeyPair::X25519KeyPair(const Secret<32>& private_key)
    : key_(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, octets(private_key.view()), 32)) {
  require_openssl(key_ != nullptr);
  std::size_t size = public_key_.size();
  require_openssl(EVP_PKEY_get_raw_public_key(key_.get(), writable_octets(public_key_), &size) == 1);
}

Result<Secret<32>> X25519KeyPair::agree(BytesView peer_public_key) const {
  if (peer_public_key.size() != 32) return fail(Errc::bad_public_key, "an X25519 key has 32 bytes");
  const OpensslPtr<evp_pkey_st> peer(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, octets(peer_public_key), 32));
  const std::unique_ptr<EVP_PKEY_CTX, DeriveContextDelete> context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  require_openssl(peer != nullptr && context != nullptr);
  require_openssl(EVP_PKEY_derive_init(context.get()) == 1);
  require_openssl(EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1);
  Secret<32> shared;
  std::size_t size = Secret<32>::size;
  const bool is_derived = EVP_PKEY_derive(context.get(), writable_octets(shared.mutable_view()), &size) == 1;
  if (!is_derived || secure_equal(shared.view(), Secret<32>().view())) {
    ERR_clear_error();
    return fail(Errc::bad_public_key, "X25519 point of small order");
  }
  return shared;
}

}  // namespace dig::crypto
