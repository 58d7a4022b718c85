// SPDX-License-Identifier: Apache-2.0
// A stream of the circuit relay protocol: a machine for the message each way, and then, if it was agreed to, the bytes
// of a circuit, for which another handler takes over. What came behind the message goes to that one first.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "node/stream_handler.hpp"

namespace dig::node {

template <class Machine>
class MessageStream : public StreamHandler {
 public:
  void handle_opened(StreamId stream) override { stream_ = stream; }
  [[nodiscard]] MutableBytes receive_space() final {
    pass_on_rest();
    if (unread_ > 0) return {};
    return raw_ ? raw_->receive_space() : MutableBytes(inbox_);
  }
  void handle_received(Instant now, std::size_t size) final {
    if (raw_) return raw_->handle_received(now, size);
    last_ = now;
    begin_ = machine_.handle_bytes(now, BytesView(inbox_).first(size));
    unread_ = size - begin_;
    handle_progress(now);
  }
  void handle_eof(Instant now) final {
    last_ = now;
    has_eof_ = true;
    if (raw_) return pass_on_rest();
    machine_.handle_eof(now);
    handle_progress(now);
  }
  [[nodiscard]] BytesView output(Instant now) final {
    last_ = now;
    if (sent_ < filled_) return BytesView(outbox_).subspan(sent_, filled_ - sent_);
    if (!raw_) {
      prepare(now);
      sent_ = 0;
      filled_ = machine_.poll_bytes(outbox_);
      handle_progress(now);
      if (filled_ > 0) return BytesView(outbox_).first(filled_);
    }
    pass_on_rest();
    return raw_ ? raw_->output(now) : BytesView();
  }
  void handle_written(Instant now, std::size_t size) final {
    if (sent_ < filled_) {
      sent_ += size;
    } else {
      raw_->handle_written(now, size);
    }
  }
  [[nodiscard]] bool has_finished_writing() const final {
    if (sent_ < filled_) return false;
    return raw_ ? raw_->has_finished_writing() : is_finished_;
  }
  [[nodiscard]] std::optional<Error> failure() const final {
    if (failure_) return failure_;
    return raw_ ? raw_->failure() : std::nullopt;
  }
  void handle_closed(Instant now, const Error& why) final {
    if (raw_) {
      raw_->handle_closed(now, why);
    } else {
      handle_lost(now, why);
    }
  }
  void handle_timeout(Instant now) final {
    if (raw_) return raw_->handle_timeout(now);
    machine_.handle_timeout(now);
    handle_progress(now);
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const final {
    return raw_ ? raw_->next_timeout() : machine_.next_timeout();
  }

 protected:
  explicit MessageStream(Machine machine) : machine_(std::move(machine)) {}

  // The machine may have something to tell.
  virtual void handle_progress(Instant now) = 0;
  // Before the machine is asked for bytes.
  virtual void prepare(Instant /*now*/) {}
  // The stream is gone before it was a circuit.
  virtual void handle_lost(Instant now, const Error& why) = 0;

  [[nodiscard]] Machine& machine() noexcept { return machine_; }
  [[nodiscard]] StreamId stream() const noexcept { return stream_; }
  void become(std::unique_ptr<StreamHandler> raw) { raw_ = std::move(raw); }
  void finish() noexcept { is_finished_ = true; }
  void fail_with(Error why) { failure_ = std::move(why); }

 private:
  void pass_on_rest() {
    if (!raw_) return;
    while (unread_ > 0) {
      const MutableBytes space = raw_->receive_space();
      if (space.empty()) return;
      const std::size_t size = std::min(space.size(), unread_);
      std::ranges::copy(BytesView(inbox_).subspan(begin_, size), space.begin());
      begin_ += size;
      unread_ -= size;
      raw_->handle_received(last_, size);
    }
    if (std::exchange(has_eof_, false)) raw_->handle_eof(last_);
  }

  Machine machine_;
  StreamId stream_;
  std::unique_ptr<StreamHandler> raw_;
  std::array<std::byte, 1024> inbox_;
  std::size_t begin_ = 0;
  std::size_t unread_ = 0;
  std::array<std::byte, 1024> outbox_;
  std::size_t filled_ = 0;
  std::size_t sent_ = 0;
  Instant last_;  // of the call at hand
  bool has_eof_ = false;
  bool is_finished_ = false;
  std::optional<Error> failure_;
};

}  // namespace dig::node
