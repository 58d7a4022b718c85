// SPDX-License-Identifier: Apache-2.0
// The virtual world: a clock, networks for TCP and UDP, hosts and a trace, all from one seed. Single-threaded; nothing
// in it reads a real clock, a random device or a socket, so that a run can be repeated exactly.
//
// Time below is monotonic. No core needs the wall clock yet; a host's monotonic clock starts where its spec says, so
// that a time which leaks from one host to another shows.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "sim/datagram_network.hpp"
#include "sim/event_queue.hpp"
#include "sim/host.hpp"
#include "sim/network.hpp"
#include "sim/trace.hpp"

namespace dig::sim {

class World {
 public:
  static constexpr std::uint64_t max_events = 20'000'000;  // of one run: beyond it something goes in circles

  explicit World(std::uint64_t seed) : rng_(seed), network_(events_, trace_, rng_), datagrams_(events_, trace_, rng_) {}

  // Hosts get the addresses 198.51.100.1, .2 … and listen on port 4001.
  Host& add_host(const std::string& name) { return add_host(HostSpec{.name = name}); }
  Host& add_host(HostSpec spec);
  // An address that no host has, for other programs with sockets.
  [[nodiscard]] IpAddress next_address();
  [[nodiscard]] OwnerNumber next_number() { return OwnerNumber{next_number_++}; }

  [[nodiscard]] Instant now() const noexcept { return events_.now(); }
  [[nodiscard]] EventQueue& events() noexcept { return events_; }
  [[nodiscard]] Network& network() noexcept { return network_; }              // its TCP
  [[nodiscard]] DatagramNetwork& datagrams() noexcept { return datagrams_; }  // its UDP, with addresses of its own
  [[nodiscard]] Trace& trace() noexcept { return trace_; }
  [[nodiscard]] const Trace& trace() const noexcept { return trace_; }
  [[nodiscard]] Rng& rng() noexcept { return rng_; }
  [[nodiscard]] Bytes random_bytes(std::size_t size);

  // Lets events happen until `is_done()` or until `limit` of virtual time is over; whether it is done.
  template <class Predicate>
  bool run_until(Predicate is_done, Duration limit = 1h) {
    const Instant end = now() + limit;
    while (!is_done()) {
      if (!step(end)) return is_done();
    }
    return true;
  }
  void run_for(Duration duration) {
    run_until([] { return false; }, duration);
  }

 private:
  // False when nothing happens before `end`; it is then `end`.
  bool step(Instant end);

  SeededRng rng_;
  EventQueue events_;
  Trace trace_;
  Network network_;
  DatagramNetwork datagrams_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::uint8_t next_address_ = 1;
  std::uint64_t next_number_ = 1;
  std::uint64_t steps_ = 0;
};

}  // namespace dig::sim
