// SPDX-License-Identifier: Apache-2.0
// What runs a protocol on one negotiated stream. PeerLink moves the bytes between the connection and the handler,
// without a copy of its own: it reads into receive_space() and writes from output().
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "proto/connection/connection.hpp"

namespace dig::node {

class StreamHandler {
 public:
  virtual ~StreamHandler() = default;

  // Told once, before anything else.
  virtual void handle_opened(StreamId /*stream*/) {}
  // The peer agreed to the protocol; only streams that we opened are told.
  virtual void handle_negotiated(Instant /*now*/) {}
  // Where the next bytes belong; empty: not reading now. Valid until the next call.
  [[nodiscard]] virtual MutableBytes receive_space() = 0;
  virtual void handle_received(Instant now, std::size_t size) = 0;
  virtual void handle_eof(Instant now) = 0;
  // The next bytes to write; empty: none now. Valid until the next call.
  [[nodiscard]] virtual BytesView output(Instant now) = 0;
  virtual void handle_written(Instant now, std::size_t size) = 0;
  // No more output will come: the write half ends.
  [[nodiscard]] virtual bool has_finished_writing() const = 0;
  // False keeps the stream known although both halves have ended: something about it is still to be told.
  [[nodiscard]] virtual bool may_end() const { return true; }
  // Set when the protocol was broken: the stream is reset and handle_closed follows.
  [[nodiscard]] virtual std::optional<Error> failure() const { return std::nullopt; }
  // The connection has closed: what had arrived and found no receive_space(), in order, and whether the peer had
  // finished behind it. False: not wanted. handle_closed follows.
  [[nodiscard]] virtual bool handle_rest(BytesView /*bytes*/, bool /*is_end*/) { return false; }
  // The stream is gone: reset, the connection closed, or the negotiation failed. Not called after both halves ended.
  virtual void handle_closed(Instant now, const Error& why) = 0;

  virtual void handle_timeout(Instant /*now*/) {}
  [[nodiscard]] virtual std::optional<Instant> next_timeout() const { return std::nullopt; }
};

}  // namespace dig::node
