// SPDX-License-Identifier: Apache-2.0
#include "net/udp_errors.hpp"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "net/sockaddr.hpp"

namespace dig::net {
namespace {

// Room for the error and the address of who sent it, beside what else the socket asks for (UdpReceiver::prepare).
constexpr std::size_t k_control_size = 512;
struct alignas(cmsghdr) Control {
  std::array<char, k_control_size> bytes;
};

std::optional<sock_extended_err> extended_error(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    const bool is_error = (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR) ||
                          (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR);
    if (!is_error) continue;
    sock_extended_err error{};
    std::memcpy(&error, CMSG_DATA(header), sizeof(error));
    return error;
  }
  return std::nullopt;
}

}  // namespace

void ask_for_udp_errors(int fd, IpFamily family) {
  const int on = 1;
  const bool is_v4 = family == IpFamily::v4;
  ::setsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on));
}

std::optional<UdpError> next_udp_error(int fd) {
  for (;;) {
    SocketAddress destination;
    Control control;
    msghdr message{};
    message.msg_name = destination.mutable_get();
    message.msg_namelen = SocketAddress::capacity();
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    if (::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
      if (errno == EINTR) continue;
      return std::nullopt;
    }
    const auto error = extended_error(message);
    if (!error || (error->ee_origin != SO_EE_ORIGIN_ICMP && error->ee_origin != SO_EE_ORIGIN_ICMP6)) continue;
    return UdpError{.destination = destination.endpoint(),
                    .icmp_type = error->ee_type,
                    .icmp_code = error->ee_code,
                    .mtu = error->ee_errno == EMSGSIZE ? error->ee_info : 0};
  }
}

}  // namespace dig::net
