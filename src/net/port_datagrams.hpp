// SPDX-License-Identifier: Apache-2.0
// The one UDP port (design §9): receives, finds out by one_port::DatagramRouter whose a datagram is, and gives STUN and
// TURN to a shard, which sends its answers by the same sockets. What nobody here speaks yet (QUIC, WebRTC, ICE, answers
// to requests that were never made) is counted and dropped.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <memory>
#include <vector>

#include "net/loop.hpp"
#include "net/port_manager.hpp"
#include "net/turn_shard.hpp"
#include "net/udp_socket.hpp"
#include "proto/one_port/datagram_router.hpp"

namespace dig::net {

class PortDatagrams {
 public:
  // `turn` must be used no longer than the sockets live, so it goes first.
  PortDatagrams(Loop& loop, TurnShard& turn, UdpOffload offload);
  ~PortDatagrams();
  PortDatagrams(const PortDatagrams&) = delete;
  PortDatagrams& operator=(const PortDatagrams&) = delete;

  void listen(BoundSocket socket);
  // No datagram is looked at from now on; the sockets stay.
  void stop();
  [[nodiscard]] one_port::DatagramRouter::Status snapshot() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dig::net
