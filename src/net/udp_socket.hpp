// SPDX-License-Identifier: Apache-2.0
// One UDP socket as the drivers need it: batches in both directions (recvmmsg with UDP_GRO, sendmsg with UDP_SEGMENT),
// ECN and the local address of each datagram. No allocation after it is made.
#pragma once

#include <functional>
#include <memory>

#include "base/machine.hpp"
#include "net/port_manager.hpp"
#include "net/udp_receiver.hpp"

namespace dig::net {

// Segmentation by the kernel; some kernels and drivers refuse or corrupt it, so it is tested before it is used.
struct UdpOffload {
  bool gso = false;  // UDP_SEGMENT: one send, many datagrams
  bool gro = false;  // UDP_GRO: one receive, many datagrams
  friend bool operator==(const UdpOffload&, const UdpOffload&) = default;
};

// Sends segmented bytes over loopback and looks whether they arrive as they must. Costs a few system calls; once per
// process.
[[nodiscard]] UdpOffload test_udp_offload();

struct UdpSocketStatus {
  UdpOffload offload;
  std::uint64_t datagrams_received = 0;
  std::uint64_t datagrams_sent = 0;
  std::uint64_t receive_calls = 0;
  std::uint64_t send_calls = 0;
  std::uint64_t dropped_sends = 0;  // refused by the kernel: too large, no route, no memory, a local firewall
  std::uint64_t truncated = 0;      // larger than the buffer, dropped
};

class UdpSocket {
 public:
  static constexpr std::size_t k_max_transfer = 65'507;  // the largest UDP payload over IPv4

  enum class SendState : std::uint8_t { done, blocked };

  UdpSocket(BoundSocket socket, UdpOffload offload);
  ~UdpSocket();
  UdpSocket(UdpSocket&&) noexcept;

  [[nodiscard]] int fd() const noexcept;
  [[nodiscard]] const Endpoint& local() const noexcept;

  // Hands each received batch to `sink`, which must not keep the bytes. False: nothing was there.
  template <class Sink>
  bool receive(Instant now, Sink&& sink) {
    const bool has_received = receiver().receive(fd(), local(), now, [&](const Received& in) {
      count(in);
      sink(in);
    });
    count_call();
    return has_received;
  }

  // Sends the first transmit.size bytes of `bytes`. Blocked: the kernel's buffer is full; call again with the same
  // arguments once the socket is writable, it goes on where it stopped. What the kernel refuses is dropped and
  // counted, as UDP may.
  [[nodiscard]] SendState send(const Transmit& transmit, BytesView bytes);

  // The last error that the kernel reported to a send or a receive: of a connected socket, that nobody listens there
  // (ECONNREFUSED). Forgets it; 0: none.
  [[nodiscard]] int take_error() noexcept;

  [[nodiscard]] UdpSocketStatus snapshot() const;

 private:
  [[nodiscard]] UdpReceiver& receiver() noexcept;
  void count(const Received& in) noexcept;
  void count_call() noexcept;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
