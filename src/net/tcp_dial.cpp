// SPDX-License-Identifier: Apache-2.0
// Carries out what dial::HappyEyeballs decides: non-blocking connects, from the listening port where asked.
#include <sys/socket.h>

#include <cerrno>

#include "net/sockaddr.hpp"
#include "net/tcp_engine.hpp"

namespace dig::net {
namespace {

// 0: connected; EINPROGRESS: wait until writable; else the error.
int start_connect(int fd, const Endpoint& remote) {
  const SocketAddress address(remote);
  return ::connect(fd, address.get(), address.size()) == 0 ? 0 : errno;
}

int pending_error(int fd) {
  int error_number = 0;
  socklen_t size = sizeof(error_number);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error_number, &size) != 0) return errno;
  return error_number;
}

}  // namespace

void TcpTransports::Impl::dial(DialId id, std::vector<Endpoint> candidates, const DialOptions& options) {
  cancel_dial(id);
  const Instant now = monotonic_now();
  auto dial = std::make_shared<Dial>(id, dial::HappyEyeballs(now, std::move(candidates), options.limits),
                                     options.from_listener);
  dials_.emplace(id, dial);
  dial->timer = std::make_unique<Timer>(loop_, [this, weak = std::weak_ptr(dial)](Instant later) {
    const auto waiting = weak.lock();
    if (!waiting || waiting->is_dead) return;
    waiting->machine.handle_timeout(later);
    step_dial(later, waiting);
  });
  loop_.post([this, dial] {
    if (!dial->is_dead) step_dial(monotonic_now(), dial);
  });
}

void TcpTransports::Impl::cancel_dial(DialId id) {
  const auto found = dials_.find(id);
  if (found != dials_.end()) drop_dial(DialPointer(found->second));
}

// The drain rule: everything the machine has to say, then its next deadline.
void TcpTransports::Impl::step_dial(Instant now, const DialPointer& dial) {
  while (!dial->is_dead) {
    const auto event = dial->machine.poll_event();
    if (!event) break;
    if (const auto* start = std::get_if<dial::Start>(&*event)) {
      start_attempt(now, dial, *start);
    } else if (const auto* cancelled = std::get_if<dial::Cancel>(&*event)) {
      dial->sockets.erase(cancelled->index);
    } else if (const auto* won = std::get_if<dial::Won>(&*event)) {
      finish_dial(now, dial, won->index);
    } else if (const auto* failed = std::get_if<dial::Failed>(&*event)) {
      finish_dial(now, dial, std::unexpected(failed->error));
    }
  }
  if (!dial->is_dead) dial->timer->set(dial->machine.next_timeout());
}

void TcpTransports::Impl::start_attempt(Instant now, const DialPointer& dial, const dial::Start& start) {
  UniqueFd fd;
  int error_number = EADDRNOTAVAIL;
  if (dial->from_listener) {
    fd = socket_of_listener(start.remote);
    if (fd) error_number = start_connect(fd.value(), start.remote);
  }
  if (error_number != 0 && error_number != EINPROGRESS) {
    const int family = start.remote.address.is_v4() ? AF_INET : AF_INET6;
    fd.reset(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    error_number = fd ? start_connect(fd.value(), start.remote) : errno;
  }
  if (error_number != 0 && error_number != EINPROGRESS) {
    dial->machine.handle_failed(now, start.index, network_error(error_number, start.remote));
    return;
  }
  auto& socket = dial->sockets[start.index];
  socket = std::make_unique<Descriptor>(loop_.context(), fd.release());
  // The socket may be cancelled and gone before this runs: then its attempt is no longer in the table.
  socket->async_wait(Descriptor::wait_write, [this, dial, index = start.index](const boost::system::error_code& error) {
    if (error || dial->is_dead || !dial->sockets.contains(index)) return;
    handle_connectable(monotonic_now(), dial, index);
  });
}

void TcpTransports::Impl::handle_connectable(Instant now, const DialPointer& dial, std::size_t index) {
  const int fd = dial->sockets.at(index)->native_handle();
  const Endpoint& remote = dial->machine.snapshot()[index].remote;
  const int error_number = pending_error(fd);
  if (error_number != 0) {
    dial->sockets.erase(index);
    dial->machine.handle_failed(now, index, network_error(error_number, remote));
  } else if (local_endpoint(fd) == remote) {
    // TCP simultaneous open with ourselves: dialled from the very port that was dialled.
    dial->sockets.erase(index);
    dial->machine.handle_failed(now, index, Error(Errc::dialled_self, remote.to_string()));
  } else {
    dial->machine.handle_connected(now, index);
  }
  step_dial(now, dial);
}

UniqueFd TcpTransports::Impl::socket_of_listener(const Endpoint& remote) const {
  for (const auto& [id, listener] : listeners_) {
    if (listener->bound.local.address.family() != remote.address.family()) continue;
    auto socket = listener->bound.bind_alike();
    if (socket) return std::move(*socket);
  }
  return {};
}

void TcpTransports::Impl::finish_dial(Instant now, const DialPointer& dial, Result<std::size_t> winner) {
  DialOutcome outcome{.result = fail(Errc::limit_reached, "connections"), .attempts = dial->machine.snapshot()};
  TransportPointer transport;
  if (!winner) {
    outcome.result = std::unexpected(winner.error());
  } else if (transports_.size() < limits_.max_transports) {
    UniqueFd fd(dial->sockets.at(*winner)->release());
    const Endpoint remote = outcome.attempts[*winner].remote;
    const Endpoint local = local_endpoint(fd.value()).value_or(Endpoint{});
    transport = add_transport(std::move(fd), local, remote);
    outcome.result = DialSuccess{transport->id, local, remote};
  }
  drop_dial(dial);
  owner_.handle_dialled(now, dial->id, outcome);
  if (transport) start_transport(now, transport);
  owner_.settle(now);
}

void TcpTransports::Impl::drop_dial(const DialPointer& dial) {
  dial->is_dead = true;
  dial->sockets.clear();
  dial->timer.reset();
  const auto found = dials_.find(dial->id);
  if (found != dials_.end() && found->second == dial) dials_.erase(found);
}

}  // namespace dig::net
