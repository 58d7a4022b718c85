// SPDX-License-Identifier: Apache-2.0
// Endpoint to and from the kernel's socket addresses.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>

#include "base/endpoint.hpp"

namespace dig::net {

class SocketAddress {
 public:
  SocketAddress() = default;  // to be filled by the kernel: pass mutable_get() and capacity()
  explicit SocketAddress(const Endpoint& endpoint) noexcept;

  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] sockaddr* mutable_get() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size() const noexcept {
    return family() == AF_INET ? socklen_t{sizeof(sockaddr_in)} : socklen_t{sizeof(sockaddr_in6)};
  }
  [[nodiscard]] static constexpr socklen_t capacity() noexcept { return sizeof(sockaddr_in6); }
  [[nodiscard]] int family() const noexcept { return storage_.sin6_family; }
  // 0.0.0.0:0 when the family is neither IPv4 nor IPv6.
  [[nodiscard]] Endpoint endpoint() const noexcept;

 private:
  sockaddr_in6 storage_{};
};

// getsockname and getpeername.
[[nodiscard]] std::optional<Endpoint> local_endpoint(int fd) noexcept;
[[nodiscard]] std::optional<Endpoint> remote_endpoint(int fd) noexcept;

}  // namespace dig::net
