// SPDX-License-Identifier: Apache-2.0
// The inside of TcpTransports. Private to net/: included by tcp_*.cpp only.
//
// Lifetimes: handlers that wait in Asio hold their Transport, Listener or Dial by shared_ptr and do nothing once it
// is_dead. The engine marks all of them dead when it goes, so no handler touches an engine that is gone.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>

#include "net/asio.hpp"
#include "net/clock.hpp"
#include "net/tcp_transports.hpp"

namespace dig::net {

struct Transport {
  Transport(boost::asio::io_context& context, UniqueFd fd, TransportId transport_id, Endpoint from, Endpoint to)
      : socket(context, fd.release()), id(transport_id), local(from), remote(to) {}

  Descriptor socket;
  TransportId id;
  Endpoint local;
  Endpoint remote;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  // What poll_bytes gave and the kernel has not taken; the buffer goes back to the pool when it is empty.
  std::unique_ptr<std::byte[]> buffer;
  std::size_t unsent_begin = 0;
  std::size_t unsent_end = 0;
  std::unique_ptr<Timer> linger;  // while closing
  bool is_read_waiting = false;
  bool is_write_waiting = false;
  bool is_pumping = false;  // poll_bytes or send is on the stack
  bool has_eof = false;
  bool has_failed = false;  // the error is on its way to the owner
  bool is_closing = false;  // gracefully; the owner has let go of it
  bool has_sent_fin = false;
  bool is_dead = false;

  [[nodiscard]] bool has_unsent() const noexcept { return unsent_begin < unsent_end; }
};

struct Listener {
  Listener(boost::asio::io_context& context, ListenerId listener_id, BoundSocket socket)
      : id(listener_id), bound(std::move(socket)), waiter(context, bound.fd.value()) {}
  ~Listener() {
    if (waiter.is_open()) waiter.release();
  }

  ListenerId id;
  BoundSocket bound;  // owns the descriptor
  Descriptor waiter;
  std::unique_ptr<Timer> pause;
  bool is_dead = false;
};

struct Dial {
  Dial(DialId dial_id, dial::HappyEyeballs dialling, bool from_port)
      : id(dial_id), machine(std::move(dialling)), from_listener(from_port) {}

  DialId id;
  dial::HappyEyeballs machine;
  bool from_listener;
  std::unordered_map<std::size_t, std::unique_ptr<Descriptor>> sockets;  // by attempt
  std::unique_ptr<Timer> timer;
  bool is_dead = false;
};

class TcpTransports::Impl {
 public:
  Impl(Loop& loop, TransportOwner& owner, Limits limits);
  ~Impl();

  ListenerId listen(BoundSocket socket);
  void stop_listening(ListenerId id);
  [[nodiscard]] std::vector<Endpoint> listening() const;
  void dial(DialId id, std::vector<Endpoint> candidates, const DialOptions& options);
  void cancel_dial(DialId id);
  void flush(TransportId id);
  void close(TransportId id, CloseMode mode);
  void drain(Duration limit, Task done);
  [[nodiscard]] std::optional<TransportStatus> status(TransportId id) const;
  [[nodiscard]] TcpTransportsStatus snapshot() const;

 private:
  using TransportPointer = std::shared_ptr<Transport>;
  using ListenerPointer = std::shared_ptr<Listener>;
  using DialPointer = std::shared_ptr<Dial>;

  void end_listening_and_dialling();
  void tell_if_drained();

  // tcp_transfer.cpp: bytes of one transport
  [[nodiscard]] TransportPointer add_transport(UniqueFd fd, const Endpoint& local, const Endpoint& remote);
  void start_transport(Instant now, const TransportPointer& transport);
  void wait_readable(const TransportPointer& transport);
  void wait_writable(const TransportPointer& transport);
  void read_some(Instant now, const TransportPointer& transport);
  // Handles one recv(); false: stop reading in this wake-up.
  [[nodiscard]] bool handle_received(Instant now, const TransportPointer& transport, ssize_t size, int error_number);
  void resume_reading(const TransportPointer& transport);
  void pump_out(Instant now, const TransportPointer& transport);
  [[nodiscard]] bool refill(Instant now, Transport& transport);
  [[nodiscard]] bool send_unsent(const TransportPointer& transport);
  void send_fin(const TransportPointer& transport);
  void fail_later(const TransportPointer& transport, int error_number);
  void fail_now(Instant now, const TransportPointer& transport, int error_number);
  void remove(const TransportPointer& transport, CloseMode mode);
  [[nodiscard]] std::unique_ptr<std::byte[]> take_buffer();
  void give_back(std::unique_ptr<std::byte[]> buffer);

  // tcp_listen.cpp
  void wait_acceptable(const ListenerPointer& listener);
  void accept_some(Instant now, const ListenerPointer& listener);
  void pause_accepting(Instant now, const ListenerPointer& listener);
  void handle_connection(Instant now, const ListenerPointer& listener, UniqueFd fd, const Endpoint& remote);

  // tcp_dial.cpp
  void step_dial(Instant now, const DialPointer& dial);
  void start_attempt(Instant now, const DialPointer& dial, const dial::Start& start);
  void handle_connectable(Instant now, const DialPointer& dial, std::size_t index);
  [[nodiscard]] UniqueFd socket_of_listener(const Endpoint& remote) const;
  void finish_dial(Instant now, const DialPointer& dial, Result<std::size_t> winner);
  void drop_dial(const DialPointer& dial);

  Loop& loop_;
  TransportOwner& owner_;
  Limits limits_;
  std::vector<std::unique_ptr<std::byte[]>> free_buffers_;  // before read_buffer_, which take_buffer() makes
  std::unique_ptr<std::byte[]> read_buffer_;
  std::unordered_map<TransportId, TransportPointer> transports_;
  std::map<ListenerId, ListenerPointer> listeners_;  // the first one is what dials leave from
  std::unordered_map<DialId, DialPointer> dials_;
  std::uint64_t last_id_ = 0;
  Task drained_;  // while draining
  std::unique_ptr<Timer> drain_limit_;
  TcpTransportsStatus counters_;
};

// TCP_NODELAY; small writes are put together by the machines, never by the kernel's timer.
void set_no_delay(int fd) noexcept;
// Makes the close() of this socket an RST.
void set_abort_on_close(int fd) noexcept;

}  // namespace dig::net
