// SPDX-License-Identifier: Apache-2.0
// Certificates that name a peer: nobody is named without his signature over the certificate's key, and nothing behind
// one is taken for a part of it.
#include <cstdint>

#include "input.hpp"
#include "wire/peer_certificate.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  static const Bytes spki(91, std::byte{7});
  (void)verify_signed_key(input, spki);  // the content of the extension alone
  const auto peer = peer_of_certificate(input);
  if (!peer) return 0;
  fuzz::require(!peer->empty());
  Bytes longer = to_bytes(input);
  longer.push_back(std::byte{0});
  fuzz::require(!peer_of_certificate(longer));
  return 0;
}
