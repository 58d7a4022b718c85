// SPDX-License-Identifier: Apache-2.0
// The payload of the Noise handshake.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/noise_payload.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  const auto decoded = dig::NoisePayload::decode(input);
  if (!decoded) return 0;
  const auto again = dig::NoisePayload::decode(decoded->encode());
  if (!again || *again != *decoded) std::abort();
  return 0;
}
