// SPDX-License-Identifier: Apache-2.0
// Streams on which one side asks and the other answers, with machines of the kind of proto/autonat/question.hpp. When
// the last word is said the stream is finished; a peer that does not finish its half is not waited for.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "node/buffered_handler.hpp"

namespace dig::node {

class BriefStream : public BufferedHandler {
 public:
  static constexpr Duration linger = 5s;  // for the peer's half after the last word

  void handle_opened(StreamId stream) override { stream_ = stream; }
  [[nodiscard]] std::optional<Error> failure() const final { return failure_; }

 protected:
  [[nodiscard]] StreamId stream() const noexcept { return stream_; }
  void fail_with(Error why) { failure_ = std::move(why); }
  void end_soon(Instant now) {
    if (!end_) end_ = now + linger;
  }
  void end_if_due(Instant now) {
    if (end_ && now >= *end_ && !failure_) fail_with(Error(Errc::timed_out, "the peer does not end the stream"));
  }
  [[nodiscard]] std::optional<Instant> end() const { return failure_ ? std::nullopt : end_; }

 private:
  StreamId stream_;
  std::optional<Instant> end_;
  std::optional<Error> failure_;
};

// This node asks.
template <class Machine>
class QuestionStream : public BriefStream {
 public:
  using Outcome = std::remove_cvref_t<decltype(*std::declval<const Machine&>().result())>;

  void handle_eof(Instant now) final {
    machine_.handle_eof(now);
    advance(now);
  }
  [[nodiscard]] bool has_finished_writing() const final { return is_told_; }
  void handle_closed(Instant now, const Error& why) final {
    if (!std::exchange(is_told_, true)) handle_outcome(now, std::unexpected(why));
  }
  void handle_timeout(Instant now) final {
    machine_.handle_timeout(now);
    advance(now);
    end_if_due(now);
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const final { return is_told_ ? end() : machine_.next_timeout(); }

 protected:
  explicit QuestionStream(Machine machine) : machine_(std::move(machine)) {}

  // Once: the answer, or why there is none.
  virtual void handle_outcome(Instant now, const Outcome& outcome) = 0;
  [[nodiscard]] const Machine& machine() const noexcept { return machine_; }

  [[nodiscard]] std::size_t take(Instant now, BytesView bytes) final {
    machine_.handle_bytes(now, bytes);
    advance(now);
    return bytes.size();
  }
  [[nodiscard]] std::size_t give(Instant /*now*/, MutableBytes out) final { return machine_.poll_bytes(out); }

 private:
  void advance(Instant now) {
    const auto& result = machine_.result();
    if (!result || std::exchange(is_told_, true)) return;
    end_soon(now);
    if (!*result) fail_with(result->error());
    handle_outcome(now, *result);
  }

  Machine machine_;
  bool is_told_ = false;
};

// This node answers.
template <class Machine>
class AnswerStream : public BriefStream {
 public:
  using Task = std::remove_cvref_t<decltype(**std::declval<Machine&>().take_result())>;

  void handle_eof(Instant now) final {
    machine_.handle_eof(now);
    advance(now);
  }
  [[nodiscard]] bool has_finished_writing() const final { return machine_.is_done(); }
  void handle_closed(Instant /*now*/, const Error& /*why*/) final {}
  void handle_timeout(Instant now) final {
    machine_.handle_timeout(now);
    advance(now);
    end_if_due(now);
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const final { return earliest(machine_.next_timeout(), end()); }

 protected:
  template <class... Arguments>
  explicit AnswerStream(Arguments&&... arguments) : machine_(std::forward<Arguments>(arguments)...) {}

  // What the machine wants done, once.
  virtual void handle_task(Instant now, const Task& task) = 0;
  // Nobody waits for the task any more.
  virtual void handle_over() {}
  [[nodiscard]] Machine& machine() noexcept { return machine_; }

  [[nodiscard]] std::size_t take(Instant now, BytesView bytes) final {
    machine_.handle_bytes(now, bytes);
    advance(now);
    return bytes.size();
  }
  [[nodiscard]] std::size_t give(Instant now, MutableBytes out) final {
    const std::size_t size = machine_.poll_bytes(out);
    advance(now);
    return size;
  }

 private:
  void advance(Instant now) {
    if (auto task = machine_.take_result()) {
      if (*task) {
        handle_task(now, **task);
      } else {
        fail_with((*task).error());
      }
    }
    if (machine_.is_done()) end_soon(now);
    if (machine_.is_done() || failure()) handle_over();
  }

  Machine machine_;
};

}  // namespace dig::node
