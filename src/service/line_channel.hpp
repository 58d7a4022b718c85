// SPDX-License-Identifier: Apache-2.0
// Lines of text over a stream socket, both ways, bounded both ways.
//
// Thread-safety: the thread of its EventLoop. A callback may destroy the channel.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/unique_fd.hpp"
#include "service/event_loop.hpp"

namespace dig::service {

class LineChannel {
 public:
  struct Limits {
    std::size_t max_line = 64 * 1024;           // longest line accepted, without its end
    std::size_t max_queued = 64 * 1024 * 1024;  // bytes that may wait for a slow reader
  };
  struct Callbacks {
    std::move_only_function<void(std::string_view line)> on_line;
    // The other side is gone or broke a limit. Called once, from the loop; no on_line after it.
    std::move_only_function<void()> on_closed;
  };

  LineChannel(EventLoop& loop, net::UniqueFd fd, Limits limits, Callbacks callbacks);
  ~LineChannel();
  LineChannel(const LineChannel&) = delete;
  LineChannel& operator=(const LineChannel&) = delete;

  // Sends a line (its end is added). On a closed channel it is dropped; past max_queued the channel closes.
  void send(std::string_view line);
  [[nodiscard]] std::size_t queued() const noexcept { return output_.size(); }

 private:
  void handle(short revents);
  bool read_some();      // false: closed
  bool deliver_lines();  // false: destroyed by a callback, or closed
  bool write_some();     // false: closed
  void close_later();
  void close();

  EventLoop& loop_;
  net::UniqueFd fd_;
  Limits limits_;
  Callbacks callbacks_;
  std::string input_;
  std::size_t searched_ = 0;  // no line ends before this point of input_
  std::string output_;
  EventLoop::TimerId close_timer_ = 0;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace dig::service
