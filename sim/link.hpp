// SPDX-License-Identifier: Apache-2.0
// One direction of a path between two hosts: a byte stream (as TCP looks to its user: in order, in segments of any
// size, with backpressure) or datagrams (lost, doubled, out of order, dropped when a queue is full). Machines in
// virtual time like all others: the owner asks for the next arrival and comes back then.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"

namespace dig::sim {

struct LinkSpec {
  Duration delay = 1ms;                // one way, at least
  Duration jitter{0};                  // up to so much more, drawn for each segment or datagram
  std::uint64_t bytes_per_second = 0;  // 0: no limit

  std::size_t max_segment = 32 * 1024;  // streams: segments of 1 … max_segment bytes
  std::size_t capacity =
      1024 * 1024;         // streams: bytes under way, unread or not yet acknowledged; then the sender waits
  double loss = 0;         // chance of each datagram; of each segment of a stream, which then comes by a retransmission
  double duplication = 0;  // datagrams: chance of each
  std::size_t queue_bytes = 1024 * 1024;  // datagrams: waiting for their turn at the rate; the rest is dropped
};

// When the line is free again, and how long a piece takes on it.
class Line {
 public:
  Line(const LinkSpec& spec, Rng& rng) : spec_(spec), rng_(rng) {}

  // Puts `size` bytes on the line; when they arrive at the other end.
  [[nodiscard]] Instant transmit(Instant now, std::size_t size);
  [[nodiscard]] Duration backlog(Instant now) const { return free_at_ > now ? free_at_ - now : Duration{0}; }
  // For what is transmitted from now on.
  void change(const LinkSpec& spec) { spec_ = spec; }

 private:
  LinkSpec spec_;
  Rng& rng_;
  Instant free_at_;
};

class ByteLink {
 public:
  struct Segment {
    Bytes bytes;
    bool is_end = false;
  };

  // `rng` must outlive the link.
  ByteLink(const LinkSpec& spec, Rng& rng) : spec_(spec), rng_(rng), line_(spec, rng) {}

  // How much the sender may write now.
  [[nodiscard]] std::size_t room() const noexcept { return spec_.capacity - under_way_; }
  void send(Instant now, BytesView bytes);  // at most room()
  void send_end(Instant now);
  [[nodiscard]] std::optional<Instant> next_arrival() const;
  [[nodiscard]] std::optional<Segment> receive(Instant now);
  // The sender has heard that `size` bytes were received: room for more.
  void acknowledge(std::size_t size) { under_way_ -= size; }

  // When what was sent last arrives.
  [[nodiscard]] Instant last_arrival() const noexcept { return last_arrival_; }
  [[nodiscard]] std::size_t under_way() const noexcept { return under_way_; }
  [[nodiscard]] const LinkSpec& spec() const noexcept { return spec_; }

 private:
  struct Arriving {
    Instant at;
    Segment segment;
  };

  LinkSpec spec_;
  Rng& rng_;
  Line line_;
  [[nodiscard]] Instant arrival(Instant now, std::size_t size);

  std::deque<Arriving> arriving_;
  Instant last_arrival_;
  std::size_t under_way_ = 0;
};

class DatagramLink {
 public:
  struct Datagram {
    Endpoint from;
    Endpoint to;
    Bytes bytes;
  };
  struct Status {
    std::uint64_t sent = 0;
    std::uint64_t lost = 0;
    std::uint64_t dropped = 0;  // the queue was full
    std::uint64_t doubled = 0;
    std::uint64_t delivered = 0;
  };

  // `rng` must outlive the link.
  DatagramLink(const LinkSpec& spec, Rng& rng) : spec_(spec), rng_(rng), line_(spec, rng) {}

  void send(Instant now, const Datagram& datagram);
  [[nodiscard]] std::optional<Instant> next_arrival() const;
  [[nodiscard]] std::optional<Datagram> receive(Instant now);
  // A cut link loses what is sent and what is under way.
  void cut();
  void restore() { is_cut_ = false; }
  // For what is sent from now on.
  void change(const LinkSpec& spec) {
    spec_ = spec;
    line_.change(spec);
  }
  [[nodiscard]] const Status& snapshot() const noexcept { return status_; }

 private:
  LinkSpec spec_;
  Rng& rng_;
  Line line_;
  bool is_cut_ = false;
  std::multimap<Instant, Datagram> arriving_;
  Status status_;
};

}  // namespace dig::sim
