// SPDX-License-Identifier: Apache-2.0
// Every TCP connection of a node on one loop: listens, dials (RFC 8305), and moves bytes between non-blocking sockets
// and one owner, which holds the machines. The owner implements TransportOwner; the shell of the node does it by
// calling NodeCore.
//
// One wake-up of the loop: the clock is read once; handle_… calls for one transport (several handle_bytes while the
// socket has more, bounded for fairness); then poll_bytes of that transport until it returns 0 or the socket is full;
// then settle(). In settle() the owner drains its events, calls flush() for the other transports that got something
// to send and sets its timer. The owner may call every method of TcpTransports from inside any callback but poll_bytes,
// wants_bytes and admits. No method answers from inside: flush() and close() call poll_bytes and wants_bytes, nothing
// else; errors that they find come later, in a wake-up of their own.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/endpoint.hpp"
#include "base/result.hpp"
#include "base/strong_id.hpp"
#include "base/time.hpp"
#include "net/loop.hpp"
#include "net/port_manager.hpp"
#include "proto/dial/happy_eyeballs.hpp"

namespace dig::net {

using TransportId = StrongId<struct TransportIdTag>;  // never used twice
using DialId = StrongId<struct DialIdTag>;            // given by the caller of dial()
using ListenerId = StrongId<struct ListenerIdTag>;

struct DialSuccess {
  TransportId transport;
  Endpoint local;
  Endpoint remote;
};

struct DialOutcome {
  Result<DialSuccess> result;
  std::vector<dial::Attempt> attempts;  // in dialling order, each with its time, outcome and error
};

// Whose the connections are, of TCP as it is or with layers around it (net/port_streams.hpp). How an accepted one is
// told differs, and is added by the two kinds of owner.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;

  // Asked right after accept(): false closes the connection at once (rates and limits, see AcceptLimiter).
  [[nodiscard]] virtual bool admits(Instant now, const Endpoint& local, const Endpoint& remote) = 0;
  // Once for each dial() that was not cancelled. On success bytes may follow at once.
  virtual void handle_dialled(Instant now, DialId id, const DialOutcome& outcome) = 0;

  virtual void handle_bytes(Instant now, TransportId id, BytesView bytes) = 0;
  // The peer will send no more. The transport stays usable for sending until it is closed.
  virtual void handle_eof(Instant now, TransportId id) = 0;
  // The transport is gone and its id is dead; close() is not needed.
  virtual void handle_error(Instant now, TransportId id, const Error& error) = 0;

  // Writes into `out` and returns how much; 0 means nothing to send now. Unknown ids return 0.
  [[nodiscard]] virtual std::size_t poll_bytes(Instant now, TransportId id, MutableBytes out) = 0;
  // False stops reading from the socket until a flush() finds it true again.
  [[nodiscard]] virtual bool wants_bytes(TransportId id) = 0;

  // The end of a wake-up of the loop that called anything above but admits.
  virtual void settle(Instant now) = 0;
};

class TransportOwner : public ConnectionOwner {
 public:
  virtual void handle_accepted(Instant now, TransportId id, const Endpoint& local, const Endpoint& remote) = 0;
};

enum class CloseMode : std::uint8_t {
  graceful,  // sends what poll_bytes still gives, then FIN, then waits a bounded time for the peer's FIN
  abort,     // RST
};

struct DialOptions {
  // From the port of a listener, so that NATs show the peer the address that others can dial; where that fails
  // (no listener of the family, the 4-tuple is in use) from an ephemeral port.
  bool from_listener = false;
  dial::HappyEyeballs::Limits limits;
};

struct TransportStatus {
  Endpoint local;
  Endpoint remote;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  bool is_reading = false;       // false: paused by wants_bytes
  std::size_t unsent_bytes = 0;  // taken from the owner and not yet by the kernel
  std::optional<Duration> rtt;   // the kernel's smoothed estimate
};

struct TcpTransportsStatus {
  std::size_t listeners = 0;
  std::size_t transports = 0;  // those that close gracefully included
  std::size_t dials = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;       // by admits() or a full table
  std::uint64_t accept_pauses = 0;  // out of file descriptors or memory
};

class TcpTransports {
 public:
  struct Limits {
    std::size_t max_transports = 1024;
    std::size_t buffer_size = 256 * 1024;  // of one recv or send
    std::size_t max_reads_per_wakeup = 4;  // buffers read from one socket before the others get their turn
    std::size_t max_writes_per_wakeup = 8;
    std::size_t max_accepts_per_wakeup = 32;
    Duration accept_pause = 100ms;  // after EMFILE and the like
    Duration linger = 5s;           // a graceful close becomes an abort after this
  };

  TcpTransports(Loop& loop, TransportOwner& owner, Limits limits);
  TcpTransports(Loop& loop, TransportOwner& owner) : TcpTransports(loop, owner, Limits()) {}
  // Aborts every transport; no callback comes any more.
  ~TcpTransports();
  TcpTransports(const TcpTransports&) = delete;
  TcpTransports& operator=(const TcpTransports&) = delete;

  // Takes a listening socket, from PortLease::take_tcp().
  ListenerId listen(BoundSocket socket);
  void stop_listening(ListenerId id);
  // Where we listen, wildcard addresses as they are (see net/interfaces.hpp).
  [[nodiscard]] std::vector<Endpoint> listening() const;

  // Answered by one handle_dialled; empty `candidates` fail the same way. A dial that runs under this id is cancelled.
  void dial(DialId id, std::vector<Endpoint> candidates, const DialOptions& options = {});
  // No handle_dialled comes any more for this id.
  void cancel_dial(DialId id);

  // Sends what the owner has for this transport, and goes on reading if wants_bytes is true again. Unknown ids do
  // nothing.
  void flush(TransportId id);
  // After this no handle_… comes for the id; graceful still calls poll_bytes until it returns 0.
  void close(TransportId id, CloseMode mode);

  // Ends listening and dialling, and calls done() from the loop once the last transport has ended or `limit` is over:
  // what was closed gracefully has time to reach its peer. Once only.
  void drain(Duration limit, Task done);

  [[nodiscard]] std::optional<TransportStatus> status(TransportId id) const;
  [[nodiscard]] TcpTransportsStatus snapshot() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// What errno of a socket call means for the user, with the system's text as detail.
[[nodiscard]] Error network_error(int error_number, const Endpoint& remote);

}  // namespace dig::net
