// SPDX-License-Identifier: Apache-2.0
// The sending half of a relay: datagrams made of pieces that lie elsewhere, put together by the kernel. Equal datagrams
// to one destination become one send (UDP_SEGMENT), what else goes out on one socket one sendmmsg. No allocation after
// it is made.
//
// The pieces must stay where they are until flush(). A datagram that the kernel does not take is lost and counted, as
// UDP may: a relay has nothing better to do with it than its queue has.
//
// Thread-safety: none; use it from the thread of the loop.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"

namespace dig::net {

struct UdpScatterStatus {
  std::uint64_t datagrams = 0;
  std::uint64_t send_calls = 0;
  std::uint64_t lost_full = 0;     // the socket's buffer was full
  std::uint64_t lost_refused = 0;  // no route, a local firewall, too large
  bool is_segmenting = false;
};

class UdpScatter {
 public:
  explicit UdpScatter(bool uses_segmentation);
  ~UdpScatter();
  UdpScatter(const UdpScatter&) = delete;
  UdpScatter& operator=(const UdpScatter&) = delete;

  // `head` (at most 64 bytes) is copied, `payload` is not. `source` is the address to send from, or unspecified.
  void add(int fd, const IpAddress& source, const Endpoint& to, BytesView head, BytesView payload, std::size_t padding);
  void flush();

  [[nodiscard]] const UdpScatterStatus& snapshot() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
