// SPDX-License-Identifier: Apache-2.0
// The asking end of a hop or stop stream: sends one message and reads the one that answers it. After an OK to CONNECT
// the stream is the circuit, so not a byte behind the answer is taken.
//
// A Request (requests.hpp) says what is sent and what its answer means:
//   using Answer = …;
//   Bytes encode() const;
//   Result<Answer> read_answer(BytesView message) const;
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "base/byte_fifo.hpp"
#include "base/frame_reader.hpp"
#include "base/time.hpp"
#include "wire/circuit_message.hpp"

namespace dig::relay {

struct RequestStreamStatus {
  std::size_t buffered_bytes = 0;
  bool is_over = false;
};

template <class Request>
class RequestStream {
 public:
  using Answer = typename Request::Answer;

  RequestStream(Instant now, Request request, Duration timeout) : request_(std::move(request)), due_(now + timeout) {
    Bytes message;
    append_frame(message, request_.encode());
    output_.append(message);
  }

  // Returns how many bytes it took; what is left belongs to the circuit.
  [[nodiscard]] std::size_t handle_bytes(Instant, BytesView bytes) {
    if (result_ || bytes.empty()) return 0;
    if (!output_.empty()) {
      end(fail(Errc::protocol_violation, "an answer before the request"));
      return 0;
    }
    const Result<std::size_t> taken = frames_.feed(bytes);
    if (!taken) {
      end(std::unexpected(taken.error()));
      return 0;
    }
    if (const auto message = frames_.take_frame()) end(request_.read_answer(*message));
    return *taken;
  }
  void handle_eof(Instant) {
    if (result_) return;
    end(fail(frames_.is_idle() ? Errc::stream_closed : Errc::truncated, "before the answer of the relay"));
  }
  void handle_timeout(Instant now) {
    if (!result_ && now >= due_) end(fail(Errc::timed_out, "waiting for the answer of the relay"));
  }
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out) noexcept { return output_.pop(out); }
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept {
    return result_ ? std::nullopt : std::optional(due_);
  }

  // Absent until the answer or the first error. After an error the owner resets the stream.
  [[nodiscard]] const std::optional<Result<Answer>>& result() const noexcept { return result_; }
  [[nodiscard]] RequestStreamStatus snapshot() const noexcept {
    return {output_.size() + frames_.buffered(), result_.has_value()};
  }

 private:
  void end(Result<Answer> result) {
    result_ = std::move(result);
    output_.clear();
  }

  Request request_;
  Instant due_;
  ByteFifo output_;
  FrameReader frames_{circuit::k_max_message_size};
  std::optional<Result<Answer>> result_;
};

}  // namespace dig::relay
