// SPDX-License-Identifier: Apache-2.0
#include "net/udp_scatter.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/sockaddr.hpp"

namespace dig::net {
namespace {

constexpr std::size_t k_max_messages = 64;      // of one sendmmsg
constexpr std::size_t k_max_segments = 64;      // UDP_MAX_SEGMENTS of the oldest kernels with UDP_SEGMENT
constexpr std::size_t k_max_datagrams = 256;    // held before they are flushed
constexpr std::size_t k_max_transfer = 65'507;  // bytes of one message
constexpr std::size_t k_head = 64;
constexpr std::array<std::byte, 4> k_zeros{};

constexpr std::size_t k_control_size = CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(std::uint16_t));
struct alignas(cmsghdr) Control {
  std::array<char, k_control_size> bytes;
};

// What the kernel makes of ICMP errors.
bool is_pending_error(int error_number) {
  return error_number == ECONNREFUSED || error_number == EHOSTUNREACH || error_number == ENETUNREACH ||
         error_number == EHOSTDOWN || error_number == ENONET || error_number == ENOPROTOOPT ||
         error_number == EOPNOTSUPP || error_number == EPROTO || error_number == EACCES || error_number == EMSGSIZE;
}

iovec vector_of(BytesView bytes) { return {const_cast<std::byte*>(bytes.data()), bytes.size()}; }

}  // namespace

struct UdpScatter::Impl {
  // One send: equal datagrams to one destination.
  struct Message {
    Endpoint to;
    IpAddress source;
    SocketAddress address;
    std::size_t first_vector = 0;
    std::size_t vectors = 0;
    std::size_t datagrams = 0;
    std::size_t segment = 0;  // bytes of each but the last
    std::size_t bytes = 0;
    bool is_closed = false;  // the last datagram was shorter
    Control control;
  };

  bool is_segmenting;
  int fd = -1;
  std::size_t message_count = 0;
  std::size_t datagram_count = 0;
  std::size_t vector_count = 0;
  std::array<Message, k_max_messages> messages;
  std::array<std::array<std::byte, k_head>, k_max_datagrams> heads;
  std::array<iovec, 3 * k_max_datagrams> vectors;
  std::array<mmsghdr, k_max_messages> headers;
  UdpScatterStatus status;

  [[nodiscard]] bool joins_last(const IpAddress& source, const Endpoint& to, std::size_t size) const {
    if (!is_segmenting || message_count == 0 || size == 0) return false;
    const Message& last = messages[message_count - 1];
    return !last.is_closed && last.to == to && last.source == source && size <= last.segment && last.segment > 0 &&
           last.datagrams < k_max_segments && last.bytes + size <= k_max_transfer;
  }
  void prepare(Message& message, msghdr& header);
  void send_one_by_one(const Message& message);
  void lose(std::size_t datagrams, int error_number);
};

UdpScatter::UdpScatter(bool uses_segmentation) : impl_(std::make_unique<Impl>()) {
  impl_->is_segmenting = uses_segmentation;
}
UdpScatter::~UdpScatter() = default;

const UdpScatterStatus& UdpScatter::snapshot() const noexcept {
  impl_->status.is_segmenting = impl_->is_segmenting;
  return impl_->status;
}

void UdpScatter::add(int fd, const IpAddress& source, const Endpoint& to, BytesView head, BytesView payload,
                     std::size_t padding) {
  const std::size_t size = head.size() + payload.size() + padding;
  const bool joins = fd == impl_->fd && impl_->joins_last(source, to, size);
  if (fd != impl_->fd || impl_->datagram_count == k_max_datagrams ||
      (!joins && impl_->message_count == k_max_messages)) {
    flush();
    impl_->fd = fd;
    return add(fd, source, to, head, payload, padding);
  }
  if (!joins) {
    Impl::Message& fresh = impl_->messages[impl_->message_count++];
    fresh.to = to;
    fresh.source = source;
    fresh.first_vector = impl_->vector_count;
    fresh.vectors = fresh.datagrams = fresh.bytes = 0;
    fresh.segment = size;
    fresh.is_closed = false;
  }
  Impl::Message& message = impl_->messages[impl_->message_count - 1];
  const auto put = [&](BytesView bytes) {
    if (bytes.empty()) return;
    impl_->vectors[impl_->vector_count++] = vector_of(bytes);
    ++message.vectors;
  };
  auto& kept = impl_->heads[impl_->datagram_count++];
  std::copy_n(head.begin(), std::min(head.size(), k_head), kept.begin());
  put(BytesView(kept).first(std::min(head.size(), k_head)));
  put(payload);
  put(BytesView(k_zeros).first(std::min(padding, k_zeros.size())));
  ++message.datagrams;
  message.bytes += size;
  message.is_closed = size < message.segment;
}

void UdpScatter::Impl::prepare(Message& message, msghdr& header) {
  message.address = SocketAddress(message.to);
  header = {};
  header.msg_name = message.address.mutable_get();
  header.msg_namelen = message.address.size();
  header.msg_iov = &vectors[message.first_vector];
  header.msg_iovlen = message.vectors;
  header.msg_control = message.control.bytes.data();
  header.msg_controllen = message.control.bytes.size();
  std::size_t used = 0;
  cmsghdr* next = CMSG_FIRSTHDR(&header);
  const auto add = [&](int level, int type, const auto& value) {
    std::memset(next, 0, CMSG_SPACE(sizeof(value)));
    next->cmsg_level = level;
    next->cmsg_type = type;
    next->cmsg_len = CMSG_LEN(sizeof(value));
    std::memcpy(CMSG_DATA(next), &value, sizeof(value));
    used += CMSG_SPACE(sizeof(value));
    next = reinterpret_cast<cmsghdr*>(message.control.bytes.data() + used);
  };
  if (message.datagrams > 1) add(SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(message.segment));
  if (!message.source.is_unspecified() && message.source.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, message.source.octets().data(), sizeof(info.ipi_spec_dst));
    add(IPPROTO_IP, IP_PKTINFO, info);
  } else if (!message.source.is_unspecified()) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, message.source.octets().data(), sizeof(info.ipi6_addr));
    info.ipi6_ifindex = message.source.scope();
    add(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
  header.msg_controllen = used;
  if (used == 0) header.msg_control = nullptr;
}

void UdpScatter::Impl::lose(std::size_t datagrams, int error_number) {
  const bool is_full = error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == ENOBUFS;
  (is_full ? status.lost_full : status.lost_refused) += datagrams;
}

// After the device below refused a segmented send: datagram by datagram, here and from now on.
void UdpScatter::Impl::send_one_by_one(const Message& message) {
  is_segmenting = false;
  std::size_t vector = message.first_vector;
  for (std::size_t i = 0; i < message.datagrams; ++i) {
    const std::size_t size =
        i + 1 < message.datagrams ? message.segment : message.bytes - message.segment * (message.datagrams - 1);
    Message single = message;
    single.first_vector = vector;
    single.datagrams = 1;
    single.bytes = size;
    single.vectors = 0;
    for (std::size_t taken = 0; taken < size; ++single.vectors) taken += vectors[vector++].iov_len;
    msghdr header;
    prepare(single, header);
    ++status.send_calls;
    if (::sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
      ++status.datagrams;
    } else {
      lose(1, errno);
    }
  }
}

void UdpScatter::flush() {
  Impl& impl = *impl_;
  for (std::size_t i = 0; i < impl.message_count; ++i) impl.prepare(impl.messages[i], impl.headers[i].msg_hdr);
  std::size_t done = 0;
  bool is_second_try = false;
  while (done < impl.message_count) {
    ++impl.status.send_calls;
    const int sent = ::sendmmsg(impl.fd, &impl.headers[done], static_cast<unsigned>(impl.message_count - done),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      for (int i = 0; i < sent; ++i)
        impl.status.datagrams += impl.messages[done + static_cast<std::size_t>(i)].datagrams;
      done += static_cast<std::size_t>(sent);
      is_second_try = false;
      continue;
    }
    if (errno == EINTR) continue;
    // An error about an earlier datagram fails the next send, once (ip(7), IP_RECVERR): this one was not tried yet.
    if (is_pending_error(errno) && !std::exchange(is_second_try, true)) continue;
    is_second_try = false;
    const Impl::Message& refused = impl.messages[done++];
    if (refused.datagrams > 1 && (errno == EIO || errno == EINVAL)) {
      impl.send_one_by_one(refused);
    } else {
      impl.lose(refused.datagrams, errno);
    }
  }
  impl.message_count = impl.datagram_count = impl.vector_count = 0;
}

}  // namespace dig::net
