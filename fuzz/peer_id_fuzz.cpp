// SPDX-License-Identifier: Apache-2.0
// Peer ids and public keys, as bytes and as text.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/peer_id.hpp"

namespace {

void check(const dig::PeerId& id) {
  if (dig::PeerId::from_bytes(id.bytes()) != id) std::abort();
  if (dig::PeerId::parse(id.to_string()) != id || dig::PeerId::parse(id.to_cid()) != id) std::abort();
  if (const auto key = id.public_key()) {
    if (dig::PeerId::from_public_key(*key) != id) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  if (const auto id = dig::PeerId::from_bytes(input)) check(*id);
  if (const auto id = dig::PeerId::parse(dig::as_text(input))) check(*id);
  if (const auto key = dig::PublicKey::decode(input)) {
    if (!dig::equal(key->encode(), input)) std::abort();  // only the canonical encoding is accepted
    check(dig::PeerId::from_public_key(*key));
  }
  return 0;
}
