// SPDX-License-Identifier: Apache-2.0
// The identify message: what is accepted survives encoding, apart from what was skipped.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/identify_message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  const auto decoded = dig::Identify::decode(input);
  if (!decoded) return 0;
  const auto again = dig::Identify::decode(decoded->encode());
  if (!again || again->protocols != decoded->protocols || again->listen_addresses != decoded->listen_addresses ||
      again->skipped != 0)
    std::abort();
  return 0;
}
