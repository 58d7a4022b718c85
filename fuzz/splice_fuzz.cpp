// SPDX-License-Identifier: Apache-2.0
// A circuit inside the relay under any order of reads, writes, ends and time: what comes out is what went in, within
// the limit. The first bytes choose the limit and the buffer, then each operation is one byte and, where it needs one,
// its size.
#include <algorithm>
#include <array>
#include <cstdint>

#include "input.hpp"
#include "proto/relay/splice.hpp"

using namespace dig;
using fuzz::require;
using relay::CircuitEnd;

namespace {

struct Direction {
  std::uint64_t received = 0;
  std::uint64_t written = 0;
};
std::byte at(CircuitEnd from, std::uint64_t place) {
  return static_cast<std::byte>(place * 7 + place / 256 + (from == CircuitEnd::hop ? 1 : 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in{data, size};
  const circuit::Limit limit{.duration = in.byte() % 16U, .data = in.byte() * std::uint64_t{4}};
  Instant now{};
  relay::Splice splice(now, limit, {.buffer = in.byte() + std::size_t{1}, .drain = 5s});
  std::array<Direction, 2> directions;
  while (in.size > 0) {
    const std::uint8_t operation = in.byte();
    const CircuitEnd end = operation % 2 == 0 ? CircuitEnd::hop : CircuitEnd::stop;
    Direction& from = directions[static_cast<std::size_t>(end)];
    Direction& to = directions[static_cast<std::size_t>(other_end(end))];
    switch (operation / 2 % 4) {
      case 0: {
        const MutableBytes space = splice.receive_space(end);
        const std::size_t count = std::min<std::size_t>(space.size(), in.byte());
        for (std::size_t i = 0; i < count; ++i) space[i] = at(end, from.received + i);
        splice.handle_received(now, end, count);
        from.received += count;
        break;
      }
      case 1: {
        const BytesView ready = splice.output(end);
        const std::size_t count = std::min<std::size_t>(ready.size(), in.byte());
        for (std::size_t i = 0; i < count; ++i) require(ready[i] == at(other_end(end), to.written + i));
        splice.handle_written(end, count);
        to.written += count;
        require(limit.data == 0 || to.written <= limit.data);
        require(count == 0 || limit.duration == 0 || now < Instant{} + std::chrono::seconds(limit.duration));
        break;
      }
      case 2:
        splice.handle_eof(end);
        break;
      default:
        now = now + std::chrono::milliseconds(in.byte() * 10);
        splice.handle_timeout(now);
        break;
    }
    require(splice.snapshot().buffered_bytes <= 512);
    if (splice.result() && *splice.result()) {
      require(directions[0].received == directions[0].written && directions[1].received == directions[1].written);
    }
  }
  return 0;
}
