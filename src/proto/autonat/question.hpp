// SPDX-License-Identifier: Apache-2.0
// A stream with one message each way, both behind their length: one side asks, the other answers. The dial-back stream
// is one, and so is the order of one server to another.
#pragma once

#include <optional>
#include <utility>

#include "base/byte_fifo.hpp"
#include "base/frame_reader.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace dig::autonat {

// The side that asks.
template <class Request, class Response>
class Question {
 public:
  Question(Instant now, const Request& request, Duration timeout) : deadline_(now + timeout) {
    Bytes message;
    append_frame(message, request.encode());
    output_.append(message);
  }

  void handle_bytes(Instant, BytesView bytes) {
    if (result_) return;
    if (const auto taken = frames_.feed(bytes); !taken) return end(std::unexpected(taken.error()));
    if (const auto frame = frames_.take_frame()) end(Response::decode(*frame));
  }
  void handle_eof(Instant) {
    if (!result_) end(fail(Errc::stream_closed, "before the answer"));
  }
  void handle_timeout(Instant now) {
    if (!result_ && now >= deadline_) end(fail(Errc::timed_out, "no answer"));
  }
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out) { return output_.pop(out); }
  [[nodiscard]] std::optional<Instant> next_timeout() const {
    return result_ ? std::nullopt : std::optional(deadline_);
  }

  // Absent until the end. With a value: finish() the stream; with an error: reset it.
  [[nodiscard]] const std::optional<Result<Response>>& result() const noexcept { return result_; }

 private:
  void end(Result<Response> result) {
    result_ = std::move(result);
    output_.clear();
  }

  Instant deadline_;
  FrameReader frames_{Response::max_encoded_size};
  ByteFifo output_;
  std::optional<Result<Response>> result_;
};

// The side that answers.
template <class Request, class Response>
class Answer {
 public:
  Answer(Instant now, Duration timeout) : deadline_(now + timeout) {}

  void handle_bytes(Instant, BytesView bytes) {
    if (has_request_ || is_over()) return;
    if (const auto taken = frames_.feed(bytes); !taken) return fail_with(taken.error());
    const auto frame = frames_.take_frame();
    if (!frame) return;
    Result<Request> request = Request::decode(*frame);
    if (!request) return fail_with(std::move(request).error());
    has_request_ = true;
    result_ = std::move(request);
  }
  // The other side may finish its half once it has asked.
  void handle_eof(Instant) {
    if (!has_request_ && !is_over()) fail_with(Error(Errc::stream_closed, "before the question"));
  }
  void handle_timeout(Instant now) {
    if (!is_over() && now >= deadline_) fail_with(Error(Errc::timed_out, "question"));
  }
  // Once; possible before the question has come.
  void answer(const Response& response) {
    if (is_answered_ || is_failed_) return;
    has_request_ = is_answered_ = true;
    Bytes message;
    append_frame(message, response.encode());
    output_.append(message);
  }
  [[nodiscard]] std::size_t poll_bytes(MutableBytes out) { return output_.pop(out); }
  [[nodiscard]] std::optional<Instant> next_timeout() const {
    return is_over() ? std::nullopt : std::optional(deadline_);
  }

  // The request, once, to be answered; or an error, which is the end: reset the stream.
  [[nodiscard]] std::optional<Result<Request>> take_result() { return std::exchange(result_, std::nullopt); }
  // The answer was handed out: finish the write half.
  [[nodiscard]] bool is_done() const noexcept { return is_answered_ && !is_failed_ && output_.empty(); }

 private:
  [[nodiscard]] bool is_over() const noexcept { return is_failed_ || is_done(); }
  void fail_with(Error error) {
    is_failed_ = true;
    output_.clear();
    result_ = std::unexpected(std::move(error));
  }

  Instant deadline_;
  FrameReader frames_{Request::max_encoded_size};
  ByteFifo output_;
  std::optional<Result<Request>> result_;
  bool has_request_ = false;
  bool is_answered_ = false;
  bool is_failed_ = false;
};

}  // namespace dig::autonat
