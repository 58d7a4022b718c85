// SPDX-License-Identifier: Apache-2.0
// Accepts connections, a bounded number in one wake-up, and pauses when the process is out of descriptors.
#include <sys/socket.h>

#include <cerrno>

#include "net/sockaddr.hpp"
#include "net/tcp_engine.hpp"

namespace dig::net {

ListenerId TcpTransports::Impl::listen(BoundSocket socket) {
  const ListenerId id{++last_id_};
  auto listener = std::make_shared<Listener>(loop_.context(), id, std::move(socket));
  listeners_.emplace(id, listener);
  wait_acceptable(listener);
  return id;
}

void TcpTransports::Impl::stop_listening(ListenerId id) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  const ListenerPointer listener = found->second;
  listeners_.erase(found);
  listener->is_dead = true;
  listener->pause.reset();
  listener->waiter.release();  // the handler that waits runs once more and sees is_dead
  listener->bound.fd.reset();
}

std::vector<Endpoint> TcpTransports::Impl::listening() const {
  std::vector<Endpoint> endpoints;
  for (const auto& [id, listener] : listeners_) endpoints.push_back(listener->bound.local);
  return endpoints;
}

void TcpTransports::Impl::wait_acceptable(const ListenerPointer& listener) {
  listener->waiter.async_wait(Descriptor::wait_read, [this, listener](const boost::system::error_code&) {
    if (!listener->is_dead) accept_some(monotonic_now(), listener);
  });
}

void TcpTransports::Impl::accept_some(Instant now, const ListenerPointer& listener) {
  for (std::size_t i = 0; i < limits_.max_accepts_per_wakeup; ++i) {
    SocketAddress from;
    socklen_t size = SocketAddress::capacity();
    UniqueFd fd(::accept4(listener->bound.fd.value(), from.mutable_get(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      handle_connection(now, listener, std::move(fd), from.endpoint());
      if (listener->is_dead) return;
      continue;
    }
    const int error_number = errno;
    if (error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS || error_number == ENOMEM) {
      pause_accepting(now, listener);
      return;
    }
    if (error_number == EAGAIN || error_number == EWOULDBLOCK) break;
    // Everything else concerns the one connection that is lost: accept(2), "Error handling".
  }
  wait_acceptable(listener);
}

// The peers wait in the kernel's queue meanwhile. Waiting for the socket again at once would spin.
void TcpTransports::Impl::pause_accepting(Instant now, const ListenerPointer& listener) {
  ++counters_.accept_pauses;
  if (!listener->pause) {
    listener->pause = std::make_unique<Timer>(loop_, [this, weak = std::weak_ptr(listener)](Instant later) {
      const auto paused = weak.lock();
      if (paused && !paused->is_dead) accept_some(later, paused);
    });
  }
  listener->pause->set(now + limits_.accept_pause);
}

void TcpTransports::Impl::handle_connection(Instant now, const ListenerPointer& listener, UniqueFd fd,
                                            const Endpoint& remote) {
  const Endpoint local = local_endpoint(fd.value()).value_or(listener->bound.local);
  if (transports_.size() >= limits_.max_transports || !owner_.admits(now, local, remote)) {
    ++counters_.rejected;
    set_abort_on_close(fd.value());
    return;
  }
  ++counters_.accepted;
  const TransportPointer transport = add_transport(std::move(fd), local, remote);
  owner_.handle_accepted(now, transport->id, local, remote);
  start_transport(now, transport);
  owner_.settle(now);
}

}  // namespace dig::net
