// SPDX-License-Identifier: Apache-2.0
// A loop over poll(): the node's event handle, the control socket, signals and a few timers. Handlers may watch,
// unwatch and set timers while they run.
//
// Thread-safety: one thread.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "base/time.hpp"

namespace dig::service {

class EventLoop {
 public:
  using Handler = std::move_only_function<void(short revents)>;
  using Task = std::move_only_function<void()>;
  using TimerId = std::uint64_t;

  EventLoop() = default;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls `handler` when one of `events` (POLLIN, POLLOUT) or an error stands on `fd`. One handler per descriptor.
  void watch(int fd, short events, Handler handler);
  void change(int fd, short events);
  void unwatch(int fd);

  TimerId call_after(std::chrono::milliseconds delay, Task task);
  void cancel(TimerId timer);

  // Waits for and serves events until `is_done()`, which is asked after every round.
  void run_until(const std::function<bool()>& is_done);

  [[nodiscard]] static Instant now();

 private:
  struct Watch {
    short events = 0;
    std::shared_ptr<Handler> handler;  // shared: it may be removed while it runs
  };
  struct Timer {
    Instant at;
    Task task;
  };

  void run_once();
  void run_due_timers();
  [[nodiscard]] int poll_timeout() const;

  std::map<int, Watch> watches_;
  std::map<TimerId, Timer> timers_;
  TimerId next_timer_ = 1;
};

}  // namespace dig::service
