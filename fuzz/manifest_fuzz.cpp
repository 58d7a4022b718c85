// SPDX-License-Identifier: Apache-2.0
// Manifests, alone and signed: what is accepted survives encoding.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  if (const auto manifest = dig::Manifest::decode(input)) {
    const auto again = dig::Manifest::decode(manifest->encode());
    if (!again || *again != *manifest) std::abort();
  }
  if (const auto manifest = dig::SignedManifest::decode(input)) {
    const auto again = dig::SignedManifest::decode(manifest->encode());
    if (!again || *again != *manifest) std::abort();
  }
  return 0;
}
