// SPDX-License-Identifier: Apache-2.0
// The core loop of a node: one Asio io_context run by one thread, with a timer and a way in for other threads.
//
// Thread-safety: only post(), Poster::post() and stop() may be called from another thread than the one that runs the
// loop. Asio stays out of this header; those who need it include "net/asio.hpp" and use context().
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/time.hpp"

namespace boost::asio {
class io_context;
}

namespace dig::net {

using Task = std::move_only_function<void()>;

// A way into a loop that may outlive it: post() does nothing and returns false once the loop is gone. Copyable; any
// thread may use it. A task that was never run is destroyed with the loop.
class Poster {
 public:
  bool post(Task task) const;

 private:
  friend class Loop;
  struct Gate;
  explicit Poster(std::shared_ptr<Gate> gate) noexcept : gate_(std::move(gate)) {}
  std::shared_ptr<Gate> gate_;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  [[nodiscard]] boost::asio::io_context& context() noexcept;

  // Runs until stop().
  void run();
  // Runs handlers for at most `limit`, or until stop(); for tests and blocking wrappers.
  void run_for(Duration limit);
  // Runs what is ready now; returns whether anything ran.
  bool poll();
  // Runs until `done()` is true after some handler, or until `limit` has passed; returns done().
  bool run_until(const std::function<bool()>& done, Duration limit);
  void stop();

  void post(Task task);
  [[nodiscard]] Poster poster() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One deadline at a time; calls back on the loop with the time read then. Destroying it cancels it.
class Timer {
 public:
  using Handler = std::move_only_function<void(Instant now)>;

  Timer(Loop& loop, Handler on_expiry);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Waits for `deadline` instead of what was waited for before; nullopt disarms. Setting the same deadline again is
  // free, so a driver may call it after every wake-up with its machine's next_timeout().
  void set(std::optional<Instant> deadline);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Calls back on the loop, once, when a descriptor of the owner's becomes readable. Destroying it cancels it. A
// descriptor has one watch at a time.
class ReadableWatch {
 public:
  ReadableWatch(Loop& loop, int fd, Task on_readable);
  ~ReadableWatch();
  ReadableWatch(const ReadableWatch&) = delete;
  ReadableWatch& operator=(const ReadableWatch&) = delete;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dig::net
