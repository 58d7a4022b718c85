// SPDX-License-Identifier: Apache-2.0
// Test-only: one yamux session against hand-made frames, as a peer that keeps to no rule would send them.
#pragma once

#include <algorithm>
#include <optional>
#include <variant>
#include <vector>

#include "proto/yamux/session.hpp"

namespace dig::yamux::testing {

struct Frame {
  YamuxHeader header;
  Bytes payload;
};

inline Bytes encode(const YamuxHeader& header, BytesView payload = {}) {
  Bytes out(YamuxHeader::size);
  header.encode(std::span(out).first<YamuxHeader::size>());
  append(out, payload);
  return out;
}

class RawPeer {
 public:
  explicit RawPeer(Role session_role = Role::server, const Limits& limits = {}) : session(session_role, limits, now) {}

  void send(const YamuxHeader& header, BytesView payload = {}) {
    session.handle_plaintext(now, encode(header, payload));
  }
  void data(std::uint32_t stream, std::uint16_t flags, std::size_t size) {
    send({.type = YamuxType::data, .flags = flags, .stream = stream, .length = static_cast<std::uint32_t>(size)},
         Bytes(size, std::byte{'x'}));
  }
  void update(std::uint32_t stream, std::uint16_t flags, std::uint32_t delta) {
    send({.type = YamuxType::window_update, .flags = flags, .stream = stream, .length = delta});
  }
  void ping(std::uint16_t flags, std::uint32_t value, std::uint32_t stream = 0) {
    send({.type = YamuxType::ping, .flags = flags, .stream = stream, .length = value});
  }
  void go_away(std::uint32_t code) { send({.type = YamuxType::go_away, .flags = 0, .stream = 0, .length = code}); }

  // Everything the session wants to send, cut into frames.
  std::vector<Frame> receive(std::size_t buffer = 1U << 20U) {
    std::vector<Frame> frames;
    Bytes out(buffer);
    while (const std::size_t size = session.poll_plaintext(now, out)) {
      BytesView rest = BytesView(out).first(size);
      while (!rest.empty()) {
        const auto header = YamuxHeader::decode(rest.first(YamuxHeader::size));
        if (!header) return frames;
        const std::size_t payload = header->type == YamuxType::data ? header->length : 0;
        frames.push_back({*header, to_bytes(rest.subspan(YamuxHeader::size, payload))});
        rest = rest.subspan(YamuxHeader::size + payload);
      }
    }
    return frames;
  }
  // The same without the keepalive ping that every session starts with.
  std::vector<Frame> receive_no_pings() {
    auto frames = receive();
    std::erase_if(frames, [](const Frame& f) { return f.header.type == YamuxType::ping && f.header.has(k_yamux_syn); });
    return frames;
  }

  std::vector<ConnectionEvent> events() {
    std::vector<ConnectionEvent> out;
    while (auto event = session.poll_event()) out.push_back(std::move(*event));
    return out;
  }
  std::optional<Closed> closed() {
    std::optional<Closed> found;
    for (const auto& event : events()) {
      if (const auto* closed = std::get_if<Closed>(&event)) found = *closed;
    }
    return found;
  }
  // The code the session ended with; nothing while it lives.
  std::optional<Errc> closed_code() {
    const auto found = closed();
    return found ? std::optional(found->error.code()) : std::nullopt;
  }

  Instant now{1000s};
  Session session;
};

template <class E>
std::size_t count(const std::vector<ConnectionEvent>& events) {
  return static_cast<std::size_t>(
      std::count_if(events.begin(), events.end(), [](const auto& e) { return std::holds_alternative<E>(e); }));
}

}  // namespace dig::yamux::testing
