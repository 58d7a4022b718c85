// SPDX-License-Identifier: Apache-2.0
// A stream of bytes with what lies around it: nothing, TLS, a WebSocket, or a WebSocket inside TLS. One StreamMachine
// whatever it is made of, for both ends: a dialler puts the layers on at once, a listener one after the other, as it
// learns what the peer speaks (server_stream.hpp).
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "crypto/tls_session.hpp"
#include "proto/one_port/plain_stream.hpp"
#include "proto/websocket/session.hpp"

namespace dig::one_port {

struct Opened {};  // the layers so far are through with their handshakes

class StreamLayers {
 public:
  using Event = std::variant<Opened, Readable, Writable, Closed>;

  explicit StreamLayers(const PlainStream::Limits& limits) { layers_.emplace_back(PlainStream(limits)); }

  // Puts a layer on top. Bytes that were given back go to it; from now on it is what is read and written.
  void add(Instant now, crypto::TlsSession session);
  void add(Instant now, websocket::Session session);

  // The side of the transport.
  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] bool wants_bytes() const;
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  // The side of the owner, as crypto/tls_session.hpp has it.
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] Result<std::size_t> write(BytesView bytes);
  [[nodiscard]] Result<ReadResult> read(Instant now, MutableBytes out);
  // Gives back bytes that were read, for who reads next.
  void unread(BytesView bytes);
  // Each layer says its goodbye, from the top down. What the peer still says is of no interest any more.
  void close(Instant now);

  // What TLS has agreed on; absent without TLS, and before.
  [[nodiscard]] const std::optional<crypto::TlsEstablished>& tls() const noexcept { return tls_; }

 private:
  using Layer = std::variant<PlainStream, crypto::TlsSession, websocket::Session>;
  // Between a layer and the one above it.
  struct Seam {
    Bytes downwards;           // what the lower one had no room for
    bool is_ended = false;     // the upper one knows that nothing comes any more
    bool is_finished = false;  // the upper one has said all it had to say
  };

  void add_layer(Instant now, Layer layer);
  void pump(Instant now);
  void carry_up(Instant now, std::size_t lower);
  void carry_down(Instant now, std::size_t lower);
  void take_events();
  void take_event(std::size_t index, const PlainStream::Event& event);
  void take_event(std::size_t index, const crypto::TlsEvent& event);
  void take_event(std::size_t index, const websocket::SessionEvent& event);
  void note_closed(std::size_t index, const Error& error, bool is_clean);
  [[nodiscard]] bool is_top(std::size_t index) const noexcept { return index + 1 == layers_.size(); }

  std::vector<Layer> layers_;  // the lowest one first; never empty
  std::vector<Seam> seams_;
  ByteFifo given_back_;
  std::optional<crypto::TlsEstablished> tls_;
  std::optional<Error> failure_;  // of a layer below the top: why the top sees an end
  bool tells_opened_ = true;
  bool tells_readable_ = false;
  bool tells_writable_ = false;
  std::optional<Closed> closed_;  // waits to be told
};

}  // namespace dig::one_port
