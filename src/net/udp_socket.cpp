// SPDX-License-Identifier: Apache-2.0
#include "net/udp_socket.hpp"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/sockaddr.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_segments = 64;        // UDP_MAX_SEGMENTS of the oldest kernels with UDP_SEGMENT
constexpr int k_socket_buffer = 4 * 1024 * 1024;  // what the kernel grants of it: bursts arrive faster than we wake up

// Room for the local address, the ECN bits and the segment size.
constexpr std::size_t k_control_size =
    CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(int));

struct alignas(cmsghdr) Control {
  std::array<char, k_control_size> bytes;
};

bool set_option(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

// Writes control messages one after another into a buffer.
class ControlWriter {
 public:
  ControlWriter(msghdr& message, Control& control) : message_(message) {
    message_.msg_control = control.bytes.data();
    message_.msg_controllen = control.bytes.size();
    std::memset(control.bytes.data(), 0, control.bytes.size());
    next_ = CMSG_FIRSTHDR(&message_);
  }
  template <class Value>
  void add(int level, int type, const Value& value) {
    next_->cmsg_level = level;
    next_->cmsg_type = type;
    next_->cmsg_len = CMSG_LEN(sizeof(Value));
    std::memcpy(CMSG_DATA(next_), &value, sizeof(Value));
    used_ += CMSG_SPACE(sizeof(Value));
    next_ = CMSG_NXTHDR(&message_, next_);
  }
  void finish() {
    message_.msg_controllen = used_;
    if (used_ == 0) message_.msg_control = nullptr;
  }

 private:
  msghdr& message_;
  cmsghdr* next_ = nullptr;
  std::size_t used_ = 0;
};

void add_source(ControlWriter& control, const IpAddress& source) {
  if (source.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, source.octets().data(), sizeof(info.ipi_spec_dst));
    control.add(IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, source.octets().data(), sizeof(info.ipi6_addr));
    info.ipi6_ifindex = source.scope();
    control.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

}  // namespace

struct UdpSocket::Impl {
  BoundSocket bound;
  UdpSocketStatus status;
  std::size_t sent_of_current = 0;  // of a transmit that was blocked on its way
  int error_number = 0;
  UdpReceiver receiver;

  [[nodiscard]] int send_once(const Transmit& transmit, BytesView bytes, std::size_t segment_size) const;
};

UdpSocket::UdpSocket(BoundSocket socket, UdpOffload offload) : impl_(std::make_unique<Impl>()) {
  impl_->bound = std::move(socket);
  const int descriptor = fd();
  set_option(descriptor, SOL_SOCKET, SO_RCVBUF, k_socket_buffer);
  set_option(descriptor, SOL_SOCKET, SO_SNDBUF, k_socket_buffer);
  impl_->status.offload.gso = offload.gso;
  impl_->status.offload.gro = UdpReceiver::prepare(descriptor, local().address, {.gro = offload.gro, .ecn = true});
}
UdpSocket::~UdpSocket() = default;
UdpSocket::UdpSocket(UdpSocket&&) noexcept = default;

int UdpSocket::fd() const noexcept { return impl_->bound.fd.value(); }
const Endpoint& UdpSocket::local() const noexcept { return impl_->bound.local; }
UdpSocketStatus UdpSocket::snapshot() const { return impl_->status; }
UdpReceiver& UdpSocket::receiver() noexcept { return impl_->receiver; }

void UdpSocket::count(const Received& in) noexcept {
  const std::size_t segment = in.segment_size == 0 ? std::max<std::size_t>(in.bytes.size(), 1) : in.segment_size;
  impl_->status.datagrams_received += std::max<std::size_t>(1, (in.bytes.size() + segment - 1) / segment);
}

void UdpSocket::count_call() noexcept {
  ++impl_->status.receive_calls;
  impl_->status.truncated += impl_->receiver.truncated();
  if (impl_->receiver.error_number() != 0) impl_->error_number = impl_->receiver.error_number();
}

int UdpSocket::take_error() noexcept { return std::exchange(impl_->error_number, 0); }

// One sendmsg; segment_size 0: one datagram. 0 or errno.
int UdpSocket::Impl::send_once(const Transmit& transmit, BytesView bytes, std::size_t segment_size) const {
  SocketAddress to(transmit.remote);
  Control control;
  iovec vector{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_name = to.mutable_get();
  message.msg_namelen = to.size();
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  ControlWriter writer(message, control);
  if (bound.local.address.is_unspecified() && !transmit.local.address.is_unspecified()) {
    add_source(writer, transmit.local.address);
  }
  if (transmit.ecn != Ecn::not_ect) {
    const int traffic_class = static_cast<int>(transmit.ecn);
    if (bound.local.address.is_v4()) {
      writer.add(IPPROTO_IP, IP_TOS, traffic_class);
    } else {
      writer.add(IPPROTO_IPV6, IPV6_TCLASS, traffic_class);
    }
  }
  if (segment_size > 0) writer.add(SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(segment_size));
  writer.finish();
  return ::sendmsg(bound.fd.value(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

UdpSocket::SendState UdpSocket::send(const Transmit& transmit, BytesView bytes) {
  const BytesView whole = bytes.first(std::min(transmit.size, bytes.size()));
  const std::size_t segment = transmit.segment_size == 0 ? whole.size() : transmit.segment_size;
  std::size_t& sent = impl_->sent_of_current;
  while (sent < whole.size()) {
    const BytesView rest = whole.subspan(sent);
    std::size_t size = std::min(segment, rest.size());
    const bool is_batch = impl_->status.offload.gso && rest.size() > segment;
    if (is_batch) {
      const std::size_t segments = std::min(k_max_segments, std::max<std::size_t>(1, k_max_transfer / segment));
      size = std::min(rest.size(), segments * segment);
    }
    const int error_number = impl_->send_once(transmit, rest.first(size), is_batch ? segment : 0);
    ++impl_->status.send_calls;
    if (error_number == EAGAIN || error_number == EWOULDBLOCK) return SendState::blocked;
    if (error_number == EINTR) continue;
    if (is_batch && (error_number == EIO || error_number == EINVAL)) {
      impl_->status.offload.gso = false;  // the device below cannot: datagram by datagram from here on
      continue;
    }
    if (error_number != 0) impl_->error_number = error_number;
    const std::size_t datagrams = (size + segment - 1) / segment;
    (error_number == 0 ? impl_->status.datagrams_sent : impl_->status.dropped_sends) += datagrams;
    sent += size;
  }
  sent = 0;
  return SendState::done;
}

UdpOffload test_udp_offload() {
  constexpr std::size_t k_segment = 1000;
  constexpr std::size_t k_size = 3 * k_segment + 500;
  PortManager ports;
  const PortRequest request{.purpose = "offload-test", .tcp = false, .addresses = {IpAddress::loopback(IpFamily::v4)}};
  auto near_lease = ports.acquire(request);
  auto far_lease = ports.acquire(request);
  if (!near_lease || !far_lease) return {};
  UdpSocket sender(std::move(near_lease->take_udp().at(0)), {.gso = true});
  UdpSocket receiver(std::move(far_lease->take_udp().at(0)), {.gro = true});
  Bytes sent(k_size);
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 31 + i / 256);
  const Transmit transmit{.remote = receiver.local(), .size = k_size, .segment_size = k_segment};
  if (sender.send(transmit, sent) == UdpSocket::SendState::blocked) return {};

  Bytes received;
  bool is_coalesced = false;
  bool has_right_sizes = true;
  pollfd ready{receiver.fd(), POLLIN, 0};
  while (received.size() < k_size && ::poll(&ready, 1, 200) == 1) {
    receiver.receive({}, [&](const Received& in) {
      if (in.segment_size != 0) is_coalesced = true;
      has_right_sizes =
          has_right_sizes && (in.segment_size == 0 ? in.bytes.size() <= k_segment : in.segment_size == k_segment);
      append(received, in.bytes);
    });
  }
  const bool is_whole = received == sent && has_right_sizes;
  return {.gso = is_whole && sender.snapshot().offload.gso, .gro = is_whole && is_coalesced};
}

}  // namespace dig::net
