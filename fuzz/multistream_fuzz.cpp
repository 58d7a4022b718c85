// SPDX-License-Identifier: Apache-2.0
// A multistream-select negotiation, as dialler (first byte even) or listener, with any input in pieces.
#include <algorithm>
#include <cstdlib>

#include "proto/multistream/negotiator.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::vector<std::string> protocols{"/noise", "/a", "/yamux/1.0.0"};
  auto negotiator =
      data[0] % 2 == 0 ? multistream::Negotiator::dial(protocols) : multistream::Negotiator::listen(protocols);
  const std::size_t piece = data[0] / 2 + 1u;
  BytesView input = std::as_bytes(std::span(data, size)).subspan(1);
  Bytes out(64);
  while (!input.empty() && !negotiator.result()) {
    const BytesView part = input.first(std::min(piece, input.size()));
    const std::size_t used = negotiator.handle_bytes(part);
    if (used > part.size() || (used < part.size() && !negotiator.result())) std::abort();
    input = input.subspan(used);
    if (negotiator.snapshot().buffered_bytes > 4096) std::abort();
    while (negotiator.poll_bytes(out) > 0) {
    }
  }
  negotiator.handle_eof();
  if (!negotiator.result()) std::abort();
  const auto& result = *negotiator.result();
  if (result && std::ranges::find(protocols, *result) == protocols.end()) std::abort();
  return 0;
}
