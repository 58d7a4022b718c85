// SPDX-License-Identifier: Apache-2.0
#include "net/port_datagrams.hpp"

#include <sys/socket.h>

#include "net/clock.hpp"
#include "net/udp_receiver.hpp"
#include "net/udp_waiter.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_receives_per_wakeup = 8;
constexpr int k_socket_buffer = 4 * 1024 * 1024;  // bursts of all clients

}  // namespace

class PortDatagrams::Impl final : private one_port::DatagramState {
 public:
  Impl(Loop& loop, TurnShard& turn, UdpOffload offload) : loop_(loop), turn_(turn), offload_(offload), router_(*this) {}
  ~Impl() override { stop(); }

  void listen(BoundSocket bound) {
    for (const int option : {SO_RCVBUF, SO_SNDBUF}) {
      ::setsockopt(bound.fd.value(), SOL_SOCKET, option, &k_socket_buffer, sizeof(k_socket_buffer));
    }
    (void)UdpReceiver::prepare(bound.fd.value(), bound.local.address, {.gro = offload_.gro});
    turn_.share_udp(bound.fd.value(), bound.local);
    sockets_.push_back(std::make_shared<UdpWaiter>(loop_.context(), std::move(bound.fd), bound.local));
    wait_readable(sockets_.back());
  }

  void stop() {
    for (const SocketPointer& socket : sockets_) socket->stop();
  }

  [[nodiscard]] one_port::DatagramRouter::Status snapshot() const { return router_.snapshot(); }

 private:
  using SocketPointer = std::shared_ptr<UdpWaiter>;

  void wait_readable(const SocketPointer& socket) {
    UdpWaiter::wait(socket, [this](const SocketPointer& ready) { handle_readable(ready); });
  }

  void handle_readable(const SocketPointer& socket) {
    const Instant now = monotonic_now();
    const UnixTime wall = wall_now();
    for (std::size_t i = 0; i < k_max_receives_per_wakeup; ++i) {
      std::size_t messages = 0;
      (void)receiver_.receive(socket->fd(), socket->local(), now, [&](const Received& in) {
        ++messages;
        router_.route(in, [&](one_port::Destination destination, const Received& part) {
          using enum one_port::Destination;
          const bool is_for_turn =
              destination == stun_server || destination == channel_data || destination == turn_dtls;
          if (is_for_turn) turn_.handle_datagrams(wall, part);
        });
      });
      turn_.settle(now);  // the next receive overwrites what it sends
      if (messages < UdpReceiver::k_batch) break;
    }
    if (!socket->is_stopped()) wait_readable(socket);
  }

  // one_port::DatagramState. There is no QUIC and no ICE here yet.
  [[nodiscard]] Tuple find(const Endpoint& local, const Endpoint& remote) const override {
    return {.has_allocation = turn_.has_udp_allocation(local, remote)};
  }
  [[nodiscard]] bool is_channel_bound(Instant now, const Endpoint& local, const Endpoint& remote,
                                      std::uint16_t channel) const override {
    return turn_.is_channel_bound(now, local, remote, channel);
  }
  [[nodiscard]] bool begins_with_connection_id(BytesView /*bytes*/) const override { return false; }
  [[nodiscard]] bool is_ice_fragment(std::string_view /*fragment*/) const override { return false; }
  [[nodiscard]] bool is_ice_transaction(const stun::TransactionId& /*transaction*/) const override { return false; }

  Loop& loop_;
  TurnShard& turn_;
  UdpOffload offload_;
  UdpReceiver receiver_;
  one_port::DatagramRouter router_;
  std::vector<SocketPointer> sockets_;
};

PortDatagrams::PortDatagrams(Loop& loop, TurnShard& turn, UdpOffload offload)
    : impl_(std::make_unique<Impl>(loop, turn, offload)) {}
PortDatagrams::~PortDatagrams() = default;

void PortDatagrams::listen(BoundSocket socket) { impl_->listen(std::move(socket)); }
void PortDatagrams::stop() { impl_->stop(); }
one_port::DatagramRouter::Status PortDatagrams::snapshot() const { return impl_->snapshot(); }

}  // namespace dig::net
