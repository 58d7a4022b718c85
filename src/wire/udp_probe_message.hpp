// SPDX-License-Identifier: Apache-2.0
// The messages of /dignet/udp-probe/1.0.0 (proto/udp_probe/protocol.hpp). Each has a fixed layout, so that there is one
// way to write it, in network byte order.
//
//   request    address (4 or 16 bytes), port (2), nonce (16): 22 or 34 bytes
//   response   status (1)
//   datagram   "dignet" (6), nonce (16): 22 bytes, which is no more than the request that asks for it
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/result.hpp"

namespace dig::udp_probe {

using Nonce = std::array<std::byte, 16>;

struct Request {
  static constexpr std::size_t max_encoded_size = 34;
  static constexpr std::uint16_t min_port = 1024;  // below are services of the system, which relay nothing

  Endpoint target;  // without scope
  Nonce nonce{};

  // Errors: malformed.
  [[nodiscard]] static Result<Request> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const Request&, const Request&) = default;
};

enum class Status : std::uint8_t {
  sent = 0,
  busy = 1,     // so much of this was done lately
  refused = 2,  // to this address the server sends nothing
};

struct Response {
  static constexpr std::size_t max_encoded_size = 1;

  Status status = Status::sent;

  // Errors: malformed.
  [[nodiscard]] static Result<Response> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const Response&, const Response&) = default;
};

struct Datagram {
  static constexpr std::size_t encoded_size = 22;

  Nonce nonce{};

  // Errors: malformed.
  [[nodiscard]] static Result<Datagram> decode(BytesView bytes);
  [[nodiscard]] Bytes encode() const;
  friend bool operator==(const Datagram&, const Datagram&) = default;
};

}  // namespace dig::udp_probe
