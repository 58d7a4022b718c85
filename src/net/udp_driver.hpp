// SPDX-License-Identifier: Apache-2.0
// The one place that loops over a datagram machine: reads a batch, hands it in, drains what comes out, waits for the
// next deadline (design §4). It reads the clock once per wake-up.
//
// Thread-safety: none; use it from the thread of the loop.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/machine.hpp"
#include "net/loop.hpp"
#include "net/udp_socket.hpp"

namespace dig::net {

// A Machine behind virtual calls, so that the driver is compiled once. Made by drive().
class DatagramMachine {
 public:
  virtual ~DatagramMachine() = default;
  virtual void handle_datagram(const Received& in) = 0;
  virtual void handle_timeout(Instant now) = 0;
  [[nodiscard]] virtual std::optional<Transmit> poll_transmit(Instant now, MutableBytes out) = 0;
  // See UdpSocket::take_error().
  virtual void handle_socket_error(Instant now, int error_number) = 0;
  // Hands on one event; false: there was none.
  [[nodiscard]] virtual bool pass_event(Instant now) = 0;
  [[nodiscard]] virtual std::optional<Instant> next_timeout() const = 0;
};

class UdpDriver {
 public:
  struct Limits {
    std::size_t max_receives_per_wakeup = 8;    // batches, of one socket
    std::size_t max_transmits_per_wakeup = 64;  // then other work of the loop gets its turn
  };

  // `sockets` non-empty; a Transmit leaves by the one whose port and family are those of its local endpoint, or by the
  // first of the family of its remote one.
  UdpDriver(Loop& loop, std::vector<BoundSocket> sockets, std::unique_ptr<DatagramMachine> machine, UdpOffload offload,
            Limits limits);
  ~UdpDriver();
  UdpDriver(const UdpDriver&) = delete;
  UdpDriver& operator=(const UdpDriver&) = delete;

  // To be called after a command was given to the machine.
  void drain();
  [[nodiscard]] std::vector<UdpSocketStatus> snapshot() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Drives `machine`, which must outlive the result, over `sockets`; on_event(now, event) is called for each of its
// events and may give commands to the machine, but not destroy the driver.
// A machine on a connected socket may have handle_socket_error(now, errno) as well.
template <Machine M, class OnEvent>
[[nodiscard]] std::unique_ptr<UdpDriver> drive(Loop& loop, std::vector<BoundSocket> sockets, M& machine,
                                               OnEvent on_event, UdpOffload offload, UdpDriver::Limits limits = {}) {
  class Adapter final : public DatagramMachine {
   public:
    Adapter(M& adapted, OnEvent handler) : machine_(adapted), on_event_(std::move(handler)) {}
    void handle_datagram(const Received& in) override { machine_.handle_datagram(in); }
    void handle_timeout(Instant now) override { machine_.handle_timeout(now); }
    std::optional<Transmit> poll_transmit(Instant now, MutableBytes out) override {
      return machine_.poll_transmit(now, out);
    }
    void handle_socket_error(Instant now, int error_number) override {
      if constexpr (requires { machine_.handle_socket_error(now, error_number); }) {
        machine_.handle_socket_error(now, error_number);
      }
    }
    bool pass_event(Instant now) override {
      auto event = machine_.poll_event();
      if (!event) return false;
      on_event_(now, std::move(*event));
      return true;
    }
    std::optional<Instant> next_timeout() const override { return machine_.next_timeout(); }

   private:
    M& machine_;
    OnEvent on_event_;
  };
  return std::make_unique<UdpDriver>(loop, std::move(sockets), std::make_unique<Adapter>(machine, std::move(on_event)),
                                     offload, limits);
}

}  // namespace dig::net
