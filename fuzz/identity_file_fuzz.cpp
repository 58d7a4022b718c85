// SPDX-License-Identifier: Apache-2.0
// The content of a key file: what is accepted must be written back unchanged.
#include <cstdlib>

#include "wire/identity.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input = std::as_bytes(std::span(data, size));
  const auto identity = decode_identity_file(input);
  if (!identity) {
    if (identity.error().code() != Errc::identity_malformed) std::abort();
    return 0;
  }
  if (!equal(encode_identity_file(*identity).view(), input)) std::abort();
  return 0;
}
