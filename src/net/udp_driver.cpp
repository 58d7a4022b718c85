// SPDX-License-Identifier: Apache-2.0
#include "net/udp_driver.hpp"

#include "net/asio.hpp"
#include "net/clock.hpp"

namespace dig::net {

struct UdpDriver::Impl : std::enable_shared_from_this<Impl> {
  struct Socket {
    Socket(boost::asio::io_context& context, BoundSocket bound, UdpOffload offload)
        : udp(std::move(bound), offload), waiter(context, udp.fd()) {}
    ~Socket() { waiter.release(); }  // udp owns the descriptor

    UdpSocket udp;
    Descriptor waiter;
  };

  Impl(Loop& on_loop, std::unique_ptr<DatagramMachine> driven, Limits with_limits)
      : loop(on_loop), machine(std::move(driven)), limits(with_limits) {}

  void wait_readable(std::size_t index) {
    sockets[index]->waiter.async_wait(Descriptor::wait_read,
                                      [self = shared_from_this(), index](const boost::system::error_code& error) {
                                        if (error || self->is_stopped) return;
                                        self->handle_readable(index);
                                      });
  }

  void handle_readable(std::size_t index) {
    const Instant now = monotonic_now();
    for (std::size_t i = 0; i < limits.max_receives_per_wakeup; ++i) {
      const bool has_more = sockets[index]->udp.receive(now, [&](const Received& in) {
        machine->handle_datagram(in);
        drain(now);
      });
      if (!has_more) break;
    }
    report_error(*sockets[index], now);
    drain(now);
    set_timer();
    wait_readable(index);
  }

  void handle_timer(Instant now) {
    machine->handle_timeout(now);
    drain(now);
    set_timer();
  }

  // Everything the machine has to say, after each mutation. Transmits stop while a socket is full; they are not lost,
  // the machine keeps them.
  void drain(Instant now) {
    if (is_draining) return;
    is_draining = true;
    std::size_t transmits = 0;
    while (true) {
      while (machine->pass_event(now)) {
      }
      if (blocked || is_resume_posted) break;
      if (transmits++ == limits.max_transmits_per_wakeup) {
        resume_later();
        break;
      }
      const auto transmit = machine->poll_transmit(now, {buffer.get(), UdpSocket::k_max_transfer});
      if (!transmit) break;
      send(now, *transmit);
    }
    is_draining = false;
  }

  void send(Instant now, const Transmit& transmit) {
    Socket* socket = socket_for(transmit);
    if (socket == nullptr) return;  // no socket of this family: lost like any datagram
    const auto state = socket->udp.send(transmit, {buffer.get(), UdpSocket::k_max_transfer});
    report_error(*socket, now);
    if (state == UdpSocket::SendState::done) return;
    blocked = transmit;
    socket->waiter.async_wait(Descriptor::wait_write,
                              [self = shared_from_this()](const boost::system::error_code& error) {
                                if (error || self->is_stopped) return;
                                const Transmit rest = *std::exchange(self->blocked, std::nullopt);
                                const Instant later = monotonic_now();
                                self->send(later, rest);
                                self->drain(later);
                                self->set_timer();
                              });
  }

  void report_error(Socket& socket, Instant now) {
    const int error_number = socket.udp.take_error();
    if (error_number != 0) machine->handle_socket_error(now, error_number);
  }

  void resume_later() {
    is_resume_posted = true;
    boost::asio::post(loop.context(), [self = shared_from_this()] {
      if (self->is_stopped) return;
      self->is_resume_posted = false;
      self->drain(monotonic_now());
      self->set_timer();
    });
  }

  [[nodiscard]] Socket* socket_for(const Transmit& transmit) {
    Socket* of_family = nullptr;
    for (const auto& socket : sockets) {
      const Endpoint& local = socket->udp.local();
      if (local.address.family() != transmit.remote.address.family()) continue;
      if (local.port == transmit.local.port) return socket.get();
      if (of_family == nullptr) of_family = socket.get();
    }
    return of_family;
  }

  void set_timer() { timer->set(machine->next_timeout()); }

  Loop& loop;
  std::unique_ptr<DatagramMachine> machine;
  const Limits limits;
  std::vector<std::unique_ptr<Socket>> sockets;
  std::unique_ptr<Timer> timer;
  std::unique_ptr<std::byte[]> buffer = std::make_unique_for_overwrite<std::byte[]>(UdpSocket::k_max_transfer);
  std::optional<Transmit> blocked;  // its bytes are in `buffer`
  bool is_resume_posted = false;
  bool is_draining = false;
  bool is_stopped = false;
};

UdpDriver::UdpDriver(Loop& loop, std::vector<BoundSocket> sockets, std::unique_ptr<DatagramMachine> machine,
                     UdpOffload offload, Limits limits)
    : impl_(std::make_shared<Impl>(loop, std::move(machine), limits)) {
  impl_->timer = std::make_unique<Timer>(loop, [impl = impl_.get()](Instant now) { impl->handle_timer(now); });
  for (BoundSocket& socket : sockets) {
    impl_->sockets.push_back(std::make_unique<Impl::Socket>(loop.context(), std::move(socket), offload));
    impl_->wait_readable(impl_->sockets.size() - 1);
  }
  drain();
}

UdpDriver::~UdpDriver() {
  impl_->is_stopped = true;
  impl_->timer.reset();
  impl_->sockets.clear();
}

void UdpDriver::drain() {
  impl_->drain(monotonic_now());
  impl_->set_timer();
}

std::vector<UdpSocketStatus> UdpDriver::snapshot() const {
  std::vector<UdpSocketStatus> statuses;
  for (const auto& socket : impl_->sockets) statuses.push_back(socket->udp.snapshot());
  return statuses;
}

}  // namespace dig::net
