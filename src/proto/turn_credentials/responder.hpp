// SPDX-License-Identifier: Apache-2.0
// The side of a relay of /dignet/turn-credentials/1.0.0 on one stream: reads one request, asks its owner and writes the
// response. The owner knows from the connection who asks (see Issuer).
#pragma once

#include <deque>
#include <optional>
#include <variant>

#include "base/byte_fifo.hpp"
#include "base/frame_reader.hpp"
#include "base/machine.hpp"
#include "wire/turn_credential_message.hpp"

namespace dig::turn_credentials {

// Answered by answer(), at any time.
struct CredentialsWanted {
  PeerId target;
};
// Always the last event. Without an error: finish() the stream. With one: what was to be sent is sent, reset it.
struct ResponderFinished {
  std::optional<Error> error;
};
using ResponderEvent = std::variant<CredentialsWanted, ResponderFinished>;

class Responder {
 public:
  using Event = ResponderEvent;
  struct Limits {
    Duration timeout = 10s;  // for all of it
  };
  struct Status {
    std::size_t buffered_bytes = 0;
    bool is_finished = false;
  };

  Responder(Instant now, Limits limits) : deadline_(now + limits.timeout) {}
  explicit Responder(Instant now) : Responder(now, Limits{}) {}

  void handle_bytes(Instant now, BytesView bytes);
  void handle_eof(Instant now);
  void handle_timeout(Instant now);
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out);
  [[nodiscard]] std::optional<Event> poll_event();
  // What comes behind the request is not read.
  [[nodiscard]] bool wants_bytes() const noexcept { return phase_ == Phase::reading; }
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept;

  // Ignored unless credentials are wanted.
  void answer(const TurnCredentialResponse& response);
  [[nodiscard]] Status snapshot() const noexcept {
    return {frames_.buffered() + output_.size(), phase_ == Phase::finished};
  }

 private:
  enum class Phase : std::uint8_t { reading, asking, writing, finished };

  void refuse(Error error);
  void write(const TurnCredentialResponse& response);
  void finish(std::optional<Error> error);

  Instant deadline_;
  Phase phase_ = Phase::reading;
  FrameReader frames_{TurnCredentialRequest::max_encoded_size};
  ByteFifo output_;
  std::optional<Error> final_error_;
  std::deque<Event> events_;
};

}  // namespace dig::turn_credentials
