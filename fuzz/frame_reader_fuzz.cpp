// SPDX-License-Identifier: Apache-2.0
// Length-prefixed frames and varints: cutting the stream changes nothing, and no more is held than was received.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "base/frame_reader.hpp"
#include "base/uvarint.hpp"

namespace {

constexpr std::size_t k_max_frame = 300;

struct Outcome {
  std::vector<dig::Bytes> frames;
  bool failed = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run(dig::BytesView input, std::size_t step) {
  Outcome outcome;
  dig::FrameReader reader(k_max_frame);
  while (!input.empty() && !outcome.failed) {
    const auto taken = reader.feed(input.first(std::min(step, input.size())));
    outcome.failed = !taken;
    if (reader.buffered() > k_max_frame + dig::k_max_uvarint_size) std::abort();
    if (taken) input = input.subspan(*taken);
    if (auto frame = reader.take_frame()) outcome.frames.push_back(*std::move(frame));
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dig::BytesView input = std::as_bytes(std::span(data, size));
  const Outcome whole = run(input, size + 1);
  if (run(input, 1) != whole || run(input, 7) != whole) std::abort();
  dig::ByteReader reader(input);
  if (const auto value = dig::read_uvarint(reader)) {
    dig::Bytes again;
    dig::write_uvarint(again, *value);
    if (!dig::equal(again, input.first(size - reader.remaining()))) std::abort();
  }
  return 0;
}
