// SPDX-License-Identifier: Apache-2.0
// The sockets of UDP probes (proto/udp_probe): relay ports that wait for a datagram, and datagrams to others, each from
// a socket of its own.
//
// Thread-safety: none; everything happens on the thread of the loop.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "net/loop.hpp"

namespace dig::net {

class UdpWaiter;

class UdpProbes {
 public:
  using Id = std::uint64_t;
  using OnDatagram = std::function<void(Instant now, Id id, BytesView datagram)>;

  // Both outlive it. `on_datagram` may close the port.
  UdpProbes(Loop& loop, Rng& rng, OnDatagram on_datagram);
  ~UdpProbes();
  UdpProbes(const UdpProbes&) = delete;
  UdpProbes& operator=(const UdpProbes&) = delete;

  // Waits for datagrams on a random port of the range that is free, and says which. Errors: port_in_use, network_error.
  [[nodiscard]] Result<std::uint16_t> open(Id id, const IpAddress& local, std::uint16_t first, std::uint16_t last);
  void close(Id id);
  // Whether it has left; it may be lost on its way.
  [[nodiscard]] static bool send(const Endpoint& to, BytesView datagram);

 private:
  using Port = std::shared_ptr<UdpWaiter>;

  void wait(Id id, const Port& port);
  void read(Id id, const Port& port);

  Loop& loop_;
  Rng& rng_;
  OnDatagram on_datagram_;
  std::map<Id, Port> ports_;
};

}  // namespace dig::net
