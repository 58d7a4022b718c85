// SPDX-License-Identifier: Apache-2.0
// The asking side of /dignet/turn-credentials/1.0.0 on one stream: asks a relay for credentials with which this node
// reaches one peer through it.
#pragma once

#include <optional>
#include <string_view>

#include "base/byte_fifo.hpp"
#include "base/frame_reader.hpp"
#include "base/time.hpp"
#include "wire/turn_credential_message.hpp"

namespace dig::turn_credentials {

inline constexpr std::string_view k_protocol = "/dignet/turn-credentials/1.0.0";

class Requester {
 public:
  struct Limits {
    Duration timeout = 10s;  // for all of it
  };
  struct Status {
    std::size_t buffered_bytes = 0;
    bool is_over = false;
  };

  Requester(Instant now, const PeerId& target, Limits limits);
  Requester(Instant now, const PeerId& target) : Requester(now, target, Limits{}) {}

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out) { return output_.pop(out); }
  // The request was handed out: finish the write half.
  [[nodiscard]] bool has_finished_writing() const noexcept { return output_.empty(); }
  [[nodiscard]] bool wants_bytes() const noexcept { return !result_; }
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept;

  // Absent until the response or the first error: turn_not_offered, turn_credentials_refused, limit_reached (the relay
  // is busy), timed_out, truncated, malformed, oversized, unsupported. After an error the owner resets the stream.
  [[nodiscard]] const std::optional<Result<TurnCredentials>>& result() const noexcept { return result_; }
  [[nodiscard]] Status snapshot() const noexcept { return {frames_.buffered(), result_.has_value()}; }

 private:
  Instant deadline_;
  ByteFifo output_;
  FrameReader frames_{TurnCredentialResponse::max_encoded_size};
  std::optional<Result<TurnCredentials>> result_;
};

}  // namespace dig::turn_credentials
