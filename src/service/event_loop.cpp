// SPDX-License-Identifier: Apache-2.0
#include "service/event_loop.hpp"

#include <algorithm>
#include <vector>

namespace dig::service {

void EventLoop::watch(int fd, short events, Handler handler) {
  watches_[fd] = {.events = events, .handler = std::make_shared<Handler>(std::move(handler))};
}

void EventLoop::change(int fd, short events) {
  if (const auto found = watches_.find(fd); found != watches_.end()) found->second.events = events;
}

void EventLoop::unwatch(int fd) { watches_.erase(fd); }

EventLoop::TimerId EventLoop::call_after(std::chrono::milliseconds delay, Task task) {
  const TimerId id = next_timer_++;
  timers_.emplace(id, Timer{.at = now() + delay, .task = std::move(task)});
  return id;
}

void EventLoop::cancel(TimerId timer) { timers_.erase(timer); }

void EventLoop::run_until(const std::function<bool()>& is_done) {
  while (!is_done()) run_once();
}

Instant EventLoop::now() { return {std::chrono::steady_clock::now().time_since_epoch()}; }

int EventLoop::poll_timeout() const {
  std::optional<Instant> next;
  for (const auto& [id, timer] : timers_) next = earliest(next, timer.at);
  if (!next) return -1;
  const Duration left = *next - now();
  if (left <= Duration::zero()) return 0;
  // Rounded up, so that the timer is due when poll() returns; an hour at most, so that the value fits.
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::min<std::int64_t>(milliseconds, 3'600'000));
}

void EventLoop::run_due_timers() {
  const Instant time = now();
  std::vector<TimerId> due;
  for (const auto& [id, timer] : timers_) {
    if (timer.at <= time) due.push_back(id);
  }
  for (const TimerId id : due) {
    const auto found = timers_.find(id);
    if (found == timers_.end()) continue;  // an earlier task cancelled it
    Task task = std::move(found->second.task);
    timers_.erase(found);
    task();
  }
}

void EventLoop::run_once() {
  std::vector<pollfd> descriptors;
  descriptors.reserve(watches_.size());
  for (const auto& [fd, one] : watches_) descriptors.push_back({.fd = fd, .events = one.events, .revents = 0});
  const int ready = ::poll(descriptors.data(), descriptors.size(), poll_timeout());
  if (ready > 0) {
    for (const pollfd& one : descriptors) {
      if (one.revents == 0) continue;
      const auto found = watches_.find(one.fd);
      if (found == watches_.end()) continue;  // an earlier handler removed it
      const std::shared_ptr<Handler> handler = found->second.handler;
      (*handler)(one.revents);
    }
  }
  run_due_timers();
}

}  // namespace dig::service
