// SPDX-License-Identifier: Apache-2.0
// Frames into a Noise transport: per operation one byte (what to do) and one length byte. Honest frames must come back
// unchanged; anything else must fail, leave no plaintext and stay failed.
#include <algorithm>
#include <cstdlib>

#include "base/rng.hpp"
#include "proto/noise/transport.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SeededRng rng(1);
  crypto::Secret<32> one, other;
  rng.fill(one.mutable_view());
  rng.fill(other.mutable_view());
  noise::Transport sender(one, other, {.empty_frames = 8});
  noise::Transport receiver(other, one, {.empty_frames = 8});
  BytesView input = std::as_bytes(std::span(data, size));
  while (input.size() >= 2) {
    const auto operation = std::to_integer<unsigned>(input[0]) % 4;
    const std::size_t length = std::min<std::size_t>(std::to_integer<std::size_t>(input[1]), input.size() - 2);
    const BytesView content = input.subspan(2, length);
    input = input.subspan(2 + length);

    Bytes frame(noise::Transport::length_size);
    append(frame, content);
    frame.resize(length + noise::Transport::overhead);
    sender.seal_frame(frame, length);
    const MutableBytes ciphertext = MutableBytes(frame).subspan(noise::Transport::length_size);
    const bool was_failed = receiver.snapshot().is_failed;
    Bytes out(512, std::byte{0});
    bool is_honest = true;
    if (operation == 1) ciphertext[length % ciphertext.size()] ^= std::byte{1}, is_honest = false;
    if (operation == 2) is_honest = false;  // raw input instead of the frame
    const auto opened = receiver.open_frame(operation == 2 ? content : BytesView(ciphertext), out);
    if (opened && (!is_honest || was_failed)) std::abort();
    if (opened && !equal(BytesView(out).first(*opened), content)) std::abort();
    if (!opened && std::ranges::any_of(out, [](std::byte b) { return b != std::byte{0}; })) std::abort();
    if (!opened && opened.error().code() == Errc::decrypt_failed && !receiver.snapshot().is_failed) std::abort();
    if (!opened && is_honest && !was_failed && opened.error().code() != Errc::flood) std::abort();
  }
  return 0;
}
