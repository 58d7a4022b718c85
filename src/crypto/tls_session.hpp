// SPDX-License-Identifier: Apache-2.0
// One TLS connection as a StreamMachine (base/machine.hpp): ciphertext on the side of the transport, plaintext on the
// side of the owner. No socket, no clock.
//
// What waits is bounded on both sides:
//  - Unread plaintext stays encrypted: at most one record (16 KiB) is decrypted ahead of read(). When max_input waits
//    behind it, wants_bytes() turns false; whoever goes on regardless for max_input_excess ends the session.
//  - write() takes no more while max_output waits, and says Writable when half of it is gone. Reading does not stop for
//    that: two ends that both wait until the other one reads would wait forever.
// Events are edge-triggered: Readable comes when the plaintext turns from empty to readable (read() gave less than it
// had room for since the last one). TlsClosed comes last: after a failure or close() at once, after the end of the peer
// when everything before it was read.
#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "base/machine.hpp"
#include "base/result.hpp"
#include "crypto/tls_context.hpp"

namespace dig::crypto {

struct TlsReadable {};
struct TlsWritable {};  // after a write() that took less than it was given
using TlsEvent = std::variant<TlsEstablished, TlsReadable, TlsWritable, TlsClosed>;

struct TlsReadResult {
  std::size_t size = 0;
  bool is_end = false;  // the peer has said that it is done (close_notify), and everything was read
};

struct TlsLimits {
  std::size_t max_input = 64 * 1024;
  std::size_t max_input_excess = 256 * 1024;  // what a transport may have read before it saw wants_bytes()
  std::size_t max_output = 64 * 1024;
};

struct TlsStatus {
  bool is_established = false;
  bool is_closed = false;
  std::size_t input_waiting = 0;   // ciphertext
  std::size_t output_waiting = 0;  // ciphertext
  std::uint64_t plaintext_read = 0;
  std::uint64_t plaintext_written = 0;
};

class TlsSession {
 public:
  using Event = TlsEvent;

  // A context of the matching role; `wall` is when certificates must be valid. invalid_argument.
  [[nodiscard]] static Result<TlsSession> connect(std::shared_ptr<const TlsContext> context, const TlsPeer& server,
                                                  Instant now, UnixTime wall, TlsLimits limits = {});
  [[nodiscard]] static Result<TlsSession> accept(std::shared_ptr<const TlsContext> context, Instant now, UnixTime wall,
                                                 const TlsPeer& client = {}, TlsLimits limits = {});
  TlsSession(TlsSession&&) noexcept;
  TlsSession& operator=(TlsSession&&) noexcept;
  ~TlsSession();

  // The side of the transport. After TlsClosed, poll_bytes still gives what is to be sent: an alert or close_notify.
  void handle_bytes(Instant now, BytesView bytes);
  // Without close_notify before it this is a truncation (RFC 8446 §6.1): tls_truncated.
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] bool wants_bytes() const;
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  // The side of the owner.
  [[nodiscard]] std::optional<Event> poll_event();
  // Takes what fits and returns how much; 0 before the handshake is over, too: wait for TlsWritable. connection_closed.
  [[nodiscard]] Result<std::size_t> write(BytesView plaintext);
  // {0, false}: wait for TlsReadable. What arrived before a failure or an end can be read first; then the error comes.
  [[nodiscard]] Result<TlsReadResult> read(MutableBytes out);
  // Sends what was written and close_notify. What the peer still says is of no interest any more.
  void close();

  // RFC 5705; connection_closed before the handshake is over, invalid_argument for sizes that TLS cannot give.
  [[nodiscard]] Result<Bytes> export_keying_material(std::string_view label, std::optional<BytesView> context,
                                                     std::size_t size) const;
  // DER; empty before the handshake is over or when the peer showed none.
  [[nodiscard]] Bytes peer_certificate() const;
  [[nodiscard]] TlsStatus snapshot() const;

 private:
  class Engine;
  explicit TlsSession(std::unique_ptr<Engine> engine);

  std::unique_ptr<Engine> engine_;  // stays where it is: OpenSSL points into it
};

}  // namespace dig::crypto
