// SPDX-License-Identifier: Apache-2.0
// STUN and ChannelData on a stream: cutting it changes nothing.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "wire/stun_framer.hpp"

namespace {

struct Outcome {
  std::vector<dig::Bytes> frames;
  bool has_failed = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run(dig::BytesView input, std::size_t step) {
  Outcome outcome;
  dig::stun::Framer framer(2000);
  while (!input.empty() && !outcome.has_failed) {
    dig::BytesView piece = input.first(std::min(step, input.size()));
    input = input.subspan(piece.size());
    for (;;) {
      const auto frame = framer.next(piece);
      outcome.has_failed = !frame;
      if (!frame || !*frame) break;
      if ((*frame)->size() > 2000) std::abort();
      outcome.frames.push_back(dig::to_bytes(**frame));
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  const Outcome whole = run(input, size + 1);
  if (run(input, 1) != whole || run(input, 7) != whole) std::abort();
  return 0;
}
