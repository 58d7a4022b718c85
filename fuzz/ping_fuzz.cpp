// SPDX-License-Identifier: Apache-2.0
// Both halves of ping: the input is split into operations of one byte (which, and how long) and their bytes.
#include <algorithm>
#include <cstdlib>

#include "proto/ping/ping.hpp"

using namespace dig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SeededRng rng(1);
  Instant now{};
  ping::Initiator initiator;
  ping::Responder responder;
  Bytes to_responder;
  Bytes expected;  // all that the responder took
  std::size_t echoed = 0;
  Bytes out(64);
  BytesView input = std::as_bytes(std::span(data, size));
  while (!input.empty()) {
    const auto operation = std::to_integer<unsigned>(input[0]);
    const std::size_t length = std::min<std::size_t>(operation / 8, input.size() - 1);
    const BytesView content = input.subspan(1, length);
    input = input.subspan(1 + length);
    switch (operation % 8) {
      case 0:
        (void)initiator.start(now, rng);
        break;
      case 1:
        append(to_responder, BytesView(out).first(initiator.poll_bytes(MutableBytes(out).first(length))));
        break;
      case 2:
        append(to_responder, content);
        break;
      case 3: {
        const std::size_t used = responder.handle_bytes(to_responder);
        append(expected, BytesView(to_responder).first(used));
        to_responder.erase(to_responder.begin(), to_responder.begin() + static_cast<std::ptrdiff_t>(used));
        break;
      }
      case 4: {
        const std::size_t got = responder.poll_bytes(MutableBytes(out).first(length));
        if (!equal(BytesView(out).first(got), BytesView(expected).subspan(echoed, got))) std::abort();
        echoed += got;
        initiator.handle_bytes(now, BytesView(out).first(got));
        break;
      }
      case 5:
        initiator.handle_bytes(now, content);
        break;
      case 6:
        now = now + std::chrono::seconds(length);
        break;
      default:
        initiator.handle_timeout(now);
        break;
    }
    if (responder.snapshot().buffered_bytes > 4 * ping::k_payload_size) std::abort();
    const auto result = initiator.take_result();
    if (result && *result && **result > std::chrono::seconds(10)) std::abort();
  }
  return 0;
}
