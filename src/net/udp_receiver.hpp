// SPDX-License-Identifier: Apache-2.0
// The receiving half of UDP sockets: one buffer and one recvmmsg for as many sockets as a loop has. UDP_GRO, ECN and
// the local address of each datagram. No allocation after it is made.
//
// Thread-safety: none; use it from the thread of the loop.
#pragma once

#include <memory>

#include "base/machine.hpp"

namespace dig::net {

class UdpReceiver {
 public:
  static constexpr std::size_t k_batch = 16;  // messages of one recvmmsg

  UdpReceiver();
  ~UdpReceiver();
  UdpReceiver(UdpReceiver&&) noexcept;

  // Asks the kernel for what receive() is to tell, and no more: it costs time for each datagram. The local address only
  // of a socket that is bound to all. Returns whether the kernel coalesces datagrams (UDP_GRO), if that is wanted.
  struct Wanted {
    bool gro = false;
    bool ecn = false;
  };
  [[nodiscard]] static bool prepare(int fd, const IpAddress& bound_to, const Wanted& wanted);

  // One recvmmsg on a non-blocking socket; hands each batch to `sink`, in order. The bytes stay where they are until
  // the next call. False: nothing was there.
  template <class Sink>
  bool receive(int fd, const Endpoint& local, Instant now, Sink&& sink) {
    const std::size_t count = receive_batch(fd);
    for (std::size_t i = 0; i < count; ++i) {
      Received in;
      if (describe(i, local, now, in)) sink(in);
    }
    return count > 0;
  }
  // Of the last receive(): messages that were larger than their place, and so dropped.
  [[nodiscard]] std::size_t truncated() const noexcept { return truncated_; }
  // What the kernel reported instead of datagrams; 0: nothing.
  [[nodiscard]] int error_number() const noexcept { return error_number_; }

 private:
  [[nodiscard]] std::size_t receive_batch(int fd);
  [[nodiscard]] bool describe(std::size_t index, const Endpoint& local, Instant now, Received& in);

  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::size_t truncated_ = 0;
  int error_number_ = 0;
};

}  // namespace dig::net
