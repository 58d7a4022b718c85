// SPDX-License-Identifier: Apache-2.0
#include "net/sockaddr.hpp"

#include <cstring>

namespace dig::net {

static_assert(sizeof(sockaddr_in6) >= sizeof(sockaddr_in));

SocketAddress::SocketAddress(const Endpoint& endpoint) noexcept {
  const auto& octets = endpoint.address.octets();
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, octets.data(), sizeof(v4.sin_addr));
    std::memcpy(&storage_, &v4, sizeof(v4));
    return;
  }
  storage_.sin6_family = AF_INET6;
  storage_.sin6_port = htons(endpoint.port);
  storage_.sin6_scope_id = endpoint.address.scope();
  std::memcpy(&storage_.sin6_addr, octets.data(), sizeof(storage_.sin6_addr));
}

Endpoint SocketAddress::endpoint() const noexcept {
  if (family() == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &storage_, sizeof(v4));
    std::array<std::uint8_t, 4> octets;
    std::memcpy(octets.data(), &v4.sin_addr, octets.size());
    return {IpAddress::v4(octets), ntohs(v4.sin_port)};
  }
  if (family() == AF_INET6) {
    std::array<std::uint8_t, 16> octets;
    std::memcpy(octets.data(), &storage_.sin6_addr, octets.size());
    return {IpAddress::v6(octets, storage_.sin6_scope_id), ntohs(storage_.sin6_port)};
  }
  return {};
}

std::optional<Endpoint> local_endpoint(int fd) noexcept {
  SocketAddress address;
  socklen_t size = SocketAddress::capacity();
  if (::getsockname(fd, address.mutable_get(), &size) != 0) return std::nullopt;
  return address.endpoint();
}

std::optional<Endpoint> remote_endpoint(int fd) noexcept {
  SocketAddress address;
  socklen_t size = SocketAddress::capacity();
  if (::getpeername(fd, address.mutable_get(), &size) != 0) return std::nullopt;
  return address.endpoint();
}

}  // namespace dig::net
