// SPDX-License-Identifier: Apache-2.0
// The contract of every protocol core (design §4): bytes and time in; bytes, events and the next deadline out.
//
// After one mutation (a handle_… call or a command) the driver drains poll_transmit/poll_bytes and poll_event until
// both are empty and then reads next_timeout. Only the driver loops. No call throws on peer input.
#pragma once

#include <concepts>
#include <optional>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/time.hpp"

namespace dig {

// RFC 3168 codepoints.
enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };

// What the shell hands in. `bytes` may hold many segments of `segment_size` (the last may be shorter: UDP_GRO);
// segment_size 0 means one datagram.
struct Received {
  Instant now;
  Endpoint local;
  Endpoint remote;
  Ecn ecn = Ecn::not_ect;
  BytesView bytes;
  std::uint16_t segment_size = 0;
};

// What the shell is to send: the first `size` bytes of the buffer it passed, cut into segments as above (UDP_SEGMENT).
struct Transmit {
  Endpoint local;
  Endpoint remote;
  Ecn ecn = Ecn::not_ect;
  std::size_t size = 0;
  std::uint16_t segment_size = 0;
};

template <class M>
concept Machine = requires(M m, const M cm, Instant now, const Received& in, MutableBytes out) {
  typename M::Event;
  { m.handle_datagram(in) } -> std::same_as<void>;
  { m.handle_timeout(now) } -> std::same_as<void>;
  { m.poll_transmit(now, out) } -> std::same_as<std::optional<Transmit>>;
  { m.poll_event() } -> std::same_as<std::optional<typename M::Event>>;
  { cm.next_timeout() } -> std::same_as<std::optional<Instant>>;
};

// The same for a reliable byte stream. poll_bytes writes into `out` and returns how much; 0 means nothing to send now.
// wants_bytes() false asks the shell to stop reading from the transport until it is true again (backpressure).
template <class M>
concept StreamMachine = requires(M m, const M cm, Instant now, BytesView in, MutableBytes out) {
  typename M::Event;
  { m.handle_bytes(now, in) } -> std::same_as<void>;
  { m.handle_eof(now) } -> std::same_as<void>;
  { m.handle_timeout(now) } -> std::same_as<void>;
  { m.poll_bytes(now, out) } -> std::same_as<std::size_t>;
  { m.poll_event() } -> std::same_as<std::optional<typename M::Event>>;
  { cm.wants_bytes() } -> std::same_as<bool>;
  { cm.next_timeout() } -> std::same_as<std::optional<Instant>>;
};

}  // namespace dig
