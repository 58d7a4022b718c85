// SPDX-License-Identifier: Apache-2.0
// UDP and DTLS legs: a machine on a connected socket, under the UdpDriver.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "crypto/dtls_session.hpp"
#include "net/clock.hpp"
#include "net/leg_kinds.hpp"
#include "net/sockaddr.hpp"
#include "net/tcp_transports.hpp"
#include "net/udp_driver.hpp"
#include "proto/stun/response.hpp"

namespace dig::net {
namespace {

Result<BoundSocket> connect_udp(const Endpoint& remote) {
  const SocketAddress address(remote);
  UniqueFd fd(::socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.value(), address.get(), address.size()) != 0) {
    return std::unexpected(network_error(errno, remote));
  }
  const Endpoint local = local_endpoint(fd.value()).value_or(Endpoint{});
  return BoundSocket{std::move(fd), SocketKind::udp, local};
}

// What runs between the socket and the owner.
class DatagramLegMachine {
 public:
  // Something was called: the owner may have something to say.
  struct Event {};

  DatagramLegMachine(LegOwner& owner, LegOpened opened, std::optional<crypto::DtlsSession> dtls, Instant deadline,
                     Instant started)
      : owner_(owner), opened_(std::move(opened)), dtls_(std::move(dtls)), deadline_(deadline), started_(started) {}

  void handle_datagram(const Received& in) {
    if (is_over() || in.remote != opened_.remote) return;
    stun::for_each_segment(in, [&](BytesView datagram) {
      if (!is_over()) handle_one(in.now, datagram);
    });
    has_news_ = true;
  }

  void handle_timeout(Instant now) {
    if (is_over()) return;
    if (!is_open_ && now >= deadline_) {
      end(now, Error(Errc::connect_timeout, "DTLS with " + opened_.remote.to_string()));
    } else if (dtls_) {
      dtls_->handle_timeout(now);
      drain_dtls(now);
    }
    has_news_ = true;
  }

  void handle_socket_error(Instant now, int error_number) {
    if (is_over() || error_number != ECONNREFUSED) return;
    end(now, network_error(error_number, opened_.remote));
    has_news_ = true;
  }

  std::optional<Transmit> poll_transmit(Instant now, MutableBytes out) {
    if (dtls_) {
      if (auto own = dtls_->poll_transmit(now, out)) return own;
    }
    if (!is_open_ || is_closed_) return std::nullopt;
    for (;;) {
      const MutableBytes room = dtls_ ? MutableBytes(outgoing_) : out;
      const std::size_t size = owner_.poll_bytes(now, room);
      if (size == 0) return is_closing_ ? finish_closing(now, out) : std::nullopt;
      if (!dtls_) return Transmit{.local = opened_.local, .remote = opened_.remote, .size = size};
      const auto sealed = dtls_->seal(room.first(size), out);
      if (sealed) return Transmit{.local = opened_.local, .remote = opened_.remote, .size = *sealed};
      // Larger than the path takes: lost, as a path loses it.
    }
  }

  std::optional<Event> poll_event() {
    if (!std::exchange(has_news_, false)) return std::nullopt;
    return Event{};
  }

  [[nodiscard]] std::optional<Instant> next_timeout() const {
    if (is_over()) return std::nullopt;
    const std::optional<Instant> opening = is_open_ ? std::nullopt : std::optional(deadline_);
    return earliest(opening, dtls_ ? dtls_->next_timeout() : std::nullopt);
  }

  void open(Instant now) {
    is_open_ = true;
    opened_.elapsed = now - started_;
    has_news_ = true;
    owner_.handle_open(now, opened_);
  }

  // No more callbacks, but for the bytes that the owner still has.
  void close() {
    if (is_open_) {
      is_closing_ = true;
    } else {
      is_closed_ = true;
    }
  }

 private:
  [[nodiscard]] bool is_over() const noexcept { return is_closing_ || is_closed_; }

  std::optional<Transmit> finish_closing(Instant now, MutableBytes out) {
    is_closed_ = true;
    if (!dtls_) return std::nullopt;
    dtls_->close();
    return dtls_->poll_transmit(now, out);
  }

  void handle_one(Instant now, BytesView datagram) {
    if (!dtls_) return owner_.handle_bytes(now, datagram);
    const auto size = dtls_->receive(now, datagram, plain_);
    drain_dtls(now);  // first of all, that it is established
    if (size && is_open_ && !is_over()) owner_.handle_bytes(now, BytesView(plain_).first(*size));
    while (is_open_ && !is_over()) {
      const auto more = dtls_->read(plain_);
      if (!more) break;
      owner_.handle_bytes(now, BytesView(plain_).first(*more));
    }
  }

  void drain_dtls(Instant now) {
    while (!is_over()) {
      const auto event = dtls_->poll_event();
      if (!event) return;
      if (const auto* established = std::get_if<crypto::TlsEstablished>(&*event)) {
        opened_.tls = established->version;
        open(now);
      } else if (const auto* closed = std::get_if<crypto::TlsClosed>(&*event)) {
        end(now, closed->error);
      }
    }
  }

  void end(Instant now, const Error& error) {
    is_closed_ = true;
    owner_.handle_closed(now, error);
  }

  LegOwner& owner_;
  LegOpened opened_;
  std::optional<crypto::DtlsSession> dtls_;
  Instant deadline_;
  Instant started_;
  std::array<std::byte, crypto::DtlsSession::max_plaintext> plain_;  // received: the owner may send while it reads
  std::array<std::byte, crypto::DtlsSession::max_plaintext> outgoing_;
  bool is_open_ = false;
  bool is_closing_ = false;
  bool is_closed_ = false;
  bool has_news_ = false;
};
static_assert(Machine<DatagramLegMachine>);

class DatagramLeg final : public Leg {
 public:
  DatagramLeg(Loop& loop, Resolver& resolver, LegTarget target, LegOptions options, LegOwner& owner)
      : loop_(loop),
        target_(std::move(target)),
        options_(std::move(options)),
        owner_(owner),
        started_(monotonic_now()) {
    look_up(loop, resolver, target_.host, options_.family, target_.address,
            [this, alive = std::weak_ptr(alive_)](const Result<Resolver::Addresses>& addresses) {
              if (!alive.expired() && !is_closed_) handle_addresses(addresses);
            });
  }

  void flush() override {
    if (driver_) driver_->drain();
  }

  void close() override {
    is_closed_ = true;
    if (machine_) machine_->close();
    if (driver_) driver_->drain();  // none yet: it is being made, and drains right after this
  }

 private:
  void handle_addresses(const Result<Resolver::Addresses>& addresses) {
    const Instant now = monotonic_now();
    const Result<void> started = addresses ? start(now, *addresses) : std::unexpected(addresses.error());
    if (started) return;
    is_closed_ = true;
    owner_.handle_closed(now, started.error());
    owner_.settle(now);
  }

  // The first address that the system has a route to: the system has put them in order (RFC 6724).
  Result<void> start(Instant now, const Resolver::Addresses& addresses) {
    Error last(Errc::no_route, target_.host);
    for (const IpAddress& address : addresses) {
      const Endpoint remote{address, target_.port};
      auto socket = connect_udp(remote);
      if (socket) return start_machine(now, std::move(*socket), remote);
      last = socket.error();
    }
    return std::unexpected(last);
  }

  Result<void> start_machine(Instant now, BoundSocket socket, const Endpoint& remote) {
    std::optional<crypto::DtlsSession> dtls;
    if (target_.transport == StunTransport::dtls) {
      DIG_TRY(auto session, crypto::DtlsSession::connect(options_.tls, {.server_name = target_.host},
                                                         {socket.local, remote}, now, wall_now()));
      dtls.emplace(std::move(session));
    }
    const bool is_open = !dtls;
    machine_.emplace(owner_, LegOpened{.local = socket.local, .remote = remote}, std::move(dtls),
                     started_ + options_.open_timeout, started_);
    if (is_open) machine_->open(now);
    std::vector<BoundSocket> sockets;
    sockets.push_back(std::move(socket));
    driver_ = drive(loop_, std::move(sockets), *machine_,
                    [this](Instant later, DatagramLegMachine::Event) {
                      if (!is_closed_) owner_.settle(later);
                    },
                    {});
    return {};
  }

  Loop& loop_;
  LegTarget target_;
  LegOptions options_;
  LegOwner& owner_;
  Instant started_;
  std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  bool is_closed_ = false;
  std::optional<DatagramLegMachine> machine_;
  std::unique_ptr<UdpDriver> driver_;
};

}  // namespace

std::unique_ptr<Leg> open_datagram_leg(Loop& loop, Resolver& resolver, LegTarget target, LegOptions options,
                                       LegOwner& owner) {
  return std::make_unique<DatagramLeg>(loop, resolver, std::move(target), std::move(options), owner);
}

}  // namespace dig::net
