// SPDX-License-Identifier: Apache-2.0
// The lines of multistream-select: what is accepted is one clean line that encodes to the same bytes.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "base/frame_reader.hpp"
#include "wire/multistream_message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  const auto line = dig::decode_multistream_line(input);
  if (!line) return 0;
  dig::Bytes encoded;
  dig::append_multistream_line(encoded, *line);
  dig::FrameReader reader(dig::k_max_multistream_message);
  if (reader.feed(encoded) != encoded.size() || reader.take_frame() != dig::to_bytes(input)) std::abort();
  return 0;
}
