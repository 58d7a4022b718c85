// SPDX-License-Identifier: Apache-2.0
#include "net/udp_probes.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/clock.hpp"
#include "net/sockaddr.hpp"
#include "net/udp_waiter.hpp"

namespace dig::net {
namespace {

constexpr int k_attempts = 16;
constexpr int k_max_reads = 16;  // of one wake-up

// An IPv6 one takes no IPv4 address, however it is written: policies have judged it as what it looks like.
UniqueFd make_socket(IpFamily family) {
  const int domain = family == IpFamily::v4 ? AF_INET : AF_INET6;
  UniqueFd fd(::socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd && family == IpFamily::v6 && ::setsockopt(fd.value(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) {
    return {};
  }
  return fd;
}

}  // namespace

UdpProbes::UdpProbes(Loop& loop, Rng& rng, OnDatagram on_datagram)
    : loop_(loop), rng_(rng), on_datagram_(std::move(on_datagram)) {}

UdpProbes::~UdpProbes() {
  for (const auto& [id, port] : ports_) port->stop();
}

Result<std::uint16_t> UdpProbes::open(Id id, const IpAddress& local, std::uint16_t first, std::uint16_t last) {
  close(id);
  for (int attempt = 0; attempt < k_attempts; ++attempt) {
    const auto port = static_cast<std::uint16_t>(first + rng_.below(last - first + 1U));
    const Endpoint wanted{local, port};
    const SocketAddress address(wanted);
    UniqueFd fd = make_socket(local.family());
    if (!fd) return fail(Errc::network_error, std::strerror(errno));
    if (::bind(fd.value(), address.get(), address.size()) != 0) {
      if (errno == EADDRINUSE || errno == EACCES) continue;
      return fail(Errc::network_error, std::strerror(errno));
    }
    const Port opened = std::make_shared<UdpWaiter>(loop_.context(), std::move(fd), wanted);
    ports_.emplace(id, opened);
    wait(id, opened);
    return port;
  }
  return fail(Errc::port_in_use, "relay ports");
}

void UdpProbes::close(Id id) {
  const auto port = ports_.extract(id);
  if (!port.empty()) port.mapped()->stop();
}

void UdpProbes::wait(Id id, const Port& port) {
  UdpWaiter::wait(port, [this, id](const Port& ready) { read(id, ready); });
}

void UdpProbes::read(Id id, const Port& port) {
  const Instant now = monotonic_now();
  std::array<std::byte, 64> buffer;  // a datagram that is longer is cut off, and none of ours
  for (int i = 0; i < k_max_reads && !port->is_stopped(); ++i) {
    const ssize_t size = ::recv(port->fd(), buffer.data(), buffer.size(), 0);
    if (size < 0) break;
    on_datagram_(now, id, BytesView(buffer).first(static_cast<std::size_t>(size)));
  }
  if (!port->is_stopped()) wait(id, port);
}

bool UdpProbes::send(const Endpoint& to, BytesView datagram) {
  const SocketAddress address(to);
  const UniqueFd fd = make_socket(to.address.family());
  if (!fd) return false;
  return ::sendto(fd.value(), datagram.data(), datagram.size(), MSG_NOSIGNAL, address.get(), address.size()) >= 0;
}

}  // namespace dig::net
