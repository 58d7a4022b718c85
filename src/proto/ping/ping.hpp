// SPDX-License-Identifier: Apache-2.0
// ping 1.0.0 (libp2p ping spec): 32 random bytes go out and must come back; any number of times on one stream.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"

namespace dig::ping {

inline constexpr std::string_view k_protocol = "/ipfs/ping/1.0.0";
inline constexpr std::size_t k_payload_size = 32;

struct InitiatorLimits {
  Duration timeout = std::chrono::seconds{10};
};

struct InitiatorStatus {
  bool is_waiting = false;
  std::uint64_t pings_done = 0;
};

class Initiator {
 public:
  explicit Initiator(const InitiatorLimits& limits = {}) : limits_(limits) {}

  // Sends a payload. invalid_argument while an answer is awaited; after a failure, that failure.
  [[nodiscard]] Result<void> start(Instant now, Rng& rng);

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out);
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept;

  // The round-trip time of each ping, once. Errors are final: protocol_violation (other bytes than were sent, or bytes
  // that nobody asked for), timed_out, stream_closed.
  [[nodiscard]] std::optional<Result<Duration>> take_result();
  [[nodiscard]] InitiatorStatus snapshot() const noexcept { return {is_waiting_, pings_done_}; }

 private:
  void fail_with(Error error);

  InitiatorLimits limits_;
  std::array<std::byte, k_payload_size> payload_{};
  std::size_t sent_ = 0;
  std::size_t matched_ = 0;  // bytes of the echo that have come and were right
  bool is_waiting_ = false;
  Instant started_{};
  std::uint64_t pings_done_ = 0;
  std::optional<Error> error_;
  std::optional<Result<Duration>> result_;
};

struct ResponderLimits {
  std::size_t pending_payloads = 4;  // echoes that the peer has not read yet
};

struct ResponderStatus {
  std::uint64_t echoes = 0;
  std::size_t buffered_bytes = 0;
};

class Responder {
 public:
  explicit Responder(const ResponderLimits& limits = {}) : limits_(limits) {}

  // Returns how many bytes it took. Fewer than given: the echoes of the earlier ones must be sent first.
  [[nodiscard]] std::size_t handle_bytes(BytesView bytes);
  // A payload that is cut off by the end of the stream is not echoed.
  void handle_eof() noexcept { is_ended_ = true; }
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out);
  // The peer has finished and has got all its echoes: finish the write half.
  [[nodiscard]] bool is_done() const noexcept { return is_ended_ && ready_bytes() == 0; }
  [[nodiscard]] ResponderStatus snapshot() const noexcept { return {echoes_, buffer_.size()}; }

 private:
  [[nodiscard]] std::size_t ready_bytes() const noexcept {
    return buffer_.size() / k_payload_size * k_payload_size - sent_;
  }

  ResponderLimits limits_;
  Bytes buffer_;          // payloads to echo, the last one possibly incomplete
  std::size_t sent_ = 0;  // of the buffer
  std::uint64_t echoes_ = 0;
  bool is_ended_ = false;
};

}  // namespace dig::ping
