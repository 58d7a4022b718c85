// SPDX-License-Identifier: Apache-2.0
#include "net/udp_receiver.hpp"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "net/sockaddr.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_slot = 65'535;  // bytes of one message: GRO fills them
// From one slot to the next. Not a power of two: the datagrams of a batch would all fall into the same few sets of the
// caches and drive each other out before they are sent on.
constexpr std::size_t k_stride = 65'536 + 33 * 64;

// Room for the local address, the ECN bits and the segment size.
constexpr std::size_t k_control_size =
    CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(int));

struct alignas(cmsghdr) Control {
  std::array<char, k_control_size> bytes;
};

bool set_option(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

template <class Value>
Value control_value(const cmsghdr* header) {
  Value value{};
  std::memcpy(&value, CMSG_DATA(header), std::min(sizeof(Value), header->cmsg_len - CMSG_LEN(0)));
  return value;
}

Ecn ecn_of(int traffic_class) { return static_cast<Ecn>(traffic_class & 3); }

}  // namespace

struct UdpReceiver::Impl {
  std::unique_ptr<std::byte[]> buffer = std::make_unique_for_overwrite<std::byte[]>(k_batch * k_stride);
  std::array<mmsghdr, k_batch> messages{};
  std::array<iovec, k_batch> vectors{};
  std::array<SocketAddress, k_batch> senders{};
  std::array<Control, k_batch> controls{};
  std::size_t used = k_batch;  // the first so many are not ready: the kernel has written into them

  void make_ready(std::size_t i) {
    vectors[i] = {buffer.get() + i * k_stride, k_slot};
    messages[i].msg_hdr = {.msg_name = senders[i].mutable_get(),
                           .msg_namelen = SocketAddress::capacity(),
                           .msg_iov = &vectors[i],
                           .msg_iovlen = 1,
                           .msg_control = controls[i].bytes.data(),
                           .msg_controllen = k_control_size,
                           .msg_flags = 0};
  }
};

UdpReceiver::UdpReceiver() : impl_(std::make_unique<Impl>()) {}
UdpReceiver::~UdpReceiver() = default;
UdpReceiver::UdpReceiver(UdpReceiver&&) noexcept = default;

bool UdpReceiver::prepare(int fd, const IpAddress& bound_to, const Wanted& wanted) {
  const bool is_v4 = bound_to.is_v4();
  if (bound_to.is_unspecified()) {
    set_option(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_PKTINFO : IPV6_RECVPKTINFO);
  }
  if (wanted.ecn) set_option(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_RECVTOS : IPV6_RECVTCLASS);
  return wanted.gro && set_option(fd, SOL_UDP, UDP_GRO);
}

std::size_t UdpReceiver::receive_batch(int fd) {
  truncated_ = 0;
  for (std::size_t i = 0; i < impl_->used; ++i) impl_->make_ready(i);
  const int count = ::recvmmsg(fd, impl_->messages.data(), k_batch, MSG_DONTWAIT, nullptr);
  error_number_ = count < 0 && errno != EAGAIN && errno != EWOULDBLOCK ? errno : 0;
  impl_->used = count > 0 ? static_cast<std::size_t>(count) : 0;
  return impl_->used;
}

bool UdpReceiver::describe(std::size_t index, const Endpoint& local, Instant now, Received& in) {
  msghdr& message = impl_->messages[index].msg_hdr;
  if ((message.msg_flags & MSG_TRUNC) != 0) {
    ++truncated_;
    return false;
  }
  const std::size_t size = impl_->messages[index].msg_len;
  in = {.now = now,
        .local = local,
        .remote = impl_->senders[index].endpoint(),
        .bytes = {impl_->buffer.get() + index * k_stride, size}};
  for (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, const_cast<cmsghdr*>(header))) {
    const auto is = [&](int level, int type) { return header->cmsg_level == level && header->cmsg_type == type; };
    if (is(IPPROTO_IP, IP_PKTINFO)) {
      const auto info = control_value<in_pktinfo>(header);
      in.local.address = IpAddress::from_bytes(std::as_bytes(std::span(&info.ipi_addr, 1))).value_or(in.local.address);
    } else if (is(IPPROTO_IPV6, IPV6_PKTINFO)) {
      const auto info = control_value<in6_pktinfo>(header);
      in.local.address = IpAddress::from_bytes(std::as_bytes(std::span(&info.ipi6_addr, 1))).value_or(in.local.address);
    } else if (is(IPPROTO_IP, IP_TOS)) {
      in.ecn = ecn_of(control_value<std::uint8_t>(header));
    } else if (is(IPPROTO_IPV6, IPV6_TCLASS)) {
      in.ecn = ecn_of(control_value<int>(header));
    } else if (is(SOL_UDP, UDP_GRO)) {
      const auto segment = static_cast<std::uint16_t>(control_value<int>(header));
      if (segment < size) in.segment_size = segment;
    }
  }
  return true;
}

}  // namespace dig::net
