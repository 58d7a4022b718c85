// SPDX-License-Identifier: Apache-2.0
// A stream with nothing around it, in the shape of crypto::TlsSession and websocket::Session, so that layers can be put
// on top of it: bytes come and go as they are, and what waits is bounded on both sides.
#pragma once

#include <optional>
#include <variant>

#include "base/byte_fifo.hpp"
#include "base/machine.hpp"
#include "base/result.hpp"

namespace dig::one_port {

struct Readable {};
struct Writable {};  // after a write() that took less than it was given
struct Closed {      // always the last event
  Error error;
  bool is_clean = false;  // one side said that it is done; else bytes of the peer may be missing
};

struct ReadResult {
  std::size_t size = 0;
  bool is_end = false;  // the peer is done, and everything was read
};

class PlainStream {
 public:
  using Event = std::variant<Readable, Writable, Closed>;
  struct Limits {
    std::size_t max_input = std::size_t{64} * 1024;
    std::size_t max_input_excess = std::size_t{256} * 1024;  // what a transport may have read before wants_bytes()
    std::size_t max_output = std::size_t{64} * 1024;
  };

  explicit PlainStream(const Limits& limits) noexcept : limits_(limits) {}

  // The side of the transport.
  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant /*now*/) {}
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] bool wants_bytes() const noexcept { return !closed_ && input_.size() < limits_.max_input; }
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept { return std::nullopt; }

  // The side of the owner.
  [[nodiscard]] std::optional<Event> poll_event();
  // A peer that has sent all it had may still want its answer (RFC 9293 §3.6): only close() and a failure end this.
  [[nodiscard]] Result<std::size_t> write(BytesView bytes);
  [[nodiscard]] Result<ReadResult> read(MutableBytes out);
  // What was written is still handed out.
  void close();

  [[nodiscard]] std::size_t buffered_bytes() const noexcept { return input_.size() + output_.size(); }

 private:
  Limits limits_;
  ByteFifo input_;
  ByteFifo output_;
  bool tells_readable_ = false;
  bool tells_writable_ = false;
  bool is_armed_ = true;     // for Readable
  bool is_waiting_ = false;  // for Writable
  bool is_ended_ = false;    // by the peer
  std::optional<Closed> closed_;
  bool is_closed_told_ = false;
};

}  // namespace dig::one_port
