// SPDX-License-Identifier: Apache-2.0
#include "proto/noise/symmetric_state.hpp"

#include <algorithm>

namespace dig::noise {

SymmetricState::SymmetricState(std::string_view protocol_name, BytesView prologue) {
  std::ranges::copy(as_bytes(protocol_name).first(std::min(protocol_name.size(), hash_.size())), hash_.begin());
  std::ranges::copy(hash_, chaining_key_.mutable_view().begin());
  mix_hash(prologue);
}

void SymmetricState::mix_hash(BytesView data) { hash_ = crypto::sha256({hash_, data}); }

void SymmetricState::mix_key(BytesView input) {
  crypto::Secret<64> keys;
  crypto::hkdf_sha256(chaining_key_.view(), input, {}, keys.mutable_view());
  std::ranges::copy(keys.view().first<32>(), chaining_key_.mutable_view().begin());
  crypto::Secret<32> cipher_key;
  std::ranges::copy(keys.view().last<32>(), cipher_key.mutable_view().begin());
  cipher_.emplace(cipher_key);
  nonce_ = 0;
}

void SymmetricState::encrypt_and_hash(BytesView plaintext, Bytes& out) {
  const std::size_t start = out.size();
  append(out, plaintext);
  if (cipher_) {
    out.resize(out.size() + crypto::Aead::tag_size);
    cipher_->seal_in_place(MutableBytes(out).subspan(start), plaintext.size(), nonce_++, hash_);
  }
  mix_hash(BytesView(out).subspan(start));
}

Result<Bytes> SymmetricState::decrypt_and_hash(BytesView ciphertext) {
  Bytes plaintext = to_bytes(ciphertext);
  if (cipher_) {
    DIG_TRY(const std::size_t size, cipher_->open(ciphertext, plaintext, nonce_, hash_));
    ++nonce_;
    plaintext.resize(size);
  }
  mix_hash(ciphertext);
  return plaintext;
}

std::pair<crypto::Secret<32>, crypto::Secret<32>> SymmetricState::split() const {
  crypto::Secret<64> keys;
  crypto::hkdf_sha256(chaining_key_.view(), {}, {}, keys.mutable_view());
  std::pair<crypto::Secret<32>, crypto::Secret<32>> result;
  std::ranges::copy(keys.view().first<32>(), result.first.mutable_view().begin());
  std::ranges::copy(keys.view().last<32>(), result.second.mutable_view().begin());
  return result;
}

}  // namespace dig::noise
