// SPDX-License-Identifier: Apache-2.0
// The yamux header: what is accepted encodes to the same 12 bytes.
#include <array>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "wire/yamux_frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  const auto header = dig::YamuxHeader::decode(input);
  if (!header) return 0;
  std::array<std::byte, dig::YamuxHeader::size> again{};
  header->encode(again);
  if (!dig::equal(again, input)) std::abort();
  return 0;
}
