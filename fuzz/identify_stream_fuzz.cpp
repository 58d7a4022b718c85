// SPDX-License-Identifier: Apache-2.0
// What a peer may send on an identify stream, in pieces of the first byte's size.
#include <algorithm>
#include <cstdlib>

#include "proto/identify/identify_stream.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  identify::Reader reader{PeerId()};
  BytesView input = std::as_bytes(std::span(data, size)).subspan(1);
  while (!input.empty()) {
    const BytesView part = input.first(std::min<std::size_t>(data[0] + 1u, input.size()));
    reader.handle_bytes(part);
    if (reader.snapshot().buffered_bytes > 2 * Identify::max_encoded_size) std::abort();
    input = input.subspan(part.size());
  }
  reader.handle_eof();
  if (!reader.result()) std::abort();
  const auto& message = *reader.result();
  if (!message) return 0;
  if (message->public_key) std::abort();  // no key belongs to the empty PeerId
  identify::Sender sender(*message);
  identify::Reader again{PeerId()};
  Bytes out(100);
  while (const std::size_t sent = sender.poll_bytes(out)) again.handle_bytes(BytesView(out).first(sent));
  again.handle_eof();
  Identify expected = *message;
  expected.skipped = 0;  // what was left out is not sent on
  if (!again.result() || !*again.result() || **again.result() != expected) std::abort();
  return 0;
}
