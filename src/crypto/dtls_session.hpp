// SPDX-License-Identifier: Apache-2.0
// DTLS 1.2 (RFC 6347) with one remote endpoint as a Machine (base/machine.hpp). No socket.
//
// Time: OpenSSL's retransmission timer reads the system's clock by itself. What is left of it is told as
// next_timeout(), and the handshake's own deadline counts in `now`; see docs/adr/0006-openssl-in-virtual-time.md.
//
// Plaintext has two ways, because a relay handles one packet at a time and must not allocate or copy for each:
//  - handle_datagram() and send() with poll_transmit() are the Machine: what arrives waits in a bounded queue for
//  read(),
//    what is sent waits in another.
//  - receive() and seal() are the data path: OpenSSL decrypts and encrypts straight between the caller's two buffers.
//  They
//    may be mixed with the others; what belongs to the handshake still comes by poll_transmit() and poll_event().
//
// Outsiders: records that do not verify, are replayed or out of their epoch are dropped in silence (RFC 6347 §4.1.2.7),
// alerts among them once the session is established. Before that the handshake is not yet authenticated, and somebody
// who knows both endpoints can end it.
#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "base/machine.hpp"
#include "base/result.hpp"
#include "crypto/tls_context.hpp"

namespace dig::crypto {

struct DtlsReadable {};  // the queue for read() was empty and is not any more
using DtlsEvent = std::variant<TlsEstablished, DtlsReadable, TlsClosed>;

struct DtlsPath {
  Endpoint local;
  Endpoint remote;
};

struct DtlsLimits {
  std::uint16_t max_datagram = 1200;  // UDP payload, from 256 to 4096; the handshake is cut to fit as well
  std::size_t max_input = 64 * 1024;  // plaintext that waits for read(); beyond it datagrams are dropped
  std::size_t max_output = 64 * 1024;
  // Records of the next epoch that are kept until the handshake gets there: OpenSSL spends 17 KiB on each.
  std::size_t max_early_records = 16;
};

struct DtlsStatus {
  bool is_established = false;
  bool is_closed = false;
  std::size_t input_waiting = 0;
  std::size_t output_waiting = 0;
  std::uint64_t datagrams_received = 0;
  std::uint64_t datagrams_fruitless =
      0;                             // of an established session: forged, replayed, out of place, or no data in them
  std::uint64_t input_dropped = 0;   // max_input, or from another endpoint
  std::uint64_t output_dropped = 0;  // max_output, or a buffer that was too small
};

class DtlsSession {
 public:
  using Event = DtlsEvent;
  static constexpr std::size_t max_plaintext = 16'384;  // RFC 6347 §4.1: of a record that a peer may send

  // invalid_argument: the context is for another role or transport, or a limit or name does not fit.
  [[nodiscard]] static Result<DtlsSession> connect(std::shared_ptr<const TlsContext> context, const TlsPeer& server,
                                                   const DtlsPath& path, Instant now, UnixTime wall,
                                                   DtlsLimits limits = {});
  // For a remote endpoint that is known to want this (ICE has checked it); on an open port, use a DtlsListener.
  [[nodiscard]] static Result<DtlsSession> accept(std::shared_ptr<const TlsContext> context, const TlsPeer& client,
                                                  const DtlsPath& path, Instant now, UnixTime wall,
                                                  DtlsLimits limits = {});
  DtlsSession(DtlsSession&&) noexcept;
  DtlsSession& operator=(DtlsSession&&) noexcept;
  ~DtlsSession();

  void handle_datagram(const Received& in);
  void handle_timeout(Instant now);
  // One datagram; one that does not fit `out` is dropped. After TlsClosed there may still be an alert to send.
  [[nodiscard]] std::optional<Transmit> poll_transmit(Instant now, MutableBytes out);
  [[nodiscard]] std::optional<Event> poll_event();
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  // The most that send() and seal() take; 0 before the handshake is over.
  [[nodiscard]] std::size_t max_send_size() const;
  // connection_closed (also before the handshake is over), datagram_too_large, limit_reached (max_output waits),
  // invalid_argument (DTLS carries no empty datagram).
  [[nodiscard]] Result<void> send(BytesView plaintext);
  // The oldest datagram that waits. One that does not fit `out` is cut, as a socket does it.
  [[nodiscard]] std::optional<std::size_t> read(MutableBytes out);

  // Takes one datagram of the remote endpoint and writes its plaintext to `out` (at least max_plaintext, or a copy is
  // made): its size, or nothing if there was none. Further records of the same datagram wait for read().
  [[nodiscard]] std::optional<std::size_t> receive(Instant now, BytesView datagram, MutableBytes out);
  // Encrypts into `out`, which must have room for max_datagram bytes: the size of the datagram to send. Errors as
  // send().
  [[nodiscard]] Result<std::size_t> seal(BytesView plaintext, MutableBytes out);

  // Queues close_notify, which may get lost like every datagram.
  void close();

  // RFC 5705; connection_closed before the handshake is over.
  [[nodiscard]] Result<Bytes> export_keying_material(std::string_view label, std::optional<BytesView> context,
                                                     std::size_t size) const;
  // DER; empty before the handshake is over or when the peer showed none.
  [[nodiscard]] Bytes peer_certificate() const;
  [[nodiscard]] DtlsStatus snapshot() const;

 private:
  friend class DtlsListener;
  class Engine;
  explicit DtlsSession(std::unique_ptr<Engine> engine);
  static Result<std::unique_ptr<Engine>> make(std::shared_ptr<const TlsContext> context, TlsRole role,
                                              const TlsPeer& peer, const DtlsPath& path, Instant now, UnixTime wall,
                                              DtlsLimits limits);
  // `hello` is a whole ClientHello with message_seq 1 whose cookie was right. `token` is held until the handshake is
  // over.
  static Result<DtlsSession> accept_proven(std::shared_ptr<const TlsContext> context, const TlsPeer& client,
                                           const DtlsPath& path, Instant now, UnixTime wall, DtlsLimits limits,
                                           BytesView hello, std::shared_ptr<const int> token);

  std::unique_ptr<Engine> engine_;  // stays where it is: OpenSSL points into it
};

}  // namespace dig::crypto
