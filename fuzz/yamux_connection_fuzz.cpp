// SPDX-License-Identifier: Apache-2.0
// A yamux connection after its handshake, against a peer that holds the keys: the input is cut into plaintexts, which
// are sealed and fed in pieces; some are fed as they are, which must end the connection.
#include <algorithm>
#include <cstdint>
#include <variant>

#include "proto/connection/yamux_connection.hpp"

namespace {

using namespace dig;

crypto::Secret<32> key_of(std::byte fill) {
  crypto::Secret<32> key;
  std::ranges::fill(key.mutable_view(), fill);
  return key;
}

noise::Transport transport_of(bool is_dialer) {
  const crypto::Secret<32> forth = key_of(std::byte{1});
  const crypto::Secret<32> back = key_of(std::byte{2});
  return is_dialer ? noise::Transport(forth, back) : noise::Transport(back, forth);
}

// Reads all that is readable and echoes it, as a careless protocol would.
void serve_events(YamuxConnection& connection, Instant now) {
  Bytes buffer(4096);
  while (const auto event = connection.poll_event()) {
    if (const auto* readable = std::get_if<StreamReadable>(&*event)) {
      while (true) {
        const auto read = connection.read(now, readable->stream, buffer);
        if (!read || (read->size == 0 && !read->is_end)) break;
        (void)connection.write(readable->stream, BytesView(buffer).first(read->size));
        if (read->is_end) connection.finish(readable->stream);
        if (read->is_end) break;
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  Instant now{100s};
  const bool is_dialer = data[0] % 2 == 0;
  noise::Transport peer = transport_of(!is_dialer);
  YamuxConnection connection(is_dialer ? Direction::outbound : Direction::inbound,
                             upgrade::Upgraded{.peer = {},
                                               .key = {},
                                               .transport = transport_of(is_dialer),
                                               .leftover_ciphertext = {},
                                               .leftover_plaintext = {}},
                             {.max_inbound_streams = 8, .max_receive_memory = 600'000}, now);
  BytesView rest(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  Bytes out(8192);
  while (rest.size() >= 2) {
    const auto what = std::to_integer<std::uint8_t>(rest[0]);
    const std::size_t count = std::min<std::size_t>(std::to_integer<std::size_t>(rest[1]), rest.size() - 2);
    const BytesView piece = rest.subspan(2, count);
    rest = rest.subspan(2 + count);
    if (what == 0xFF) {
      connection.handle_bytes(now, piece);
    } else {
      Bytes frame(count + noise::Transport::overhead);
      if (!piece.empty()) std::memcpy(frame.data() + noise::Transport::length_size, piece.data(), count);
      peer.seal_frame(frame, count);
      const std::size_t cut = std::min<std::size_t>(what, frame.size());
      connection.handle_bytes(now, BytesView(frame).first(cut));
      connection.handle_bytes(now, BytesView(frame).subspan(cut));
    }
    serve_events(connection, now);
    while (connection.poll_bytes(now, out) > 0) serve_events(connection, now);
    now = now + 50ms;
    connection.handle_timeout(now);
  }
  connection.handle_eof(now);
  serve_events(connection, now);
  if (!connection.snapshot().is_closed) __builtin_trap();
  return 0;
}
