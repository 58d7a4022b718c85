// SPDX-License-Identifier: Apache-2.0
// Gives one end of a sequential protocol the shape of a StreamMachine, so that it is held to the same contract. Such an
// end has one outcome, or one after another, in place of events; and it may lack a clock, a half, or a place for bytes
// that it does not take yet, which its owner keeps (design §4). What is lacking is added here, nothing is hidden.
// Test-only.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "base/machine.hpp"
#include "base/result.hpp"

namespace dig::testing {

template <class End>
class ShapedStreamMachine {
  static constexpr bool k_has_many_outcomes = requires(End end) { end.take_result(); };

  static auto outcome_of(End& end) {
    if constexpr (k_has_many_outcomes) {
      return end.take_result();
    } else if constexpr (requires { end.result(); }) {
      return std::remove_cvref_t<decltype(end.result())>(end.result());
    } else {
      return end.is_done() ? std::optional<Result<void>>(Result<void>()) : std::nullopt;
    }
  }

 public:
  using Event = typename decltype(outcome_of(std::declval<End&>()))::value_type;

  template <class... Arguments>
  explicit ShapedStreamMachine(Arguments&&... arguments) : end_(std::forward<Arguments>(arguments)...) {}

  [[nodiscard]] End& end() noexcept { return end_; }

  void handle_bytes(Instant now, BytesView bytes) {
    append(waiting_, bytes);
    hand_over(now);
  }
  void handle_eof(Instant now) {
    is_ended_ = true;
    if constexpr (requires { end_.handle_eof(now); }) {
      end_.handle_eof(now);
    } else {
      end_.handle_eof();
    }
  }
  void handle_timeout(Instant now) {
    if constexpr (requires { end_.handle_timeout(now); }) end_.handle_timeout(now);
  }
  [[nodiscard]] std::size_t poll_bytes(Instant now, MutableBytes out) {
    std::size_t size = 0;
    if constexpr (requires { end_.poll_bytes(now, out); }) {
      size = end_.poll_bytes(now, out);
    } else if constexpr (requires { end_.poll_bytes(out); }) {
      size = end_.poll_bytes(out);
    }
    if (!waiting_.empty()) hand_over(now);
    return size;
  }
  [[nodiscard]] std::optional<Event> poll_event() {
    if constexpr (k_has_many_outcomes) {
      return end_.take_result();
    } else {
      auto outcome = outcome_of(end_);
      if (!outcome || told_ == outcome->has_value()) return std::nullopt;
      told_ = outcome->has_value();  // an outcome that changes is told again: its owner must not see that
      return outcome;
    }
  }
  [[nodiscard]] bool wants_bytes() const {
    if constexpr (requires { end_.wants_bytes(); }) {
      return end_.wants_bytes();
    } else {
      return !is_ended_ && waiting_.empty();
    }
  }
  [[nodiscard]] std::optional<Instant> next_timeout() const {
    if constexpr (requires { end_.next_timeout(); }) {
      return end_.next_timeout();
    } else {
      return std::nullopt;
    }
  }

 private:
  void hand_over(Instant now) {
    const Bytes given = std::exchange(waiting_, {});
    const auto give = [&] {
      if constexpr (requires { end_.handle_bytes(now, given); }) {
        return end_.handle_bytes(now, given);
      } else {
        return end_.handle_bytes(given);
      }
    };
    if constexpr (std::is_void_v<decltype(give())>) {
      give();
    } else {
      const std::size_t taken = give();
      append(waiting_, BytesView(given).subspan(taken));
    }
  }

  End end_;
  Bytes waiting_;
  bool is_ended_ = false;
  std::optional<bool> told_;  // whether it was a success
};

}  // namespace dig::testing
