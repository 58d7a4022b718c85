// SPDX-License-Identifier: Apache-2.0
// The contract that every kind of connection keeps (design §3): an authenticated peer with multiplexed streams.
// One conformance suite (connection_conformance.hpp) proves it for each kind.
//
// Rules every implementation follows:
//  - A stream has two independent halves. finish() ends our write half after what was written; reset() ends both halves
//    at once; stop_sending() ends the read half and asks the peer to stop.
//  - write() takes as many bytes as fit and returns how many; 0 means: wait for StreamWritable.
//  - read() returns what is buffered; {0, false} means: wait for StreamReadable. {n, true} is the end of the stream.
//  - Events are edge-triggered: StreamReadable comes when the read half turns from empty to readable (data or end),
//    StreamWritable after a write() that took less than it was given.
//  - No order holds across streams.
//  - Once both halves have ended (end read or stopped, finish sent) the stream is gone: its id gives stream_closed.
//  - Codes are hints: where the wire carries none (yamux) they arrive as 0. StreamStopped comes only where the wire can
//    say it; else a stopped stream discards what still comes and, beyond a limit of the kind, resets the stream.
//  - After Closed what had arrived can still be read, then reads give connection_closed; never a false end. The shell
//    drains the output of a closed connection and then ends the transport.
//  - Not thread-safe: the core loop owns every connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/strong_id.hpp"
#include "base/time.hpp"
#include "wire/peer_id.hpp"
#include "wire/public_key.hpp"

namespace dig {

using StreamId = StrongId<struct StreamIdTag>;

enum class Direction : std::uint8_t { outbound, inbound };

// Who ended a connection or a stream.
enum class ClosedBy : std::uint8_t { local, remote, transport };

struct ReadResult {
  std::size_t size = 0;
  bool is_end = false;  // the peer finished its write half and everything was read
};

// The handshake is complete and the peer is authenticated. Always the first event.
struct Established {
  PeerId peer;
  PublicKey public_key;
};
struct StreamOpened {  // by the peer, or an open_stream() that had to wait
  StreamId stream;
  Direction direction;
};
struct StreamReadable {
  StreamId stream;
};
struct StreamWritable {
  StreamId stream;
};
struct StreamReset {  // both halves are gone; the id is not used again
  StreamId stream;
  std::uint64_t code = 0;
};
struct StreamStopped {  // the peer reads no more; writing further is useless
  StreamId stream;
  std::uint64_t code = 0;
};
struct PathChanged {
  std::string path;
};
struct Limited {  // circuits: what the relay still allows
  std::uint64_t bytes = 0;
  Instant until;
};
struct Closed {  // always the last event
  Error error;
  ClosedBy by = ClosedBy::local;
};
using ConnectionEvent = std::variant<Established, StreamOpened, StreamReadable, StreamWritable, StreamReset,
                                     StreamStopped, PathChanged, Limited, Closed>;

struct ConnectionStatus {
  bool is_established = false;
  bool is_closed = false;
  std::size_t streams_inbound = 0;
  std::size_t streams_outbound = 0;
  std::size_t buffered_bytes = 0;    // memory held for stream data, both directions
  std::uint64_t bytes_received = 0;  // on the transport
  std::uint64_t bytes_sent = 0;
  std::optional<Duration> rtt;  // measured by the connection itself, if it does
};

class Connection {
 public:
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Opens a stream. When the peer's limit is reached the id is given at once and the stream may be written to; its
  // bytes leave after StreamOpened{outbound}. Fails when the connection is closed or too many opens already wait.
  [[nodiscard]] virtual Result<StreamId> open_stream(Instant now) = 0;
  [[nodiscard]] virtual Result<std::size_t> write(StreamId stream, BytesView bytes) = 0;
  [[nodiscard]] virtual Result<ReadResult> read(Instant now, StreamId stream, MutableBytes out) = 0;
  virtual void finish(StreamId stream) = 0;
  virtual void reset(StreamId stream, std::uint64_t code) = 0;
  virtual void stop_sending(StreamId stream, std::uint64_t code) = 0;
  // Ends the connection and says why; what was written before is still sent if the transport takes it.
  virtual void close(Instant now, Error why) = 0;

  [[nodiscard]] virtual std::optional<ConnectionEvent> poll_event() = 0;
  [[nodiscard]] virtual ConnectionStatus snapshot() const = 0;

 protected:
  Connection() = default;
};

// A connection over a reliable byte stream (TCP, WebSocket, a relayed circuit): also a StreamMachine.
class ByteStreamConnection : public Connection {
 public:
  using Event = ConnectionEvent;

  virtual void handle_bytes(Instant now, BytesView bytes) = 0;
  virtual void handle_eof(Instant now) = 0;
  virtual void handle_timeout(Instant now) = 0;
  [[nodiscard]] virtual std::size_t poll_bytes(Instant now, MutableBytes out) = 0;
  [[nodiscard]] virtual bool wants_bytes() const = 0;
  [[nodiscard]] virtual std::optional<Instant> next_timeout() const = 0;
};

}  // namespace dig
