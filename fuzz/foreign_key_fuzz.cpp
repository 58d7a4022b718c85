// SPDX-License-Identifier: Apache-2.0
// Public keys and signatures of peers. First byte: the key type; second: the size of the signature at the end.
#include <algorithm>
#include <cstdlib>

#include "wire/identity.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const BytesView input = std::as_bytes(std::span(data, size)).subspan(2);
  const std::size_t signature_size = std::min<std::size_t>(data[1] * 2u, input.size());
  const PublicKey key{static_cast<KeyType>(data[0] % 5), to_bytes(input.first(input.size() - signature_size))};
  const auto verified = verify_signature(key, as_bytes("message"), input.last(signature_size));
  if (!verified) {
    const Errc code = verified.error().code();
    if (code != Errc::bad_public_key && code != Errc::bad_signature) std::abort();
  }
  const bool is_acceptable = check_public_key(key).has_value();
  if (verified && !is_acceptable) std::abort();
  return 0;
}
