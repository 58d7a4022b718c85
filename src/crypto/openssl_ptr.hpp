// SPDX-License-Identifier: Apache-2.0
// Owning pointers to OpenSSL objects, without the OpenSSL headers: the headers of crypto/ stay free of them.
#pragma once

#include <memory>

#include "base/bytes.hpp"

struct evp_md_ctx_st;
struct evp_cipher_ctx_st;
struct evp_pkey_st;
struct bio_st;
struct ssl_ctx_st;
struct ssl_st;
struct x509_st;
struct x509_store_st;

namespace dig::crypto {

struct OpensslDelete {
  void operator()(evp_md_ctx_st* context) const noexcept;
  void operator()(evp_cipher_ctx_st* context) const noexcept;
  void operator()(evp_pkey_st* key) const noexcept;
  void operator()(bio_st* bio) const noexcept;
  void operator()(ssl_ctx_st* context) const noexcept;
  void operator()(ssl_st* session) const noexcept;
  void operator()(x509_st* certificate) const noexcept;
  void operator()(x509_store_st* store) const noexcept;
};

template <class T>
using OpensslPtr = std::unique_ptr<T, OpensslDelete>;

// Bytes as OpenSSL takes them.
[[nodiscard]] inline const unsigned char* octets(BytesView bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
[[nodiscard]] inline unsigned char* writable_octets(MutableBytes bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

// For calls that fail only when memory runs out or the library is broken, never because of what a peer sent.
// Throws std::runtime_error with OpenSSL's own reason.
void require_openssl(bool succeeded);

}  // namespace dig::crypto
