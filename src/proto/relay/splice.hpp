// SPDX-License-Identifier: Apache-2.0
// A circuit inside the relay: what comes on the hop stream goes out on the stop stream and the other way round, within
// the announced limit. Each direction has one buffer of fixed size: a reader that is slow stops its writer, and moving
// bytes allocates nothing.
//
// For either stream the owner reads into receive_space() and writes from output(), as with every stream without a copy.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "wire/circuit_message.hpp"

namespace dig::relay {

enum class CircuitEnd : std::uint8_t { hop, stop };  // the two streams of a circuit

[[nodiscard]] constexpr CircuitEnd other_end(CircuitEnd end) noexcept {
  return end == CircuitEnd::hop ? CircuitEnd::stop : CircuitEnd::hop;
}

struct SpliceLimits {
  std::size_t buffer = 16 * 1024;  // bytes in each direction
  // For a direction that has used up its bytes: how long the reader may take for those that are still here.
  Duration drain = 10s;
};

struct SpliceStatus {
  std::uint64_t bytes_from_hop = 0;
  std::uint64_t bytes_from_stop = 0;
  std::size_t buffered_bytes = 0;
  bool is_over = false;
};

class Splice {
 public:
  Splice(Instant now, const circuit::Limit& limit, const SpliceLimits& limits = {});

  // Where the next bytes from that stream belong; empty: do not read now. Valid until the next call.
  [[nodiscard]] MutableBytes receive_space(CircuitEnd from);
  void handle_received(Instant now, CircuitEnd from, std::size_t size);
  // The same with a copy: for what had come behind the messages. Returns how many bytes it took.
  [[nodiscard]] std::size_t handle_bytes(Instant now, CircuitEnd from, BytesView bytes);
  // The peer finished its half; the other one hears it behind the bytes.
  void handle_eof(CircuitEnd from);

  // The next bytes to write to that stream; empty: none now. Valid until the next call.
  [[nodiscard]] BytesView output(CircuitEnd to) const;
  void handle_written(CircuitEnd to, std::size_t size);
  // Finish the write half of that stream.
  [[nodiscard]] bool has_finished_writing(CircuitEnd to) const;

  void handle_timeout(Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const;

  // Absent while it lasts. Success: both directions were finished and everything was written. circuit_limit_reached:
  // the owner resets both streams (circuit-v2 spec, "Reservation").
  [[nodiscard]] const std::optional<Result<void>>& result() const noexcept { return result_; }
  [[nodiscard]] SpliceStatus snapshot() const;

 private:
  // A ring of bytes under way in one direction.
  struct Direction {
    std::unique_ptr<std::byte[]> ring;
    std::size_t begin = 0;
    std::size_t size = 0;
    std::uint64_t received = 0;
    bool is_ended = false;  // the sender has finished
  };

  [[nodiscard]] Direction& from(CircuitEnd end) noexcept { return directions_[static_cast<std::size_t>(end)]; }
  [[nodiscard]] const Direction& from(CircuitEnd end) const noexcept {
    return directions_[static_cast<std::size_t>(end)];
  }
  [[nodiscard]] const Direction& to(CircuitEnd end) const noexcept { return from(other_end(end)); }
  [[nodiscard]] std::uint64_t left_for(const Direction& direction) const noexcept;
  [[nodiscard]] bool is_late(Instant now) const noexcept { return until_ && now >= *until_; }
  void end_of_bytes(Instant now, CircuitEnd from);
  void end_if_done();
  [[nodiscard]] Result<void> bytes_used_up() const;

  circuit::Limit limit_;
  SpliceLimits limits_;
  std::optional<Instant> until_;
  std::array<Direction, 2> directions_;   // by where the bytes come from
  std::optional<CircuitEnd> used_up_;     // this direction has used up its bytes; nothing is read any more
  std::optional<Instant> drained_until_;  // then
  std::optional<Result<void>> result_;
};

}  // namespace dig::relay
