// SPDX-License-Identifier: Apache-2.0
// The answering end of a hop or stop stream: reads one message, hands the request to its owner and sends the owner's
// answer. After an OK to CONNECT the stream is the circuit, so not a byte behind the request is taken.
//
// A Protocol (responders.hpp) says what may be asked:
//   using Request = …;  using Message = …;
//   static Result<Request> read(BytesView message);       protocol_violation: a type that may not be asked
//   static bool asks_for_circuit(const Request& request);
#pragma once

#include <optional>
#include <utility>

#include "base/byte_fifo.hpp"
#include "base/frame_reader.hpp"
#include "base/time.hpp"
#include "wire/circuit_message.hpp"

namespace dig::relay {

struct ResponseStreamLimits {
  Duration request = 60s;  // from the opening of the stream to the end of the message
  Duration answer = 60s;   // from the request until the answer has left
};

enum class ResponseEnd : std::uint8_t {
  finished,  // finish the write half, so that the answer is read, and read no more
  circuit,   // the stream is the circuit now
};

struct ResponseStreamStatus {
  std::size_t buffered_bytes = 0;
  bool is_over = false;
};

template <class Protocol>
class ResponseStream {
 public:
  using Request = typename Protocol::Request;
  using Message = typename Protocol::Message;

  explicit ResponseStream(Instant now, const ResponseStreamLimits& limits = {})
      : limits_(limits), due_(now + limits.request) {}

  // Returns how many bytes it took; what is left belongs to the circuit.
  [[nodiscard]] std::size_t handle_bytes(Instant now, BytesView bytes) {
    if (state_ != State::reading) return 0;
    const Result<std::size_t> taken = frames_.feed(bytes);
    if (!taken) {
      refuse(now, taken.error());
      return bytes.size();
    }
    if (const auto message = frames_.take_frame()) accept(now, Protocol::read(*message));
    return *taken;
  }
  // Behind the request it is the circuit's: the owner passes it on.
  void handle_eof(Instant) {
    if (state_ != State::reading) return;
    end(fail(frames_.is_idle() ? Errc::stream_closed : Errc::truncated, "before the request to the relay"));
  }
  void handle_timeout(Instant now) {
    if (state_ != State::over && now >= due_) end(fail(Errc::timed_out, "a stream of the relay protocol"));
  }
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out) {
    const std::size_t size = output_.pop(out);
    if (state_ == State::answering && output_.empty()) end(outcome_);
    return size;
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const noexcept {
    return state_ == State::over ? std::nullopt : std::optional(due_);
  }

  // Once, when the message has come. The owner answers it by answer().
  [[nodiscard]] std::optional<Request> take_request() { return std::exchange(request_, std::nullopt); }
  // Nothing when the stream is over meanwhile.
  void answer(const Message& message) {
    if (state_ != State::waiting) return;
    const bool is_circuit = asks_for_circuit_ && message.status == circuit::Status::ok;
    send(message, is_circuit ? ResponseEnd::circuit : ResponseEnd::finished);
  }

  // Absent until the answer has left. After an error (stream_closed, truncated, timed_out) the owner resets the stream.
  [[nodiscard]] const std::optional<Result<ResponseEnd>>& result() const noexcept { return result_; }
  // What was wrong with the request, if that is what the peer is answered.
  [[nodiscard]] const std::optional<Error>& fault() const noexcept { return fault_; }
  [[nodiscard]] ResponseStreamStatus snapshot() const noexcept {
    return {output_.size() + frames_.buffered(), result_.has_value()};
  }

 private:
  enum class State : std::uint8_t { reading, waiting, answering, over };

  void accept(Instant now, Result<Request> request) {
    if (!request) return refuse(now, request.error());
    asks_for_circuit_ = Protocol::asks_for_circuit(*request);
    request_ = std::move(*request);
    state_ = State::waiting;
    due_ = now + limits_.answer;
  }
  void refuse(Instant now, const Error& why) {
    fault_ = why;
    due_ = now + limits_.answer;
    const bool is_unexpected = why.code() == Errc::protocol_violation;
    send(Message::answer(is_unexpected ? circuit::Status::unexpected_message : circuit::Status::malformed_message),
         ResponseEnd::finished);
  }
  void send(const Message& message, ResponseEnd outcome) {
    Bytes framed;
    append_frame(framed, message.encode());
    output_.append(framed);
    outcome_ = outcome;
    state_ = State::answering;
  }
  void end(Result<ResponseEnd> result) {
    result_ = std::move(result);
    state_ = State::over;
    output_.clear();
    request_.reset();
  }

  ResponseStreamLimits limits_;
  Instant due_;
  State state_ = State::reading;
  FrameReader frames_{circuit::k_max_message_size};
  std::optional<Request> request_;
  bool asks_for_circuit_ = false;
  ByteFifo output_;
  ResponseEnd outcome_ = ResponseEnd::finished;  // once the answer has left
  std::optional<Error> fault_;
  std::optional<Result<ResponseEnd>> result_;
};

}  // namespace dig::relay
