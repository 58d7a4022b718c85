// SPDX-License-Identifier: Apache-2.0
// A Noise handshake against a peer that the input plays. First byte: our role and whether the peer knows the
// cryptography (then the rest is the payload of its message 2 or 3) or sends the rest as raw bytes, in pieces.
#include <cstdlib>

#include "proto/noise/handshake.hpp"
#include "proto/noise/testing/raw_party.hpp"

namespace {

using namespace dig;

void feed_in_pieces(noise::Handshake& handshake, BytesView bytes, std::size_t piece) {
  while (!bytes.empty() && !handshake.is_over()) {
    const BytesView part = bytes.first(std::min(piece, bytes.size()));
    const std::size_t used = handshake.handle_bytes(part);
    if (used > part.size()) std::abort();
    if (used < part.size() && !handshake.is_over()) std::abort();
    bytes = bytes.subspan(used);
  }
}

Bytes poll_all(noise::Handshake& handshake) {
  Bytes out(8192);
  out.resize(handshake.poll_bytes(out));
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static SeededRng seed(1);
  static const Identity identity = Identity::generate(seed);
  SeededRng rng(2);
  const BytesView input = std::as_bytes(std::span(data, size)).subspan(1);
  const bool is_initiator = (data[0] & 1) != 0;
  const bool knows_noise = (data[0] & 2) != 0;
  noise::Handshake handshake({.role = is_initiator ? noise::Role::initiator : noise::Role::responder,
                              .identity = identity,
                              .muxers = {"/yamux/1.0.0"}},
                             rng);
  if (!knows_noise) {
    feed_in_pieces(handshake, input, (data[0] >> 2) + 1u);
  } else if (input.size() < 8192) {
    noise::testing::RawParty party(rng);
    if (is_initiator) {
      (void)handshake.handle_bytes(party.message_2(poll_all(handshake), input));
    } else {
      (void)handshake.handle_bytes(party.message_1());
      (void)handshake.handle_bytes(party.message_3(poll_all(handshake), input));
    }
    if (!handshake.is_over()) std::abort();
  }
  if (handshake.snapshot().buffered_bytes > noise::HandshakeLimits{}.message_bytes + 4096) std::abort();
  handshake.handle_eof();
  const auto result = handshake.take_result();
  if (!result) std::abort();
  // Nobody but the holder of an identity key makes a handshake succeed, and the input has none.
  if (result->has_value() && (*result)->peer == identity.peer_id()) std::abort();
  return 0;
}
