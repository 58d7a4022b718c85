// SPDX-License-Identifier: Apache-2.0
// The smallest Machine: sends every datagram back. For tests and benchmarks of the contract and its driver.
#pragma once

#include <algorithm>
#include <cstdint>
#include <variant>

#include "base/machine.hpp"

namespace dig::testing {

// Keeps batches in slots that are allocated once, so that it adds nothing to what a driver costs.
class EchoMachine {
 public:
  struct Limits {
    std::size_t slots = 32;
    std::size_t slot_size = 65'507;
  };
  struct Dropped {  // no slot was free, or the batch did not fit
    std::size_t bytes = 0;
  };
  using Event = std::variant<Dropped>;
  struct Status {
    std::uint64_t received_bytes = 0;
    std::uint64_t dropped_bytes = 0;
    std::size_t waiting = 0;
  };

  EchoMachine() : EchoMachine(Limits()) {}
  explicit EchoMachine(Limits limits)
      : limits_(limits), storage_(limits.slots * limits.slot_size), slots_(limits.slots) {}

  void handle_datagram(const Received& in) {
    status_.received_bytes += in.bytes.size();
    if (status_.waiting == limits_.slots || in.bytes.size() > limits_.slot_size) {
      status_.dropped_bytes += in.bytes.size();
      dropped_.bytes += in.bytes.size();
      return;
    }
    const std::size_t index = (first_ + status_.waiting) % limits_.slots;
    std::copy(in.bytes.begin(), in.bytes.end(), slot(index).begin());
    slots_[index] = {.local = in.local,
                     .remote = in.remote,
                     .ecn = in.ecn,
                     .size = in.bytes.size(),
                     .segment_size = in.segment_size < in.bytes.size() ? in.segment_size : std::uint16_t{0}};
    ++status_.waiting;
  }
  void handle_timeout(Instant) {}

  // A batch that does not fit `out` is cut between segments, a single datagram that does not is dropped.
  [[nodiscard]] std::optional<Transmit> poll_transmit(Instant, MutableBytes out) {
    while (status_.waiting > 0) {
      Transmit& batch = slots_[first_];
      const std::size_t size = fitting(batch, out.size());
      if (size == 0) {
        if (batch.size > sent_) status_.dropped_bytes += batch.size - sent_;
        const bool is_empty_datagram = batch.size == 0;
        const Transmit empty = batch;
        pop();
        if (is_empty_datagram) return empty;
        continue;
      }
      const MutableBytes bytes = slot(first_).subspan(sent_, size);
      std::copy(bytes.begin(), bytes.end(), out.begin());
      Transmit transmit = batch;
      transmit.size = size;
      if (transmit.segment_size >= size) transmit.segment_size = 0;
      sent_ += size;
      if (sent_ == batch.size) pop();
      return transmit;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<Event> poll_event() {
    if (dropped_.bytes == 0) return std::nullopt;
    return std::exchange(dropped_, {});
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const { return std::nullopt; }
  [[nodiscard]] Status snapshot() const { return status_; }

 private:
  [[nodiscard]] MutableBytes slot(std::size_t index) {
    return MutableBytes(storage_).subspan(index * limits_.slot_size, limits_.slot_size);
  }
  [[nodiscard]] std::size_t fitting(const Transmit& batch, std::size_t room) const {
    const std::size_t rest = batch.size - sent_;
    if (rest <= room) return rest;
    return batch.segment_size == 0 ? 0 : room / batch.segment_size * batch.segment_size;
  }
  void pop() {
    first_ = (first_ + 1) % limits_.slots;
    --status_.waiting;
    sent_ = 0;
  }

  Limits limits_;
  Bytes storage_;
  std::vector<Transmit> slots_;
  std::size_t first_ = 0;
  std::size_t sent_ = 0;  // of the first slot
  Dropped dropped_;
  Status status_;
};

static_assert(Machine<EchoMachine>);

}  // namespace dig::testing
