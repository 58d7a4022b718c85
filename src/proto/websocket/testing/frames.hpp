// SPDX-License-Identifier: Apache-2.0
// Sessions whose handshake is over, and frames as the other end would send them. Test-only.
#pragma once

#include <string>
#include <string_view>

#include "proto/websocket/session.hpp"

namespace dig::websocket::testing {

inline constexpr Instant k_start{1000s};
inline constexpr WebsocketMask k_mask = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

inline http::RequestHead request() {
  SeededRng rng(1);
  Bytes text;
  append_request(text, "a.example", make_key(rng));
  return http::parse_request_head(as_text(text), {}).value();
}

// Everything that the session has to say.
inline Bytes sent(Session& session, std::size_t buffer = 65'536) {
  Bytes all;
  Bytes out(buffer);
  for (std::size_t size = session.poll_bytes(k_start, out); size > 0; size = session.poll_bytes(k_start, out)) {
    append(all, BytesView(out).first(size));
  }
  return all;
}

// With the answer waiting to be sent, and Established to be told.
inline Session server(const Limits& limits = {}) { return Session::accept(request(), limits).value(); }

// A client together with its source of masks, and what a server answers it.
struct Client {
  explicit Client(const Limits& limits = {}) : session(Session::connect(k_start, "a.example", rng, limits)) {
    const Bytes asked = sent(session);
    Session other = Session::accept(http::parse_request_head(as_text(asked), {}).value()).value();
    answer = sent(other);
  }
  Client(const Client&) = delete;  // the session points to `rng`
  Client& operator=(const Client&) = delete;

  SeededRng rng{1};
  Session session;
  Bytes answer;
};

struct FrameOptions {
  bool is_final = true;
  bool is_masked = true;
};
inline Bytes frame(WebsocketOpcode opcode, BytesView payload, FrameOptions options = {}) {
  const WebsocketHeader header{.is_final = options.is_final,
                               .opcode = opcode,
                               .payload_size = payload.size(),
                               .mask = options.is_masked ? std::optional(k_mask) : std::nullopt};
  Bytes out(WebsocketHeader::max_size);
  out.resize(header.encode(std::span(out).first<WebsocketHeader::max_size>()));
  Bytes masked = to_bytes(payload);
  if (header.mask) apply_mask(*header.mask, 0, payload, masked);
  append(out, masked);
  return out;
}
inline Bytes frame(WebsocketOpcode opcode, std::string_view payload, FrameOptions options = {}) {
  return frame(opcode, as_bytes(payload), options);
}
inline Bytes closing(std::uint16_t code, std::string_view reason = {}, bool is_masked = true) {
  Bytes payload{static_cast<std::byte>(code >> 8U), static_cast<std::byte>(code)};
  append(payload, as_bytes(reason));
  return frame(WebsocketOpcode::close, payload, {.is_masked = is_masked});
}
inline Bytes operator+(Bytes a, const Bytes& b) {
  append(a, b);
  return a;
}

}  // namespace dig::websocket::testing
