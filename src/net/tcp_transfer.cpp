// SPDX-License-Identifier: Apache-2.0
// Moves the bytes of the transports: reads while the owner wants bytes, writes what the owner has, closes.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/tcp_engine.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_free_buffers = 8;

bool is_would_block(int error_number) { return error_number == EAGAIN || error_number == EWOULDBLOCK; }

}  // namespace

TcpTransports::Impl::TransportPointer TcpTransports::Impl::add_transport(UniqueFd fd, const Endpoint& local,
                                                                         const Endpoint& remote) {
  set_no_delay(fd.value());
  const TransportId id{++last_id_};
  auto transport = std::make_shared<Transport>(loop_.context(), std::move(fd), id, local, remote);
  transports_.emplace(id, transport);
  return transport;
}

void TcpTransports::Impl::start_transport(Instant now, const TransportPointer& transport) {
  resume_reading(transport);
  pump_out(now, transport);
}

void TcpTransports::Impl::wait_readable(const TransportPointer& transport) {
  if (transport->is_read_waiting) return;
  transport->is_read_waiting = true;
  transport->socket.async_wait(Descriptor::wait_read, [this, transport](const boost::system::error_code&) {
    if (transport->is_dead) return;
    transport->is_read_waiting = false;
    const bool is_owned = !transport->is_closing;
    const Instant now = monotonic_now();
    read_some(now, transport);
    pump_out(now, transport);
    if (is_owned) owner_.settle(now);
  });
}

void TcpTransports::Impl::wait_writable(const TransportPointer& transport) {
  if (transport->is_write_waiting) return;
  transport->is_write_waiting = true;
  transport->socket.async_wait(Descriptor::wait_write, [this, transport](const boost::system::error_code&) {
    if (transport->is_dead) return;
    transport->is_write_waiting = false;
    const bool is_owned = !transport->is_closing;
    const Instant now = monotonic_now();
    pump_out(now, transport);
    if (is_owned) owner_.settle(now);
  });
}

void TcpTransports::Impl::read_some(Instant now, const TransportPointer& transport) {
  for (std::size_t i = 0; i < limits_.max_reads_per_wakeup; ++i) {
    if (transport->is_dead || transport->has_eof || transport->has_failed) return;
    if (!transport->is_closing && !owner_.wants_bytes(transport->id)) return;
    const ssize_t size = ::recv(transport->socket.native_handle(), read_buffer_.get(), limits_.buffer_size, 0);
    if (!handle_received(now, transport, size, errno)) return;
    // A buffer that was not filled has emptied the socket: no further call to hear EAGAIN.
    if (size > 0 && static_cast<std::size_t>(size) < limits_.buffer_size) break;
  }
  resume_reading(transport);
}

bool TcpTransports::Impl::handle_received(Instant now, const TransportPointer& transport, ssize_t size,
                                          int error_number) {
  if (size > 0) {
    transport->bytes_received += static_cast<std::uint64_t>(size);
    if (transport->is_closing) return true;  // thrown away: the owner has let go
    owner_.handle_bytes(now, transport->id, {read_buffer_.get(), static_cast<std::size_t>(size)});
    return true;
  }
  if (size == 0) {
    transport->has_eof = true;
    if (!transport->is_closing) {
      owner_.handle_eof(now, transport->id);
    } else if (transport->has_sent_fin) {
      remove(transport, CloseMode::graceful);
    }
    return false;
  }
  if (error_number == EINTR) return true;
  if (is_would_block(error_number)) {
    resume_reading(transport);
    return false;
  }
  fail_now(now, transport, error_number);
  return false;
}

void TcpTransports::Impl::resume_reading(const TransportPointer& transport) {
  if (transport->is_dead || transport->has_eof || transport->has_failed || transport->is_read_waiting) return;
  if (transport->is_closing || owner_.wants_bytes(transport->id)) wait_readable(transport);
}

void TcpTransports::Impl::pump_out(Instant now, const TransportPointer& transport) {
  if (transport->is_dead || transport->has_failed || transport->has_sent_fin) return;
  if (transport->is_pumping || transport->is_write_waiting) return;
  transport->is_pumping = true;
  bool is_drained = false;
  for (std::size_t i = 0; i < limits_.max_writes_per_wakeup && !is_drained; ++i) {
    if (!transport->has_unsent() && !refill(now, *transport)) {
      is_drained = true;
    } else if (!send_unsent(transport)) {
      break;
    }
  }
  transport->is_pumping = false;
  if (transport->is_dead || transport->has_failed) return;
  if (!is_drained) {
    wait_writable(transport);
  } else if (transport->is_closing) {
    send_fin(transport);
  }
  // What was sent may have made room for an answer, so that the owner wants bytes again.
  resume_reading(transport);
}

bool TcpTransports::Impl::refill(Instant now, Transport& transport) {
  if (!transport.buffer) transport.buffer = take_buffer();
  const MutableBytes out(transport.buffer.get(), limits_.buffer_size);
  transport.unsent_begin = 0;
  transport.unsent_end = std::min(owner_.poll_bytes(now, transport.id, out), out.size());
  if (transport.unsent_end == 0) give_back(std::move(transport.buffer));
  return transport.unsent_end > 0;
}

// False: the socket is full or failed.
bool TcpTransports::Impl::send_unsent(const TransportPointer& transport) {
  const std::byte* begin = transport->buffer.get() + transport->unsent_begin;
  const std::size_t size = transport->unsent_end - transport->unsent_begin;
  const ssize_t sent = ::send(transport->socket.native_handle(), begin, size, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno == EINTR) return true;
    if (!is_would_block(errno)) fail_later(transport, errno);
    return false;
  }
  transport->bytes_sent += static_cast<std::uint64_t>(sent);
  transport->unsent_begin += static_cast<std::size_t>(sent);
  return !transport->has_unsent();
}

void TcpTransports::Impl::send_fin(const TransportPointer& transport) {
  if (transport->has_sent_fin) return;
  transport->has_sent_fin = true;
  ::shutdown(transport->socket.native_handle(), SHUT_WR);
  if (transport->has_eof) remove(transport, CloseMode::graceful);
}

// For failures found while the owner may be on the stack: the owner hears of them in a wake-up of their own, after the
// bytes that the peer sent before (its last words often say why it closed).
void TcpTransports::Impl::fail_later(const TransportPointer& transport, int error_number) {
  transport->has_failed = true;
  loop_.post([this, transport, error_number] {
    if (transport->is_dead) return;
    const bool is_owned = !transport->is_closing;
    const Instant now = monotonic_now();
    transport->has_failed = false;
    if (is_owned) read_some(now, transport);
    fail_now(now, transport, error_number);
    if (is_owned) owner_.settle(now);
  });
}

void TcpTransports::Impl::fail_now(Instant now, const TransportPointer& transport, int error_number) {
  if (transport->is_dead) return;
  const bool is_owned = !transport->is_closing;
  Error error = network_error(error_number, transport->remote);
  if (error_number == ETIMEDOUT) error = Error(Errc::peer_silent, transport->remote.to_string());
  remove(transport, CloseMode::abort);
  if (is_owned) owner_.handle_error(now, transport->id, error);
}

void TcpTransports::Impl::remove(const TransportPointer& transport, CloseMode mode) {
  if (transport->is_dead) return;
  transport->is_dead = true;
  transport->linger.reset();
  if (transport->buffer && !transport->is_pumping) give_back(std::move(transport->buffer));
  if (mode == CloseMode::abort) set_abort_on_close(transport->socket.native_handle());
  boost::system::error_code ignored;
  transport->socket.close(ignored);
  transports_.erase(transport->id);
  tell_if_drained();
}

void TcpTransports::Impl::flush(TransportId id) {
  const auto found = transports_.find(id);
  if (found == transports_.end() || found->second->is_closing) return;
  const TransportPointer transport = found->second;
  pump_out(monotonic_now(), transport);
  resume_reading(transport);
}

void TcpTransports::Impl::close(TransportId id, CloseMode mode) {
  const auto found = transports_.find(id);
  if (found == transports_.end()) return;
  const TransportPointer transport = found->second;
  if (mode == CloseMode::abort || transport->has_failed) {
    remove(transport, CloseMode::abort);
    return;
  }
  if (transport->is_closing) return;
  transport->is_closing = true;
  const Instant now = monotonic_now();
  transport->linger = std::make_unique<Timer>(loop_, [this, weak = std::weak_ptr(transport)](Instant) {
    if (const auto lingering = weak.lock()) remove(lingering, CloseMode::abort);
  });
  transport->linger->set(now + limits_.linger);
  resume_reading(transport);
  pump_out(now, transport);
}

std::unique_ptr<std::byte[]> TcpTransports::Impl::take_buffer() {
  if (free_buffers_.empty()) return std::make_unique_for_overwrite<std::byte[]>(limits_.buffer_size);
  auto buffer = std::move(free_buffers_.back());
  free_buffers_.pop_back();
  return buffer;
}

void TcpTransports::Impl::give_back(std::unique_ptr<std::byte[]> buffer) {
  if (free_buffers_.size() < k_max_free_buffers) free_buffers_.push_back(std::move(buffer));
}

}  // namespace dig::net
