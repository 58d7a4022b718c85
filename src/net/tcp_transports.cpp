// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_transports.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "net/tcp_engine.hpp"

namespace dig::net {

TcpTransports::TcpTransports(Loop& loop, TransportOwner& owner, Limits limits)
    : impl_(std::make_unique<Impl>(loop, owner, limits)) {}
TcpTransports::~TcpTransports() = default;

ListenerId TcpTransports::listen(BoundSocket socket) { return impl_->listen(std::move(socket)); }
void TcpTransports::stop_listening(ListenerId id) { impl_->stop_listening(id); }
std::vector<Endpoint> TcpTransports::listening() const { return impl_->listening(); }
void TcpTransports::dial(DialId id, std::vector<Endpoint> candidates, const DialOptions& options) {
  impl_->dial(id, std::move(candidates), options);
}
void TcpTransports::cancel_dial(DialId id) { impl_->cancel_dial(id); }
void TcpTransports::flush(TransportId id) { impl_->flush(id); }
void TcpTransports::close(TransportId id, CloseMode mode) { impl_->close(id, mode); }
void TcpTransports::drain(Duration limit, Task done) { impl_->drain(limit, std::move(done)); }
std::optional<TransportStatus> TcpTransports::status(TransportId id) const { return impl_->status(id); }
TcpTransportsStatus TcpTransports::snapshot() const { return impl_->snapshot(); }

TcpTransports::Impl::Impl(Loop& loop, TransportOwner& owner, Limits limits)
    : loop_(loop), owner_(owner), limits_(limits), read_buffer_(take_buffer()) {}

TcpTransports::Impl::~Impl() {
  end_listening_and_dialling();
  while (!transports_.empty()) remove(TransportPointer(transports_.begin()->second), CloseMode::abort);
}

void TcpTransports::Impl::end_listening_and_dialling() {
  while (!listeners_.empty()) stop_listening(listeners_.begin()->first);
  while (!dials_.empty()) drop_dial(DialPointer(dials_.begin()->second));
}

void TcpTransports::Impl::drain(Duration limit, Task done) {
  end_listening_and_dialling();
  drained_ = std::move(done);
  drain_limit_ = std::make_unique<Timer>(loop_, [this](Instant) { std::exchange(drained_, nullptr)(); });
  drain_limit_->set(monotonic_now() + limit);
  tell_if_drained();
}

void TcpTransports::Impl::tell_if_drained() {
  if (!drained_ || !transports_.empty()) return;
  drain_limit_.reset();
  loop_.post(std::exchange(drained_, nullptr));
}

std::optional<TransportStatus> TcpTransports::Impl::status(TransportId id) const {
  const auto found = transports_.find(id);
  if (found == transports_.end() || found->second->is_closing) return std::nullopt;
  Transport& transport = *found->second;
  TransportStatus status{.local = transport.local,
                         .remote = transport.remote,
                         .bytes_received = transport.bytes_received,
                         .bytes_sent = transport.bytes_sent,
                         .is_reading = transport.is_read_waiting,
                         .unsent_bytes = transport.unsent_end - transport.unsent_begin,
                         .rtt = std::nullopt};
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(transport.socket.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_rtt > 0) {
    status.rtt = std::chrono::microseconds(info.tcpi_rtt);
  }
  return status;
}

TcpTransportsStatus TcpTransports::Impl::snapshot() const {
  TcpTransportsStatus status = counters_;
  status.listeners = listeners_.size();
  status.transports = transports_.size();
  status.dials = dials_.size();
  return status;
}

void set_no_delay(int fd) noexcept {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void set_abort_on_close(int fd) noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

Error network_error(int error_number, const Endpoint& remote) {
  const std::string detail = remote.to_string() + ": " + std::strerror(error_number);
  switch (error_number) {
    case ECONNREFUSED:
      return Error(Errc::connection_refused, detail);
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return Error(Errc::no_route, detail);
    case ETIMEDOUT:
      return Error(Errc::connect_timeout, detail);
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
      return Error(Errc::connection_reset, detail);
    default:
      return Error(Errc::network_error, detail);
  }
}

}  // namespace dig::net
