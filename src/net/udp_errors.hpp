// SPDX-License-Identifier: Apache-2.0
// What became of datagrams that a UDP socket has sent: the ICMP errors about them, from the socket's error queue (Linux
// IP_RECVERR; ip(7), ipv6(7)). They name the destination of the datagram, which an unconnected socket hears no other
// way.
//
// A queued error also fails one later send or receive, once; and the socket is readable until the queue is empty.
#pragma once

#include <cstdint>
#include <optional>

#include "base/endpoint.hpp"

namespace dig::net {

struct UdpError {
  Endpoint destination;  // of the datagram that the error is about
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;
  std::uint32_t mtu = 0;  // of the next link, where it was too small; else 0
};

void ask_for_udp_errors(int fd, IpFamily family);
// The next one of the queue, if there is one; what is not an ICMP error is skipped.
[[nodiscard]] std::optional<UdpError> next_udp_error(int fd);

}  // namespace dig::net
