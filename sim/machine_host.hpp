// SPDX-License-Identifier: Apache-2.0
// Runs any datagram machine in the virtual world, as net/UdpDriver does on real sockets: hands in what arrives, drains
// events and transmits after each mutation, waits for the next deadline. Its monotonic clock has an origin of its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/machine.hpp"
#include "sim/world.hpp"

namespace dig::sim {

struct MachineHostSpec {
  RealmId realm = k_internet;
  std::vector<Endpoint> sockets;  // not empty; port 0 takes a free one
  Duration clock_origin{0};       // its clock shows this at the beginning of the world
};

template <Machine M>
class MachineHost final : private DatagramOwner {
 public:
  // May give commands to the machine, but not destroy the host.
  using OnEvent = std::move_only_function<void(Instant, typename M::Event)>;

  // The world and the machine must outlive the host.
  MachineHost(World& world, const MachineHostSpec& spec, M& machine, OnEvent on_event = ignore)
      : world_(world),
        spec_(spec),
        number_(world.next_number()),
        machine_(machine),
        on_event_(std::move(on_event)),
        buffer_(DatagramNetwork::max_datagram) {
    for (const Endpoint& local : spec_.sockets) sockets_.push_back(datagrams().open(*this, spec_.realm, local));
    drain();
  }
  ~MachineHost() override { lose_power(); }
  MachineHost(const MachineHost&) = delete;
  MachineHost& operator=(const MachineHost&) = delete;

  [[nodiscard]] Instant now() const { return world_.now() + spec_.clock_origin; }
  [[nodiscard]] const Endpoint& local(std::size_t index = 0) const { return world_.datagrams().local(sockets_[index]); }

  // To be called after a command was given to the machine.
  void drain() {
    if (is_draining_ || sockets_.empty()) return;
    is_draining_ = true;
    while (pass_event() || transmit()) {
    }
    is_draining_ = false;
    set_timer();
  }

  // Its sockets vanish and its timers stop; nobody is told. Power comes back as a new host with a new machine.
  void lose_power() {
    datagrams().forget(*this);
    sockets_.clear();
    timer_.reset();
  }

 private:
  static void ignore(Instant /*now*/, typename M::Event /*event*/) {}  // GCC 12 emits a default lambda twice at -O0

  // A timer that stays due after it was handled would keep a real loop busy for ever.
  static constexpr int k_max_timers_in_a_row = 1000;

  // DatagramOwner
  [[nodiscard]] OwnerNumber number() const override { return number_; }
  void handle_datagram(DatagramSocketId, const Received& in) override {
    Received local = in;
    local.now = now();
    machine_.handle_datagram(local);
    drain();
  }

  [[nodiscard]] DatagramNetwork& datagrams() { return world_.datagrams(); }

  // A machine with one kind of event has no variant of them.
  [[nodiscard]] static std::uint64_t kind_of(const typename M::Event& event) {
    if constexpr (requires { event.index(); }) {
      return event.index();
    } else {
      return 0;
    }
  }

  [[nodiscard]] bool pass_event() {
    auto event = machine_.poll_event();
    if (!event) return false;
    world_.trace().add(world_.now(), number_.value, TraceKind::output, kind_of(*event));
    on_event_(now(), std::move(*event));
    return true;
  }

  [[nodiscard]] bool transmit() {
    const std::optional<Transmit> batch = machine_.poll_transmit(now(), buffer_);
    if (!batch) return false;
    const std::optional<DatagramSocketId> socket = socket_for(*batch);
    if (!socket) return true;  // no socket of this family: lost like any datagram
    BytesView rest = BytesView(buffer_).first(batch->size);
    const std::size_t segment = batch->segment_size == 0 ? rest.size() : batch->segment_size;
    do {
      const BytesView datagram = rest.first(std::min(segment, rest.size()));
      datagrams().send(*socket, batch->remote, datagram);
      rest = rest.subspan(datagram.size());
    } while (!rest.empty());
    return true;
  }

  // The one that is bound to the local endpoint of the transmit, or has its port, or else the first of the family.
  [[nodiscard]] std::optional<DatagramSocketId> socket_for(const Transmit& batch) {
    const auto rank = [&](DatagramSocketId socket) {
      const Endpoint& bound = datagrams().local(socket);
      if (bound.address.family() != batch.remote.address.family()) return 0;
      return bound == batch.local ? 3 : bound.port == batch.local.port ? 2 : 1;
    };
    const auto best = std::ranges::max_element(sockets_, {}, rank);
    return best != sockets_.end() && rank(*best) > 0 ? std::optional(*best) : std::nullopt;
  }

  void set_timer() {
    const auto next = machine_.next_timeout();
    if (timer_ && next == *timer_) return;
    timer_.reset();
    if (!next || sockets_.empty()) return;
    timer_ = std::make_shared<Instant>(*next);
    // A timer that was set again, or whose host is gone, has no owner left.
    world_.events().at(*next - spec_.clock_origin, [this, timer = std::weak_ptr<Instant>(timer_)] {
      if (!timer.expired()) handle_timer();
    });
  }

  void handle_timer() {
    timer_.reset();
    timers_in_a_row_ = last_timer_ == world_.now() ? timers_in_a_row_ + 1 : 0;
    last_timer_ = world_.now();
    if (timers_in_a_row_ > k_max_timers_in_a_row) throw std::logic_error("a timer is due for ever");
    world_.trace().add(world_.now(), number_.value, TraceKind::timer, 0);
    machine_.handle_timeout(now());
    drain();
  }

  World& world_;
  MachineHostSpec spec_;
  OwnerNumber number_;
  M& machine_;
  OnEvent on_event_;
  Bytes buffer_;
  std::vector<DatagramSocketId> sockets_;
  std::shared_ptr<Instant> timer_;
  Instant last_timer_;
  int timers_in_a_row_ = 0;
  bool is_draining_ = false;
};

}  // namespace dig::sim
